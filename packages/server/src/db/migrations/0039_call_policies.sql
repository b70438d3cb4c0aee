-- How an integration's calls go out beyond one plain try: members that are absent are off. See queries/call-policy.ts.
set role sallyport_owner;
alter table sallyport.integration
  add column call_policy jsonb not null default '{}' check (jsonb_typeof(call_policy) = 'object');

-- As in 0010, with the integration's policy.
drop function sallyport.proxy_target(uuid, uuid, text, text, uuid, text);
create function sallyport.proxy_target(
    the_org uuid, the_project uuid, the_environment text, the_slug text, the_connection uuid, the_user text)
  returns table (
    integration_id uuid, provider text, call_policy jsonb, now timestamptz, connection_id uuid, status text, trouble text, retry_at timestamptz,
    generation int, seq bigint, sealed bytea, obtained_at timestamptz, expires_at timestamptz)
  language plpgsql volatile security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform set_config('sallyport.org', the_org::text, true);
  return query
    select i.id, i.provider, i.call_policy, clock_timestamp(), c.id, c.status, c.trouble, c.retry_at,
      c.generation, v.seq, v.sealed, v.obtained_at, v.expires_at
    from sallyport.integration i
    left join lateral (
      select k.id, k.status, k.trouble, k.retry_at, k.generation, k.head_seq
      from sallyport.connection k
      where k.org_id = i.org_id and k.project_id = i.project_id and k.environment = i.environment and k.integration_id = i.id
        and (the_connection is not null or the_user is not null)
        and (the_connection is null or k.id = the_connection)
        and (the_user is null or k.end_user_id = the_user)
        -- Asked for by its id, an ended connection answers with its status; by its user it no longer stands beside a live one.
        and (the_connection is not null or k.status <> 'revoked')
      order by (k.status = 'active') desc, k.id
      limit 2
    ) c on true
    left join sallyport.credential_version v on v.org_id = i.org_id and v.connection_id = c.id and v.seq = c.head_seq
    where i.org_id = the_org and i.project_id = the_project and i.environment = the_environment and i.slug = the_slug;
end
$$;
revoke execute on function sallyport.proxy_target(uuid, uuid, text, text, uuid, text) from public;
grant execute on function sallyport.proxy_target(uuid, uuid, text, text, uuid, text) to sallyport_app;

reset role;
