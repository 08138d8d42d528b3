"""Workers: one row per process, kept alive by its heartbeat."""

from typing import Final, LiteralString

# A process begins to work. Its connections all bear one name that nobody else's do.
REGISTER: Final[LiteralString] = """
insert into delta_worker (
    host, pid, version, kinds, namespaces, capacity, heartbeat_interval_s, application_name
)
values (
    %(host)s, %(pid)s, %(version)s, %(kinds)s, %(namespaces)s, %(capacity)s,
    %(heartbeat_interval_s)s, current_setting('application_name')
)
returning id
"""

# Still here. The state that comes back may say that the fleet has given us up; when that one was
# last heard of is left to see, and what it still works on is not its any more.
HEARTBEAT: Final[LiteralString] = """
update delta_worker
set heartbeat_at = case when state in ('running', 'draining') then now() else heartbeat_at end,
    state = case when state = 'running' and %(draining)s then 'draining' else state end,
    in_flight = case when state in ('running', 'draining') then %(in_flight)s else 0 end,
    synced = %(synced)s,
    failed = %(failed)s,
    deleted = %(deleted)s,
    last_error = %(last_error)s,
    last_claim_at = case
        when %(claim_age_s)s::float8 is null then last_claim_at
        else now() - %(claim_age_s)s * interval '1 second'
    end,
    listener_lag_ms = %(listener_lag_ms)s
where id = %(id)s
returning state
"""

# A process has ended its work.
STOP: Final[LiteralString] = """
update delta_worker
set state = 'stopped', stopped_at = now(), heartbeat_at = now(), in_flight = 0
where id = %(id)s and state in ('running', 'draining')
"""

# Give up workers that have not been heard of; what they work on is not theirs any more. A restart
# of the server silences everybody, so the silence counts from the restart at the earliest.
MARK_LOST: Final[LiteralString] = """
update delta_worker
set state = 'lost', stopped_at = now(), in_flight = 0
where id = any(array(
    select id
    from delta_worker
    where state in ('running', 'draining')
    and greatest(heartbeat_at, pg_postmaster_start_time()) <= now() - %(lost_after)s::interval
    for update skip locked
))
returning id
"""

# End what a lost worker keeps locked. The server cannot commit a claim whose answer nobody reads,
# and a frozen or cut-off process would hold its rows for as long as its connection seems to live.
# Sessions that hold nothing are left alone, and so is a process that has come back under a new
# identity. A pooler may name sessions as it likes; those of other users are not ours to end.
END_STUCK_SESSIONS: Final[LiteralString] = """
select count(pg_terminate_backend(session.pid))
from delta_worker as worker
join pg_stat_activity as session using (application_name)
where worker.state = 'lost'
and worker.application_name like 'delta %%-%%'
and session.datname = current_database()
and session.usename = current_user
and (session.wait_event = 'ClientWrite' or session.state like 'idle in transaction%%')
and not exists (
    select from delta_worker as later
    where later.application_name = worker.application_name and later.id > worker.id
)
"""

# Every worker that is there, and those that ended of late.
LIST: Final[LiteralString] = """
select
    id, host, pid, version, state, kinds, namespaces, in_flight, capacity, started_at,
    heartbeat_at, extract(epoch from now() - heartbeat_at)::float8 as heartbeat_age_s, synced,
    failed, deleted, last_error, heartbeat_interval_s,
    extract(epoch from now() - pg_postmaster_start_time())::float8 as server_age_s,
    state <> 'stopped' and exists (
        select from delta_pause
        where scope = 'worker' and name = delta_worker.id::text
        and coalesce(until, 'infinity') > now()
    ) as paused
from delta_worker
where state in ('running', 'draining') or %(ended)s
order by id
"""

# How many workers were lost of late, who are no longer in the list of those that are there.
LOST_OF_LATE: Final[LiteralString] = """
select count(*)
from delta_worker
where state = 'lost' and stopped_at > now() - interval '1 day'
"""

# Workers that ended longer ago than the retention (negative: kept for ever), a batch at a time.
CLEAN: Final[LiteralString] = """
with cleaned as (
    delete from delta_worker
    where id = any(array(
        select id
        from delta_worker
        where state in ('stopped', 'lost')
        and stopped_at <= now() - %(retention)s::interval
        and %(retention)s::interval >= interval '0'
        and not exists (
            select from delta_resource
            where lease_until is not null and worker_id = delta_worker.id
        )
        limit %(batch)s
        for update skip locked
    ))
    returning id
)
select count(*) from cleaned
"""
