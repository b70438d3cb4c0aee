-- From where and by whom a key may be used: ranges of addresses, and a key pair or certificate that its user proves (RFC 9449, RFC 8705).
set role sallyport_owner;

alter table sallyport.api_key
  -- NULL: from anywhere. The type refuses bits after the prefix.
  add column allowed_addresses cidr[] check (cardinality(allowed_addresses) between 1 and 50),
  -- SHA-256 in base64url: of the JWK (RFC 7638), of the certificate (RFC 8705 section 3.1). At most one; fixed for the life of the key.
  add column dpop_thumbprint text check (dpop_thumbprint collate "C" ~ '^[0-9A-Za-z_-]{43}$'),
  add column certificate_thumbprint text check (certificate_thumbprint collate "C" ~ '^[0-9A-Za-z_-]{43}$'),
  add constraint api_key_one_sender check (num_nonnulls(dpop_thumbprint, certificate_thumbprint) <= 1);

reset role;
set role sallyport_lookup;

drop function sallyport.key_lookup(uuid);

-- As 0008_makers.sql says. `allowed_addresses` are the lists along the line of its makers, itself included, as an array of arrays of text:
-- a call must come from within each of them, so that narrowing a maker narrows what came of it.
create function sallyport.key_lookup(wanted uuid)
  returns table (
    org_id uuid, id uuid, project_id uuid, environment text, version int, secret_hmac bytea, secret_argon2id text, scopes text[],
    connection_id uuid, expires_at timestamptz, revoked_at timestamptz, makers int, allowed_addresses jsonb, dpop_thumbprint text,
    certificate_thumbprint text, audit_use_mode text, now timestamptz)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  with recursive line as (
    select k.org_id, k.maker, k.expires_at, k.revoked_at, k.allowed_addresses, 0 as above from sallyport.api_key k where k.id = wanted
    union all
    select m.org_id, m.maker, m.expires_at, m.revoked_at, m.allowed_addresses, line.above + 1
    from line join sallyport.api_key m on m.org_id = line.org_id and m.id = line.maker
    where line.above < 16
  ), standing as (
    select min(line.expires_at) as expires_at, min(line.revoked_at) as revoked_at, max(line.above) as makers,
      (array_agg(line.maker order by line.above desc))[1] is not null as broken,
      coalesce(jsonb_agg(to_jsonb(line.allowed_addresses) order by line.above) filter (where line.allowed_addresses is not null), '[]')
        as allowed_addresses
    from line
  )
  select k.org_id, k.id, k.project_id, k.environment, k.version, k.secret_hmac, k.secret_argon2id, k.scopes, k.connection_id,
    s.expires_at, coalesce(s.revoked_at, case when s.broken then k.created_at end), s.makers, s.allowed_addresses, k.dpop_thumbprint,
    k.certificate_thumbprint, o.audit_use_mode, clock_timestamp()
  from sallyport.api_key k join sallyport.organization o on o.id = k.org_id cross join standing s
  where k.id = wanted
$$;
revoke execute on function sallyport.key_lookup(uuid) from public;
grant execute on function sallyport.key_lookup(uuid) to sallyport_app;

reset role;
