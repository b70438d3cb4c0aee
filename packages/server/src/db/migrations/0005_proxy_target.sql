-- What a proxied call needs to know, in one round trip: sets the tenant for its own statement and reads behind the policies like any
-- other query of the gateway (SECURITY INVOKER). No row: no such integration. A row without a connection: none fits.
-- By end user it gives at most two rows, active ones first, so that the caller can tell one from several.
set role sallyport_owner;

create function sallyport.proxy_target(
    the_org uuid, the_project uuid, the_environment text, the_slug text, the_connection uuid, the_user text)
  returns table (
    integration_id uuid, provider text, connection_id uuid, status text, generation int, seq bigint, sealed bytea, expires_at timestamptz)
  language plpgsql volatile security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform set_config('sallyport.org', the_org::text, true);
  return query
    select i.id, i.provider, c.id, c.status, c.generation, v.seq, v.sealed, v.expires_at
    from sallyport.integration i
    left join lateral (
      select k.id, k.status, k.generation, k.head_seq
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
