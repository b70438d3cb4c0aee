-- Of which connection a refresh token is. Under rotation two connections with one refresh token end each other, so the database lets an
-- organization hold each token once. `shared` marks the further connections of a token that its provider gives to several.
set role sallyport_owner;

-- `fingerprint`: keyed, of the organization, the provider and the token; no other organization's says anything beside it. `seq`: the newest version
-- with this token. With the last version that has it the row goes, so a token is held for as long as the lineage remembers it.
create table sallyport.refresh_token_holder (
  org_id uuid not null,
  fingerprint bytea not null check (length(fingerprint) = 32),
  connection_id uuid not null,
  seq bigint not null,
  shared boolean not null default false,
  primary key (org_id, fingerprint, connection_id),
  foreign key (org_id, connection_id, seq) references sallyport.credential_version (org_id, connection_id, seq) on delete cascade
);
create unique index refresh_token_held_once on sallyport.refresh_token_holder (org_id, fingerprint) where not shared;
create index refresh_token_holder_version on sallyport.refresh_token_holder (org_id, connection_id, seq);
alter table sallyport.refresh_token_holder enable row level security, force row level security;
create policy tenant on sallyport.refresh_token_holder to sallyport_app
  using (org_id = sallyport.current_org()) with check (org_id = sallyport.current_org());
grant select, insert, update (seq) on sallyport.refresh_token_holder to sallyport_app;

reset role;
