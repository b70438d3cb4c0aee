-- A membership counts only while the organization is active and takes the e-mail address of its person; and members are seen by one another.
set role sallyport_owner;

-- What stands behind the last `@`, in small ASCII letters; NULL for an address with any other character, which some alphabet's letters would
-- make look like another's.
create function sallyport.email_domain(address text) returns text
  language sql immutable strict parallel safe
  set search_path = pg_catalog
  return case when address collate "C" ~ '^[!-?A-~]+@[!-?A-~]+$' then lower(substring(address from '@(.*)$') collate "C") end;
revoke execute on function sallyport.email_domain(text) from public;
grant execute on function sallyport.email_domain(text) to sallyport_lookup, sallyport_app;

reset role;
set role sallyport_lookup;

-- As 0020_people.sql says, of organizations that are active. One that names domains takes only people whose verified address is in one of them, at
-- every look and not once.
create or replace function sallyport.memberships_of(person uuid) returns jsonb
  language sql stable
  set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object('org', m.org_id, 'role', m.role,
      'sign_in', case when p.org_id is not null then jsonb_build_object('ways', p.ways, 'break_glass', p.break_glass) end) order by m.org_id), '[]'::jsonb)
  from sallyport.membership m
    join sallyport.organization o on o.id = m.org_id and o.state = 'active'
    join sallyport.person who on who.id = m.person_id
    left join sallyport.sign_in_policy p on p.org_id = m.org_id
    left join sallyport.organization_setting s on s.org_id = m.org_id and s.name = 'email_domains'
  where m.person_id = person
    and (s.value is null or s.value = '[]'::jsonb or coalesce(who.email_verified and s.value ? sallyport.email_domain(who.email), false))
$$;

-- Members of this transaction's organization after `after`, in the order of their ids, at most `most` (1,000); or the one that is wanted.
create function sallyport.members(wanted uuid, after uuid, most int)
  returns table (person_id uuid, role text, created_at timestamptz, name text, email text, email_verified boolean)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select m.person_id, m.role, m.created_at, p.name, p.email, p.email_verified
  from sallyport.membership m join sallyport.person p on p.id = m.person_id
  where m.org_id = nullif(current_setting('sallyport.org', true), '')::uuid
    and (wanted is null or m.person_id = wanted) and (after is null or m.person_id > after)
  order by m.person_id limit least(greatest(most, 1), 1000)
$$;

revoke execute on function sallyport.members(uuid, uuid, int) from public;
grant execute on function sallyport.members(uuid, uuid, int) to sallyport_app;

reset role;
