-- Clears what has expired and belongs to whichever tenant. Row security hides other tenants' rows from the gateway, rightly, so this is one
-- function of the lookup role that can do nothing else: it takes no condition from its caller and gives back counts only.
set role sallyport_owner;

grant select (org_id, id, status, created_at), delete on sallyport.connection to sallyport_lookup;
grant update (connection_id, status, failure), delete on sallyport.connect_session to sallyport_lookup;
create policy lookup_sweep on sallyport.connection to sallyport_lookup using (true) with check (false);
create policy lookup_sweep_update on sallyport.connect_session for update to sallyport_lookup using (true) with check (true);
create policy lookup_sweep_delete on sallyport.connect_session for delete to sallyport_lookup using (true);

create index connection_pending on sallyport.connection (created_at) where status = 'pending';
create index connect_session_expiry on sallyport.connect_session (expires_at);
create index oauth_state_expiry on sallyport.oauth_state (expires_at);

reset role;
set role sallyport_lookup;

-- At most `batch` rows of each kind, so that no sweep holds locks for long; the caller repeats while it is given full batches.
--   states            past their end: an authorization that was never finished
--   pending           connections nobody confirmed for 30 minutes; their credential goes with them, their session is marked failed
--   sessions, links   of the console, past their end
--   connect_sessions  a day past their end, whatever became of them: the audit log keeps what happened
create function sallyport.sweep_expired(batch int)
  returns table (states bigint, pending bigint, sessions bigint, links bigint, connect_sessions bigint)
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  most int := least(greatest(batch, 1), 10000);
  moment timestamptz := clock_timestamp();
  unconfirmed uuid[];
begin
  delete from sallyport.oauth_state s where s.state_hash in (
    select o.state_hash from sallyport.oauth_state o where o.expires_at < moment limit most);
  get diagnostics states = row_count;

  unconfirmed := array(
    select c.id from sallyport.connection c where c.status = 'pending' and c.created_at < moment - interval '30 minutes' limit most);
  -- A session's connection carries the session's id. The reference goes first: deleting the connection would take the session along, and
  -- with it the answer to what became of it. A confirmation under way holds the session's row; its end decides both statements.
  update sallyport.connect_session s
    set connection_id = case when s.reconnect then s.connection_id end, status = 'failed', failure = 'connect_session_invalid'
    where s.id = any (unconfirmed) and s.status = 'awaiting_confirmation';
  delete from sallyport.connection c where c.id = any (unconfirmed) and c.status = 'pending';
  get diagnostics pending = row_count;

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

revoke execute on function sallyport.sweep_expired(int) from public;
grant execute on function sallyport.sweep_expired(int) to sallyport_app;

reset role;
