-- Many keys in one question. An id that nobody has costs one look into the index, whatever the line of a key's makers would.
set role sallyport_lookup;

-- As key_lookup says of each; those that there are, in no order.
create function sallyport.key_lookups(wanted uuid[])
  returns table (
    org_id uuid, id uuid, project_id uuid, environment text, version int, secret_hmac bytea, secret_argon2id text, scopes text[],
    connection_id uuid, expires_at timestamptz, revoked_at timestamptz, makers int, allowed_addresses jsonb, allowed_origins jsonb,
    dpop_thumbprint text, certificate_thumbprint text, audit_use_mode text, now timestamptz)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select l.*
  from sallyport.api_key k cross join lateral sallyport.key_lookup(k.id) l
  where k.id = any (wanted)
$$;

revoke execute on function sallyport.key_lookups(uuid[]) from public;
grant execute on function sallyport.key_lookups(uuid[]) to sallyport_app;

reset role;
