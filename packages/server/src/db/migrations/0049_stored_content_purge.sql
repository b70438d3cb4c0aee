-- An organization that goes leaves what it kept of model calls piece by piece, before its row takes the rest along in one statement.
set role sallyport_lookup;

-- As 0043_usage.sql says, with what is kept of model calls.
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
  -- A part of a call may be a megabyte.
  delete from sallyport.stored_content r where r.org_id = org and r.id in (
    select o.id from sallyport.stored_content o where o.org_id = org limit least(batch, 200));
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

reset role;
