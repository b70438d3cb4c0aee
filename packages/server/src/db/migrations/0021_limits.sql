-- How often an organization, a project and a key may ask; which web pages may call a project's gateway; and how many nodes share all that.
set role sallyport_owner;

-- Whoever has no row goes by the installation's standard. The generated columns hang a row on what it is about, whichever that is.
create table sallyport.rate_limit (
  org_id uuid not null references sallyport.organization (id) on delete cascade,
  -- Of the organization itself, of a project, or of a key.
  id uuid not null,
  holder text not null check (holder in ('organization', 'project', 'key')),
  per_second int not null check (per_second between 1 and 1000000),
  burst int not null check (burst between 1 and 1000000),
  changed_at timestamptz not null default now(),
  project_id uuid generated always as (case when holder = 'project' then id end) stored,
  key_id uuid generated always as (case when holder = 'key' then id end) stored,
  primary key (org_id, id),
  foreign key (org_id, project_id) references sallyport.project (org_id, id) on delete cascade,
  foreign key (org_id, key_id) references sallyport.api_key (org_id, id) on delete cascade,
  constraint rate_limit_own check (holder <> 'organization' or id = org_id)
);
create index rate_limit_project on sallyport.rate_limit (org_id, project_id) where project_id is not null;
create index rate_limit_key on sallyport.rate_limit (org_id, key_id) where key_id is not null;

-- The pages that may call with a key of the project, by their exact origins. Without a row, none.
create table sallyport.browser_access (
  org_id uuid not null,
  -- The project's.
  id uuid not null,
  origins text[] not null check (cardinality(origins) between 1 and 50),
  changed_at timestamptz not null default now(),
  primary key (org_id, id),
  foreign key (org_id, id) references sallyport.project (org_id, id) on delete cascade
);
-- A browser asks before it sends a key: then only the origin is known.
create index browser_access_origin on sallyport.browser_access using gin (origins);

do $$
declare
  name text;
begin
  foreach name in array array['rate_limit', 'browser_access'] loop
    execute format('alter table sallyport.%I enable row level security', name);
    execute format('alter table sallyport.%I force row level security', name);
    execute format(
      'create policy tenant on sallyport.%I to sallyport_app using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org())',
      name);
    execute format(
      'create trigger changed after insert or update or delete on sallyport.%I for each row execute function sallyport.notify_change()', name);
  end loop;
end
$$;
grant select, insert, delete, update (per_second, burst, changed_at) on sallyport.rate_limit to sallyport_app;
grant select, insert, delete, update (origins, changed_at) on sallyport.browser_access to sallyport_app;
create policy lookup on sallyport.browser_access for select to sallyport_lookup using (true);
grant select (origins) on sallyport.browser_access to sallyport_lookup;

-- Nodes say now and then that they are there. What a crash of the database empties is said again within seconds.
create unlogged table sallyport.node (
  id text primary key check (length(id) between 1 and 128),
  seen_at timestamptz not null
);
alter table sallyport.node enable row level security;
alter table sallyport.node force row level security;
create policy lookup on sallyport.node to sallyport_lookup using (true) with check (true);
grant select, insert, update, delete on sallyport.node to sallyport_lookup;

reset role;
set role sallyport_lookup;

-- Whether pages of this origin may call with a key of any project. Which, and whose, is not said.
create function sallyport.browser_origin_known(the_origin text) returns boolean
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select exists (select from sallyport.browser_access b where b.origins @> array[the_origin])
$$;

-- Says that a node is there, and gives how many said so within `life_s` seconds (3,600 at most). Rows of an hour ago are cleared, but not those that
-- another node is clearing.
create function sallyport.node_beat(the_node text, life_s int) returns bigint
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into sallyport.node (id, seen_at) values (the_node, clock_timestamp())
    on conflict (id) do update set seen_at = excluded.seen_at;
  delete from sallyport.node n where n.id in (
    select o.id from sallyport.node o where o.seen_at < clock_timestamp() - interval '1 hour' limit 1000 for update skip locked);
  return (select count(*) from sallyport.node n where n.seen_at > clock_timestamp() - make_interval(secs => least(greatest(life_s, 1), 3600)));
end
$$;

create function sallyport.node_leave(the_node text) returns void
  language sql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
  delete from sallyport.node where id = the_node
$$;

revoke execute on function sallyport.browser_origin_known(text), sallyport.node_beat(text, int), sallyport.node_leave(text) from public;
grant execute on function sallyport.browser_origin_known(text), sallyport.node_beat(text, int), sallyport.node_leave(text) to sallyport_app;

reset role;
