-- A node's turn with a budget that somebody takes away meanwhile, or of which more is spent than a number holds, is answered.
set role sallyport_owner;

-- As 0044_budgets.sql says. The budget is held first: it does not go between its reading and the rows that hang on it, and whoever takes it away does not
-- come to those rows in the other order. Sums are numbers without an end; what is held ends where its column does.
create or replace function sallyport.budget_draw(the_budget uuid, the_node text, busy bigint, need bigint, ahead boolean, seconds int)
  returns table (starts_on date, ends_in_ms bigint, free bigint, left_nano bigint, spent_nano bigint, told boolean)
  language plpgsql volatile security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  most constant numeric := 9000000000000000000;
  org uuid := sallyport.current_org();
  now_utc timestamp := clock_timestamp() at time zone 'UTC';
  kind text;
  amount bigint;
  first_day date;
  ends timestamp;
  spent bigint;
  told_then timestamptz;
  others numeric;
  room numeric;
  given bigint;
  held bigint;
begin
  select b.period, b.amount_nano into kind, amount from sallyport.budget b where b.org_id = org and b.id = the_budget for key share;
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
  room := amount::numeric - spent - others - busy;
  given := greatest(0, least(room, greatest(need, case when ahead then least(amount / 32, div(room, 4)) else 0 end)));
  held := least(busy::numeric + given, most);
  if held > 0 then
    insert into sallyport.budget_lease as l (org_id, budget_id, starts_on, node, held_nano, expires_at)
      values (org, the_budget, first_day, the_node, held, clock_timestamp() + make_interval(secs => least(greatest(seconds, 1), 3600)))
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

reset role;
