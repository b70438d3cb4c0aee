-- Connections of one integration are listed from an index: a page of an integration with few is not looked for among all of its environment's.
set role sallyport_owner;

create index connection_by_integration on sallyport.connection (org_id, integration_id, id);

reset role;
