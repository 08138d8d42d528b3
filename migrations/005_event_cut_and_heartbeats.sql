-- Up to where retention has cut the log, so that a reader from the beginning, or of a log that is
-- wholly cut, is told what is gone. Ids alone do not tell: a writer that fails leaves holes too.

create table delta_event_cut (
    is_only boolean primary key default true check (is_only),
    up_to bigint not null
);

insert into delta_event_cut (up_to)
select coalesce(
    (select id - 1 from delta_event order by id limit 1),
    pg_sequence_last_value(pg_get_serial_sequence('delta_event', 'id')::regclass),
    0
);

-- How often each worker is to be heard of, so that others can tell which one is silent.
alter table delta_worker add column heartbeat_interval_s double precision not null default 5;
