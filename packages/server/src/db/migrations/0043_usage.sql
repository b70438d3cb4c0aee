-- What model calls used: a row a call, and days added up as rows come, so that a year is a few thousand rows.
set role sallyport_owner;

-- A log, as request_record: no foreign keys, written in groups off the call's path. Nothing of a prompt or an answer has a column.
--   status        what the caller was answered; 0: nothing
--   source        how the tokens are known: as the provider said, or reckoned from lengths; null: they are not
--   *_tokens      input counts what came from caches (cached) and went to them (written) too, output the reasoning
--   cost_nano     nano-dollars; null: a part of it has no known price
--   first_byte_us to the first byte of the answer's body
create table sallyport.usage_record (
  org_id uuid not null,
  id uuid not null,
  request_id uuid not null,
  at timestamptz not null,
  project_id uuid not null,
  environment text not null,
  key_id uuid not null,
  end_user_id text,
  provider text not null,
  model text,
  route text,
  status int not null,
  error text,
  source text check (source in ('measured', 'estimated')),
  input_tokens bigint,
  cached_tokens bigint,
  written_tokens bigint,
  output_tokens bigint,
  reasoning_tokens bigint,
  cost_nano bigint,
  duration_us bigint not null,
  first_byte_us bigint,
  primary key (org_id, id),
  constraint usage_record_tokens check (source is not null or num_nonnulls(input_tokens, output_tokens, cost_nano) = 0)
);
create index usage_record_list on sallyport.usage_record (org_id, project_id, environment, id desc);
create index usage_record_user on sallyport.usage_record (org_id, project_id, environment, end_user_id) where end_user_id is not null;
-- Rows lie in the order in which they came: a page of the table says enough of its time.
create index usage_record_age on sallyport.usage_record using brin (at);

-- By day (UTC), never by end user: those have days of their own, which may be many, and go when they do. `model` is '' where it is not known.
create table sallyport.usage_day (
  org_id uuid not null,
  day date not null,
  project_id uuid not null,
  environment text not null,
  key_id uuid not null,
  provider text not null,
  model text not null,
  calls bigint not null,
  failed bigint not null,
  estimated bigint not null,
  unpriced bigint not null,
  input_tokens bigint not null,
  cached_tokens bigint not null,
  written_tokens bigint not null,
  output_tokens bigint not null,
  reasoning_tokens bigint not null,
  cost_nano bigint not null,
  primary key (org_id, day, project_id, environment, key_id, provider, model)
);
create index usage_day_age on sallyport.usage_day using brin (day);

create table sallyport.usage_user_day (
  org_id uuid not null,
  project_id uuid not null,
  environment text not null,
  end_user_id text not null,
  day date not null,
  provider text not null,
  model text not null,
  calls bigint not null,
  failed bigint not null,
  estimated bigint not null,
  unpriced bigint not null,
  input_tokens bigint not null,
  cached_tokens bigint not null,
  written_tokens bigint not null,
  output_tokens bigint not null,
  reasoning_tokens bigint not null,
  cost_nano bigint not null,
  primary key (org_id, project_id, environment, end_user_id, day, provider, model)
);
create index usage_user_day_age on sallyport.usage_user_day using brin (day);

do $$
declare
  name text;
begin
  foreach name in array array['usage_record', 'usage_day', 'usage_user_day'] loop
    execute format('alter table sallyport.%I enable row level security, force row level security', name);
    execute format(
      'create policy tenant on sallyport.%I to sallyport_app using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org())',
      name);
    -- Through the functions below alone.
    execute format('create policy lookup on sallyport.%I for select to sallyport_lookup using (true)', name);
    execute format('create policy lookup_clear on sallyport.%I for delete to sallyport_lookup using (true)', name);
    execute format('grant select, delete on sallyport.%I to sallyport_lookup', name);
  end loop;
