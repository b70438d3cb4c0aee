-- What a key gets by rotating itself is known to whoever knew that key: its revocation reaches it, however many turns later.
set role sallyport_owner;

-- The key that rotated itself into this one. Written once; a revocation is carried along it when it is made (queries/api-key.ts), so that nothing
-- has to be followed when a key is read, and a line may be as long as keys rotate.
alter table sallyport.api_key
  add column succeeds uuid,
  add foreign key (org_id, succeeds) references sallyport.api_key (org_id, id) on delete set null (succeeds);
create index api_key_succeeding on sallyport.api_key (org_id, succeeds) where succeeds is not null;

reset role;
