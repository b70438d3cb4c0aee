-- Connections nobody confirmed were cleared inside the sweep's function, where no event of it could be written. Now the sweep only finds them,
-- across tenants; each is taken back inside its own tenant, with its event in the same transaction. The lookup role gives back the power
-- that this took.
set role sallyport_owner;

revoke delete on sallyport.connection from sallyport_lookup;
revoke update (connection_id, status, failure) on sallyport.connect_session from sallyport_lookup;
drop policy lookup_sweep on sallyport.connection;
create policy lookup_sweep on sallyport.connection for select to sallyport_lookup using (true);
drop policy lookup_sweep_update on sallyport.connect_session;

reset role;
set role sallyport_lookup;

drop function sallyport.sweep_expired(int);

-- At most `batch` rows of each kind, so that no sweep holds locks for long; the caller repeats while it is given full batches.
--   states            past their end: an authorization that was never finished
--   sessions, links   of the console, past their end
--   connect_sessions  a day past their end, whatever became of them: the audit log keeps what happened
create function sallyport.sweep_expired(batch int)
  returns table (states bigint, sessions bigint, links bigint, connect_sessions bigint)
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  most int := least(greatest(batch, 1), 10000);
  moment timestamptz := clock_timestamp();
begin
  delete from sallyport.oauth_state s where s.state_hash in (
    select o.state_hash from sallyport.oauth_state o where o.expires_at < moment limit most);
  get diagnostics states = row_count;

  delete from sallyport.console_session s where s.token_hash in (
    select o.token_hash from sallyport.console_session o where o.expires_at < moment limit most);
  get diagnostics sessions = row_count;

  delete from sallyport.owner_link l where l.token_hash in (
    select o.token_hash from sallyport.owner_link o where o.expires_at < moment limit most);
  get diagnostics links = row_count;

  delete from sallyport.connect_session s where (s.org_id, s.id) in (
    select o.org_id, o.id from sallyport.connect_session o where o.expires_at < moment - interval '1 day' limit most);
  get diagnostics connect_sessions = row_count;
  return next;
end
$$;

-- Connections nobody confirmed for 30 minutes, the oldest first: their ids, which are their sessions' too, and nothing else of them.
create function sallyport.unconfirmed_connections(most int)
  returns table (org_id uuid, id uuid)
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select c.org_id, c.id from sallyport.connection c
  where c.status = 'pending' and c.created_at < clock_timestamp() - interval '30 minutes'
  order by c.created_at limit least(greatest(most, 1), 10000)
$$;

revoke execute on function sallyport.sweep_expired(int), sallyport.unconfirmed_connections(int) from public;
grant execute on function sallyport.sweep_expired(int), sallyport.unconfirmed_connections(int) to sallyport_app;

reset role;
