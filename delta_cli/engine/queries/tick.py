"""Ticks: one row per periodic service, the grid on which it runs, and its last runs."""

from typing import Final, LiteralString

# A process that runs the tick has started: its settings win. A shorter interval draws the next run
# nearer.
REGISTER: Final[LiteralString] = """
insert into delta_tick as known (name, interval_s, lock_id)
values (%(name)s, %(interval_s)s, %(lock_id)s)
on conflict (name) do update
set interval_s = excluded.interval_s,
    lock_id = excluded.lock_id,
    -- What has never run is due now; least() would pass over the null.
    next_due = case
        when known.next_due is not null
            then least(known.next_due, now() + excluded.interval_s * interval '1 second')
    end,
    registered_at = now()
"""

# A tick is forced by a process that may not run it otherwise: the settings of those that do stay.
REGISTER_NEW: Final[LiteralString] = """
insert into delta_tick (name, interval_s, lock_id)
values (%(name)s, %(interval_s)s, %(lock_id)s)
on conflict (name) do nothing
"""

# How a tick stands before it begins.
ASK: Final[LiteralString] = """
select
    extract(epoch from next_due - now())::float8 as due_in_s,
    lock_id,
    exists (
        select from delta_pause as pause
        where pause.scope = 'tick' and pause.name = delta_tick.name
        and (pause.until is null or pause.until > now())
    ) as paused,
    now() as at
from delta_tick
where name = %(name)s
"""

# Begin a run, under the tick's lock, if it is due or forced. The next run is due one interval
# after this one was, or from now if that is past already or this one comes early. Runs that are
# open still were left so by a process that died or was cut off: nobody else holds the lock.
BEGIN: Final[LiteralString] = """
with due as (
    select name
    from delta_tick
    where name = %(name)s and (next_due is null or next_due <= now() or %(forced)s)
    for update
), closed as (
    update delta_tick_run
    set outcome = 'failed', error = 'holder lost', finished_at = now()
    where name = (select name from due) and finished_at is null
    returning 1
), begun as (
    update delta_tick
    set last_start = now(),
        enabled = true,
        holder = %(holder)s,
        next_due = case
            when next_due > now() - interval_s * interval '1 second' and next_due <= now()
                then next_due + interval_s * interval '1 second'
            else now() + interval_s * interval '1 second'
        end,
        last_failure = case
            when exists (select from closed) then now() else last_failure
        end,
        last_error = case
            when exists (select from closed) then 'holder lost' else last_error
        end,
        consecutive_failures = consecutive_failures + (select count(*) from closed)::int
    where name = (select name from due)
    returning name, last_start
)
insert into delta_tick_run (name, run_id, holder, started_at)
select name, %(run_id)s, %(holder)s, last_start from begun
returning id, started_at
"""

# Close a run that is open still, keep what became of it, and forget all but the last 20.
FINISH: Final[LiteralString] = """
with closed as (
    update delta_tick_run
    set outcome = %(outcome)s,
        finished_at = now(),
        duration_ms = %(duration_ms)s,
        count = %(count)s,
        count_key = %(count_key)s,
        error = %(error)s
    where id = %(id)s and finished_at is null
    returning name, finished_at
), trimmed as (
    delete from delta_tick_run
    where id = any(array(
        select id
        from delta_tick_run
        where name = (select name from closed)
        order by id desc
        offset 20
    ))
)
update delta_tick
set holder = null,
    last_success = case when %(outcome)s = 'success' then now() else last_success end,
    last_count = case when %(outcome)s = 'success' then %(count)s else last_count end,
    count_key = case
        when %(outcome)s = 'success' then coalesce(%(count_key)s, count_key) else count_key
    end,
    last_failure = case when %(outcome)s = 'failed' then now() else last_failure end,
    last_error = case when %(outcome)s = 'failed' then %(error)s else last_error end,
    last_skip = case when %(skip_reason)s::text is not null then now() else last_skip end,
    last_skip_reason = coalesce(%(skip_reason)s, last_skip_reason),
    consecutive_failures = case %(outcome)s
        when 'success' then 0
        when 'failed' then consecutive_failures + 1
        else consecutive_failures
    end,
    last_duration_ms = coalesce(%(duration_ms)s, last_duration_ms)
where name = (select name from closed)
returning now()
"""

# A tick that did not begin. Many workers meet the same lock or pause: once a second says it all.
SKIP: Final[LiteralString] = """
update delta_tick
set last_skip = now(),
    last_skip_reason = %(reason)s,
    enabled = case when %(reason)s = 'switched off' then false else enabled end
where name = %(name)s
and (
    last_skip is null
    or last_skip_reason is distinct from %(reason)s
    or last_skip <= now() - interval '1 second'
)
returning last_skip
"""

# A tick that failed before it could begin.
FAIL: Final[LiteralString] = """
update delta_tick
set last_failure = now(),
    last_error = %(error)s,
    consecutive_failures = consecutive_failures + 1
where name = %(name)s
returning last_failure
"""

# Every tick.
LIST: Final[LiteralString] = """
select
    name, interval_s, lock_id, enabled, last_start, last_success, last_failure, last_error,
    consecutive_failures, last_skip, last_skip_reason, last_count, count_key, last_duration_ms,
    next_due, holder,
    exists (
        select from delta_pause as pause
        where pause.scope = 'tick' and pause.name = delta_tick.name
        and (pause.until is null or pause.until > now())
    ) as paused
from delta_tick
order by name
"""

# The last 20 runs of every tick, the newest first.
RUNS: Final[LiteralString] = """
select
    tick.name, run.run_id, run.outcome, run.holder, run.started_at, run.finished_at,
    run.duration_ms, run.count, run.count_key, run.error
from delta_tick as tick, lateral (
    select *
    from delta_tick_run
    where delta_tick_run.name = tick.name
    order by id desc
    limit 20
) as run
order by tick.name, run.id desc
"""

# Pauses whose end has passed, and those of workers that are gone, a batch at a time.
CLEAN_PAUSES: Final[LiteralString] = """
with cleaned as (
    delete from delta_pause
    where ctid = any(array(
        select ctid
        from delta_pause
        where until <= now()
        or (
            scope = 'worker'
            and not exists (select from delta_worker where id::text = delta_pause.name)
        )
        limit %(batch)s
        for update skip locked
    ))
    returning 1
)
select count(*) from cleaned
"""

# Requests to cancel a claim that has ended by itself, a batch at a time.
CLEAN_CANCELS: Final[LiteralString] = """
with cleaned as (
    delete from delta_cancel
    where resource_id = any(array(
        select resource_id
        from delta_cancel
        where not exists (
            select from delta_resource
            where delta_resource.id = delta_cancel.resource_id
            and delta_resource.term = delta_cancel.term
            and delta_resource.lease_until is not null
        )
        limit %(batch)s
        for update skip locked
    ))
    returning 1
)
select count(*) from cleaned
"""
