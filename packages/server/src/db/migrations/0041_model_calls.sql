-- Calls to providers of models: where one went, and the one read that it needs.
set role sallyport_owner;

-- Null for calls through an integration.
alter table sallyport.request_record add column model_provider text;

-- What the organization has settled about keys of model providers, and the key of that provider and name that stands nearest: the environment's own, else the
-- organization's; its successor rather than one on its way out. Sets the tenant for its own statement and reads behind the policies (SECURITY INVOKER), as
-- proxy_target does. One row always; without an id where no key is kept. Index provider_key_list.
create function sallyport.model_key(the_org uuid, the_project uuid, the_environment text, the_provider text, the_name text)
  returns table (mode jsonb, id uuid, settings jsonb, sealed bytea, ends_in_s double precision)
  language plpgsql volatile security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform set_config('sallyport.org', the_org::text, true);
  return query
    select (select s.value from sallyport.organization_setting s where s.org_id = the_org and s.name = 'provider_key_mode'),
      k.id, k.settings, k.sealed, extract(epoch from k.ends_at - clock_timestamp())::double precision
    from (select 1) one
    left join lateral (
      select p.id, p.settings, p.sealed, p.ends_at
      from sallyport.provider_key p
      where p.org_id = the_org and p.provider = the_provider and p.name = the_name
        and (p.project_id is null or (p.project_id = the_project and p.environment = the_environment))
        and p.sealed is not null and p.revoked_at is null and (p.ends_at is null or p.ends_at > clock_timestamp())
      order by (p.project_id is null), (p.ends_at is not null), p.created_at desc, p.id desc
      limit 1
    ) k on true;
end
$$;
revoke execute on function sallyport.model_key(uuid, uuid, text, text, text) from public;
grant execute on function sallyport.model_key(uuid, uuid, text, text, text) to sallyport_app;

reset role;
