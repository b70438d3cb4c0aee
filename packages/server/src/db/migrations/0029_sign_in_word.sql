-- How an organization asks its people to sign in is remembered with them: word of a change goes out as of what else it has settled.
set role sallyport_owner;
create trigger changed after insert or update or delete on sallyport.sign_in_policy
  for each row execute function sallyport.notify_organization();
reset role;
