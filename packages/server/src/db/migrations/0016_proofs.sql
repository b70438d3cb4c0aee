-- Proofs of possession that were taken (RFC 9449 section 11.1), by all nodes together: each is good once. Not logged: a proof lives 90 seconds, and
-- a node remembers its own beside it, so what a crash of the database empties is hardly missed, and taking one waits for no disk.
set role sallyport_owner;

create unlogged table sallyport.dpop_proof (
  -- SHA-256 over the key's id and the proof's.
  hash bytea primary key check (length(hash) = 32),
  expires_at timestamptz not null
);
create index dpop_proof_expiry on sallyport.dpop_proof (expires_at);
alter table sallyport.dpop_proof enable row level security;
alter table sallyport.dpop_proof force row level security;
grant select, insert, delete on sallyport.dpop_proof to sallyport_lookup;
create policy lookup on sallyport.dpop_proof to sallyport_lookup using (true) with check (true);

reset role;
set role sallyport_lookup;

-- True for the first who takes it, false for everyone after, until it is swept, which is after its end.
create function sallyport.proof_take(proof bytea, life_s int) returns boolean
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into sallyport.dpop_proof (hash, expires_at)
  values (proof, clock_timestamp() + make_interval(secs => least(greatest(life_s, 1), 3600)))
  on conflict (hash) do nothing;
  return found;
end
$$;

-- Clears what is over, at most `most` rows (10,000). How many.
create function sallyport.proof_sweep(most int) returns bigint
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  with gone as (
    delete from sallyport.dpop_proof p where p.hash in (
      select o.hash from sallyport.dpop_proof o where o.expires_at < clock_timestamp() limit least(greatest(most, 1), 10000))
    returning 1)
  select count(*) from gone
$$;

revoke execute on function sallyport.proof_take(bytea, int), sallyport.proof_sweep(int) from public;
grant execute on function sallyport.proof_take(bytea, int), sallyport.proof_sweep(int) to sallyport_app;

reset role;
