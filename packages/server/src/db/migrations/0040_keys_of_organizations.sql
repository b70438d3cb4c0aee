-- A key of an organization lies in no project, through whose row the others hang on theirs.
set role sallyport_owner;
alter table sallyport.api_key
  add constraint api_key_organization foreign key (org_id) references sallyport.organization (id) on delete cascade;
reset role;
