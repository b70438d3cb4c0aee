-- Creations that are asked for twice are done once (`Idempotency-Key`). Neither the key nor the request is kept, only keyed hashes of both; the answer
-- is sealed, since it may hold what is shown once.
set role sallyport_owner;

-- `running`: asked for, and nothing is made yet. `made`: committed with what it made, whose id is `target`. `answered`: its answer can be given again.
-- `attempt`: whose it is; one that was taken over makes nothing any more.
create table sallyport.idempotent_creation (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  key_hash bytea not null check (length(key_hash) = 32),
  request_hash bytea not null check (length(request_hash) = 32),
  attempt uuid not null,
  state text not null default 'running' check (state in ('running', 'made', 'answered')),
  target text check (length(target) between 1 and 255),
  answer bytea,
  answer_under uuid generated always as (sallyport.envelope_data_key(answer)) stored,
  begun_at timestamptz not null default clock_timestamp(),
  primary key (org_id, key_hash),
  foreign key (org_id, answer_under) references sallyport.data_key (org_id, id) deferrable initially deferred,
  constraint idempotent_creation_answer check ((answer is null) = (state <> 'answered'))
);
create index idempotent_creation_age on sallyport.idempotent_creation (begun_at);
create index idempotent_creation_under on sallyport.idempotent_creation (org_id, answer_under, key_hash);
alter table sallyport.idempotent_creation enable row level security, force row level security;
create policy tenant on sallyport.idempotent_creation to sallyport_app
  using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org());
create policy lookup on sallyport.idempotent_creation for select to sallyport_lookup using (true);
create policy lookup_sweep on sallyport.idempotent_creation for delete to sallyport_lookup using (true);
grant select, insert, delete, update (request_hash, attempt, state, target, answer, begun_at) on sallyport.idempotent_creation to sallyport_app;
grant select (org_id, key_hash, begun_at), delete on sallyport.idempotent_creation to sallyport_lookup;

reset role;
set role sallyport_lookup;

-- Forgets what began more than 24 hours ago, at most `most` (10,000).
create function sallyport.idempotency_sweep(most int) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  swept bigint;
begin
  delete from sallyport.idempotent_creation c where (c.org_id, c.key_hash) in (
    select o.org_id, o.key_hash from sallyport.idempotent_creation o
    where o.begun_at < clock_timestamp() - interval '24 hours' limit least(greatest(most, 1), 10000));
  get diagnostics swept = row_count;
  return swept;
end
$$;
revoke execute on function sallyport.idempotency_sweep(int) from public;
grant execute on function sallyport.idempotency_sweep(int) to sallyport_app;

reset role;
