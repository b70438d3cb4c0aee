-- How many keys of an organization are on is asked whenever it makes one: those that are over, of which there may be many more, are not read for it.
set role sallyport_owner;

create index api_key_on on sallyport.api_key (org_id, expires_at) where revoked_at is null;

reset role;
