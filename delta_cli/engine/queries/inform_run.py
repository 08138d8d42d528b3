"""Inform runs: queued by interval or by hand, at most one running per kind."""

from typing import Final, LiteralString

# Queue a run for each kind whose interval has passed, unless one is queued already. The jitter
# spreads kinds that started together.
QUEUE_DUE: Final[LiteralString] = """
with due as (
    update delta_controller
    set inform_due_at = now() + inform_interval + random() * %(jitter)s::interval
    where kind = any(array(
        select kind
        from delta_controller
        where inform_due_at <= now()
        for update skip locked
    ))
    returning kind
), queued as (
    insert into delta_inform (kind, options, requested_by)
    select due.kind, '{"after": "watermark"}', 'interval'
    from due
    where not exists (
        select from delta_inform where kind = due.kind and state in ('queued', 'running')
    )
    returning id
)
select count(*) from queued
"""

# Queue one run by hand.
QUEUE: Final[LiteralString] = """
insert into delta_inform (kind, options, requested_by)
values (%(kind)s, %(options)s, %(requested_by)s)
returning
    id, kind, state, options, requested_by, worker_id, seen, created, updated, unchanged, stale,
    skipped, refused, error, created_at, started_at, finished_at
"""

# Start the oldest queued run of one of these kinds that is not running already, nor paused.
# A watermark before the calendar of Python is none: the run lists everything.
CLAIM: Final[LiteralString] = """
update delta_inform
set state = 'running',
    worker_id = %(worker_id)s::bigint,
    lease_until = now() + %(lease_s)s * interval '1 second',
    started_at = now()
where id = (
    select queued.id
    from delta_inform as queued
    where queued.state = 'queued'
    and queued.kind = any(%(kinds)s)
    and (%(id)s::bigint is null or queued.id = %(id)s)
    and not exists (
        select from delta_inform as other
        where other.kind = queued.kind and other.state = 'running'
    )
    and not exists (
        select from delta_pause
        where coalesce(until, 'infinity') > now()
        and (
            (scope = 'kind' and name = queued.kind)
            or (scope = 'worker' and name = %(worker_id)s::bigint::text)
        )
    )
    order by queued.id
    limit 1
    for update skip locked
)
returning
    id, kind, options, requested_by,
    (
        select last_inform_time
        from delta_controller
        where kind = delta_inform.kind and last_inform_time >= '0001-01-02 00:00:00+00'
    ) as watermark
"""

# Prolong a running run and show its progress; no row: the run is ours no longer.
PROGRESS: Final[LiteralString] = """
update delta_inform
set lease_until = now() + %(lease_s)s * interval '1 second',
    seen = %(seen)s,
    created = %(created)s,
    updated = %(updated)s,
    unchanged = %(unchanged)s,
    stale = %(stale)s,
    skipped = %(skipped)s,
    refused = %(refused)s
where id = %(id)s and worker_id = %(worker_id)s and state = 'running'
returning id
"""

# Keep a run from being given to another worker until the transaction ends; no row: it has been.
HOLD: Final[LiteralString] = """
select id
from delta_inform
where id = %(id)s and worker_id = %(worker_id)s and state = 'running'
for share
"""

# A run ended well: move the watermark, never past the database's clock, nor for a run that listed
# or stored only a part. Its error says what was refused. Where the overlap leads out of Python's
# calendar, in whatever time zone, there is no watermark: nothing is newer than everything.
SUCCEED: Final[LiteralString] = """
with ended as (
    update delta_inform
    set state = 'succeeded', lease_until = null, finished_at = now(), error = %(error)s
    where id = %(id)s and worker_id = %(worker_id)s and state = 'running'
    returning kind, started_at
)
update delta_controller
set last_inform_time = case
        when %(complete)s then (
            select max(mark)
            from unnest(array[
                last_inform_time,
                least(coalesce(%(newest)s::timestamptz, ended.started_at), now())
                    - %(overlap)s::interval
            ]) as mark
            where mark >= '0001-01-02 00:00:00+00'
        )
        else last_inform_time
    end,
    inform_failures = 0
from ended
where delta_controller.kind = ended.kind
returning delta_controller.kind
"""

# A run ended badly: the watermark stays; the next run comes after a backoff, or on its interval if
# that is sooner. A kind that never informs on its own stays so.
FAIL: Final[LiteralString] = """
with ended as (
    update delta_inform
    set state = 'failed', lease_until = null, finished_at = now(), error = %(error)s
    where id = %(id)s and worker_id = %(worker_id)s and state = 'running'
    returning kind
)
update delta_controller
set inform_failures = inform_failures + 1,
    inform_due_at = case
        when inform_due_at is not null then least(
            inform_due_at,
            now() + interval '10 seconds' * power(2, least(inform_failures, 12))
        )
    end
from ended
where delta_controller.kind = ended.kind
returning delta_controller.kind
"""

# End a run that whoever asked for it gave up, unless it has ended, or another worker runs it. It is
# no failure of the informer, so the kind's interval stays.
INTERRUPT: Final[LiteralString] = """
update delta_inform
set state = 'failed', lease_until = null, finished_at = now(), error = 'interrupted'
where id = %(id)s
and (state = 'queued' or (state = 'running' and worker_id = %(worker_id)s::bigint))
"""

# Queue again the runs whose worker is lost or whose lease ran out.
RESCUE: Final[LiteralString] = """
with rescued as (
    update delta_inform
    set state = 'queued', worker_id = null, lease_until = null, started_at = null
    where id = any(array(
        select id
        from delta_inform
        where state = 'running'
        and (
            lease_until <= now()
            or not exists (
                select from delta_worker as worker
                where worker.id = delta_inform.worker_id
                and worker.state in ('running', 'draining')
            )
        )
        for update skip locked
    ))
    returning id
)
select count(*) from rescued
"""

# One run.
GET: Final[LiteralString] = """
select
    id, kind, state, options, requested_by, worker_id, seen, created, updated, unchanged, stale,
    skipped, refused, error, created_at, started_at, finished_at
from delta_inform
where id = %(id)s
"""

# The newest runs, of one kind or of all.
LIST: Final[LiteralString] = """
select
    id, kind, state, options, requested_by, worker_id, seen, created, updated, unchanged, stale,
    skipped, refused, error, created_at, started_at, finished_at
from delta_inform
where %(kind)s::text is null or kind = %(kind)s
order by id desc
limit %(limit)s
"""

# Ended runs past their retention (negative: kept for ever), a batch at a time.
CLEAN: Final[LiteralString] = """
with cleaned as (
    delete from delta_inform
    where id = any(array(
        select id
        from delta_inform
        where finished_at <= now() - %(retention)s::interval
        and %(retention)s::interval >= interval '0'
        order by finished_at
        limit %(batch)s
        for update skip locked
    ))
    returning id
)
select count(*) from cleaned
"""
