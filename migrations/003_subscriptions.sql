-- Named cursors: how far each named subscription has come in the log of events.

create table delta_subscription (
    name delta_kind primary key,
    -- The id of the newest event that it has acknowledged; it only moves forward, unless it is set anew.
    position bigint not null,
    created_at timestamptz not null default now(),
    acknowledged_at timestamptz not null default now(),
    constraint position_positive check (position >= 0)
)
-- Written every second, and in place.
with (fillfactor = 50);

-- Where a time begins in the log is found by bisection of the ids, without an index of times.
drop index delta_event_at;