end
$$;
-- Of a row only whose it was may change: to nobody's.
grant select, insert, update (end_user_id) on sallyport.usage_record to sallyport_app;
grant select, insert, update on sallyport.usage_day to sallyport_app;
grant select, insert, update, delete on sallyport.usage_user_day to sallyport_app;

reset role;
set role sallyport_lookup;

-- Forgets rows older than `record_days` and days older than `day_days`, at most `most` (10,000) of each. How many.
create function sallyport.usage_sweep(record_days int, day_days int, most int) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  batch int := least(greatest(most, 1), 10000);
  before timestamptz := clock_timestamp() - make_interval(days => greatest(record_days, 2));
  oldest date := (clock_timestamp() at time zone 'UTC')::date - greatest(day_days, 2);
  swept bigint := 0;
  gone bigint;
begin
  delete from sallyport.usage_record r where (r.org_id, r.id) in (
    select o.org_id, o.id from sallyport.usage_record o where o.at < before limit batch);
  get diagnostics swept = row_count;
  delete from sallyport.usage_day r where (r.org_id, r.day, r.project_id, r.environment, r.key_id, r.provider, r.model) in (
    select o.org_id, o.day, o.project_id, o.environment, o.key_id, o.provider, o.model
    from sallyport.usage_day o where o.day < oldest limit batch);
  get diagnostics gone = row_count;
  swept := greatest(swept, gone);
  delete from sallyport.usage_user_day r where (r.org_id, r.project_id, r.environment, r.end_user_id, r.day, r.provider, r.model) in (
    select o.org_id, o.project_id, o.environment, o.end_user_id, o.day, o.provider, o.model
    from sallyport.usage_user_day o where o.day < oldest limit batch);
  get diagnostics gone = row_count;
  return greatest(swept, gone);
end
$$;

-- As 0027_endings.sql says, with what model calls used.
create or replace function sallyport.organization_purge(most int) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  org uuid := sallyport.current_org();
  batch int := least(greatest(most, 1), 10000);
  gone bigint;
begin
  if not sallyport.is_ending() then
    return 0;
  end if;
  delete from sallyport.request_record r where r.org_id = org and r.id in (
    select o.id from sallyport.request_record o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  if gone > 0 then return gone; end if;
  delete from sallyport.usage_record r where r.org_id = org and r.id in (
    select o.id from sallyport.usage_record o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  if gone > 0 then return gone; end if;
  delete from sallyport.usage_day r where r.org_id = org and (r.day, r.project_id, r.environment, r.key_id, r.provider, r.model) in (
    select o.day, o.project_id, o.environment, o.key_id, o.provider, o.model from sallyport.usage_day o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  if gone > 0 then return gone; end if;
  delete from sallyport.usage_user_day r
    where r.org_id = org and (r.project_id, r.environment, r.end_user_id, r.day, r.provider, r.model) in (
    select o.project_id, o.environment, o.end_user_id, o.day, o.provider, o.model from sallyport.usage_user_day o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  if gone > 0 then return gone; end if;
  delete from sallyport.revocation r where r.org_id = org and r.id in (
    select o.id from sallyport.revocation o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  if gone > 0 then return gone; end if;
  delete from sallyport.event_receipt r where r.org_id = org and (r.source_id, r.event_hash) in (
    select o.source_id, o.event_hash from sallyport.event_receipt o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  if gone > 0 then return gone; end if;
  delete from sallyport.connect_session r where r.org_id = org and r.id in (
    select o.id from sallyport.connect_session o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  if gone > 0 then return gone; end if;
  delete from sallyport.api_key r where r.org_id = org and r.id in (
    select o.id from sallyport.api_key o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  if gone > 0 then return gone; end if;
  delete from sallyport.connection r where r.org_id = org and r.id in (
    select o.id from sallyport.connection o where o.org_id = org limit batch);
  get diagnostics gone = row_count;
  return gone;
end
$$;
revoke execute on function sallyport.usage_sweep(int, int, int) from public;
grant execute on function sallyport.usage_sweep(int, int, int) to sallyport_app;

reset role;
