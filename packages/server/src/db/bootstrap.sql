-- Roles and the schema, made once per cluster and database by a login that may create roles. Safe to repeat and to race: the caller
-- holds the migration lock, and roles are shared between databases of one cluster, so each is made only when absent.
--   sallyport_owner   owns the tables; nobody logs in as it
--   sallyport_audit   owns the audit log; nobody logs in as it, and the owner above is no member
--   sallyport_lookup  owns the functions that answer before anyone is authenticated; sees only the tables and columns granted to it
--   sallyport_app     what the gateway may do; owns nothing, bypasses nothing
do $$
declare
  name text;
begin
  foreach name in array array['sallyport_owner', 'sallyport_audit', 'sallyport_lookup', 'sallyport_app'] loop
    begin
      execute format('create role %I nologin nosuperuser nobypassrls nocreatedb nocreaterole noreplication', name);
    exception
      when duplicate_object or unique_violation then null;
    end;
    -- To act as them below. A superuser can anyway, and granting again would only race with migrators of the cluster's other databases.
    if name <> 'sallyport_app' and current_setting('is_superuser') = 'off' then
      execute format('grant %I to %I', name, current_user);
    end if;
  end loop;
end
$$;

create schema if not exists sallyport authorization sallyport_owner;
revoke all on schema sallyport from public;
grant usage on schema sallyport to sallyport_app, sallyport_lookup, sallyport_audit;
grant create on schema sallyport to sallyport_lookup, sallyport_audit;
revoke create on schema public from public;
