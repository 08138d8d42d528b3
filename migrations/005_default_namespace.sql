-- The namespace of whoever names none is there from the start: the first inform of all, inside an
-- application's transaction, would else make it there, and hold up all others until that ends.

insert into delta_namespace (name) values ('default') on conflict (name) do nothing;
