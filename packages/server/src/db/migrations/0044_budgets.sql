-- How much of an organization's money model calls may cost, and what of it is spent.
set role sallyport_owner;

-- The generated columns hang a row on what it is about, as in rate_limit.
--   unpriced  what a hard one does with a call whose cost can't be told
create table sallyport.budget (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  id uuid not null,
  holder text not null check (holder in ('organization', 'project', 'key')),
  holder_id uuid not null,
  amount_nano bigint not null check (amount_nano between 0 and 9000000000000000),
  period text not null check (period in ('day', 'month', 'total')),
  enforcement text not null check (enforcement in ('hard', 'warn')),
  unpriced text not null check (unpriced in ('refuse', 'pass')),
  created_by text not null check (length(created_by) between 1 and 64),
  created_at timestamptz not null default clock_timestamp(),
  changed_at timestamptz not null default clock_timestamp(),
  project_id uuid generated always as (case when holder = 'project' then holder_id end) stored,
  key_id uuid generated always as (case when holder = 'key' then holder_id end) stored,
  primary key (org_id, id),
  foreign key (org_id, project_id) references sallyport.project (org_id, id) on delete cascade,
  foreign key (org_id, key_id) references sallyport.api_key (org_id, id) on delete cascade,
  constraint budget_own check (holder <> 'organization' or holder_id = org_id)
);
create unique index budget_one on sallyport.budget (org_id, holder_id, period);
create index budget_project on sallyport.budget (org_id, project_id) where project_id is not null;
create index budget_key on sallyport.budget (org_id, key_id) where key_id is not null;

-- What is spent, by the first day of the period (UTC); of `total` that day is 1970-01-01. `told_at`: when its end was put on record.
create table sallyport.budget_period (
  org_id uuid not null,
  budget_id uuid not null,
  starts_on date not null,
  spent_nano bigint not null default 0,
  told_at timestamptz,
  primary key (org_id, budget_id, starts_on),
  foreign key (org_id, budget_id) references sallyport.budget (org_id, id) on delete cascade
);

-- What a node holds of a period, to spend without asking: calls under way, costs that are not written yet, and what it may begin. When it ends without
-- having been renewed, its node is gone, and so is the claim.
create table sallyport.budget_lease (
  org_id uuid not null,
  budget_id uuid not null,
  starts_on date not null,
  node text not null check (length(node) between 1 and 128),
  held_nano bigint not null check (held_nano >= 0),
  expires_at timestamptz not null,
  primary key (org_id, budget_id, starts_on, node),
  foreign key (org_id, budget_id) references sallyport.budget (org_id, id) on delete cascade
);

do $$
declare
  name text;
begin
  foreach name in array array['budget', 'budget_period', 'budget_lease'] loop
    execute format('alter table sallyport.%I enable row level security, force row level security', name);
    execute format(
      'create policy tenant on sallyport.%I to sallyport_app using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org())',
      name);
  end loop;
end
$$;
create trigger changed after insert or update or delete on sallyport.budget for each row execute function sallyport.notify_change();
grant select, insert, delete, update (amount_nano, enforcement, unpriced, changed_at) on sallyport.budget to sallyport_app;
grant select, insert, update (spent_nano, told_at) on sallyport.budget_period to sallyport_app;
grant select, insert, update (held_nano, expires_at), delete on sallyport.budget_lease to sallyport_app;

-- One node's turn with one budget. It says what it has under way or not written yet (`busy`), what the call that waits needs (`need`) and whether it
-- wants some beforehand; it is given what it may begin from now on (`free`), which stands for what it had. Turns of one budget come one after another.
--
-- What is given beforehand is at most a 32nd of the budget and a quarter of what is left, so that near its end it is given call by call.
create function sallyport.budget_draw(the_budget uuid, the_node text, busy bigint, need bigint, ahead boolean, seconds int)
  returns table (starts_on date, ends_in_ms bigint, free bigint, left_nano bigint, spent_nano bigint, told boolean)
  language plpgsql volatile security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  org uuid := sallyport.current_org();
  now_utc timestamp := clock_timestamp() at time zone 'UTC';
  kind text;
  amount bigint;
  first_day date;
  ends timestamp;
  spent bigint;
  told_then timestamptz;
  others bigint;
  room bigint;
  given bigint;
begin
  select b.period, b.amount_nano into kind, amount from sallyport.budget b where b.org_id = org and b.id = the_budget;
  if not found then
    return;
  end if;
  first_day := case kind when 'total' then date '1970-01-01' else date_trunc(kind, now_utc)::date end;
  ends := case kind when 'day' then first_day + interval '1 day' when 'month' then first_day + interval '1 month' end;
  insert into sallyport.budget_period (org_id, budget_id, starts_on) values (org, the_budget, first_day) on conflict do nothing;
  select p.spent_nano, p.told_at into spent, told_then from sallyport.budget_period p
    where p.org_id = org and p.budget_id = the_budget and p.starts_on = first_day
    for update;
  delete from sallyport.budget_lease l where l.org_id = org and l.budget_id = the_budget and l.expires_at <= clock_timestamp();
  select coalesce(sum(l.held_nano), 0) into others from sallyport.budget_lease l
    where l.org_id = org and l.budget_id = the_budget and l.starts_on = first_day and l.node <> the_node;
  room := amount - spent - others - busy;
  given := greatest(0, least(room, greatest(need, case when ahead then least(amount / 32, room / 4) else 0 end)));
  if busy + given > 0 then
    insert into sallyport.budget_lease as l (org_id, budget_id, starts_on, node, held_nano, expires_at)
      values (org, the_budget, first_day, the_node, busy + given, clock_timestamp() + make_interval(secs => least(greatest(seconds, 1), 3600)))
      on conflict (org_id, budget_id, starts_on, node) do update set held_nano = excluded.held_nano, expires_at = excluded.expires_at;
  else
    delete from sallyport.budget_lease l
      where l.org_id = org and l.budget_id = the_budget and l.starts_on = first_day and l.node = the_node;
  end if;
  return query select first_day,
    case when ends is null then null else ceil(extract(epoch from (ends - now_utc)) * 1000)::bigint end,
    given, greatest(0, amount - spent), spent, told_then is not null;
end
$$;
revoke execute on function sallyport.budget_draw(uuid, text, bigint, bigint, boolean, int) from public;
grant execute on function sallyport.budget_draw(uuid, text, bigint, bigint, boolean, int) to sallyport_app;

reset role;
