-- How many connections of an organization live is asked whenever a new one begins: those that have ended, of which there may be many more, are not read for it.
set role sallyport_owner;

create index connection_living on sallyport.connection (org_id) where status <> 'revoked';

reset role;
