"""The ordered log of events."""

from typing import Final, LiteralString

# One page beyond a cursor, in order, with the newest and the oldest id that the log held at that
# moment, up to where retention has cut it, and how far was looked; a page without events is one row
# of nulls beside those. One stretch of ids at a time: of a log that has grown since its statistics
# were taken, the planner would rather sort all that lies beyond the cursor, and again for each
# page.
PAGE: Final[LiteralString] = """
with bounds as materialized (
    select
        (select id from delta_event order by id desc limit 1) as newest,
        (select id from delta_event order by id limit 1) as oldest,
        (select id from delta_event where id > %(after_id)s::bigint order by id limit 1) as next,
        (select up_to from delta_event_cut) as cut
)
select
    page.*, bounds.newest, bounds.oldest, bounds.cut,
    least(bounds.newest, bounds.next + %(stretch)s::bigint - 1) as reached
from bounds
left join lateral (
    select
        id, at, category::text, resource_id, namespace, kind, object_id, state::text, attempt,
        max_attempts, generation, sync_count, worker_id, duration_ms, error, actor
    from delta_event
    where id >= bounds.next
    and id < bounds.next + %(stretch)s::bigint
    and (
        %(categories)s::text[] is null
        or category = any(%(categories)s::text[]::delta_event_category[])
    )
    and (%(kinds)s::text[] is null or kind = any(%(kinds)s))
    and (%(namespaces)s::text[] is null or namespace = any(%(namespaces)s))
    and (%(object_ids)s::text[] is null or object_id = any(%(object_ids)s))
    order by id
    limit %(limit)s
) as page on true
order by page.id
"""

# The newest id that anybody has seen, and the oldest that is still there (null: the log is empty).
# Where retention has emptied the log, ids are counted by their sequence, once no writer is amid its
# own; a role that may not read the sequence sees zero.
BOUNDS: Final[LiteralString] = """
with emptied as materialized (
    select
        pg_advisory_xact_lock_shared(
            hashtextextended(current_schema() || '.delta_event', 0)
        ) as quiet,
        pg_get_serial_sequence('delta_event', 'id') as ids
    where not exists (select from delta_event)
)
select
    coalesce(
        (select id from delta_event order by id desc limit 1),
        (
            select pg_sequence_last_value(ids::regclass)
            from emptied
            where has_sequence_privilege(ids, 'usage, select')
        ),
        0
    ) as newest,
    (select id from delta_event order by id limit 1) as oldest
"""

# The last id before a time, by bisection: times grow with ids, and a scan would read the whole log.
# All up to `low` is older, all beyond `high` is not.
BEFORE: Final[LiteralString] = """
with recursive bisection(low, high) as (
    (
        select
            (select id - 1 from delta_event order by id limit 1),
            (select id from delta_event order by id desc limit 1)
    )
    union all
    select
        case when middle.at < %(at)s then middle.id else low end,
        case when middle.at < %(at)s then high else middle.id - 1 end
    from bisection
    cross join lateral (
        select (low + high + 1) / 2 as id, (
            select at from delta_event where id <= (low + high + 1) / 2 order by id desc limit 1
        ) as at
    ) as middle
    where low < high
)
select low as after_id from bisection where low = high
"""

# The last events of one resource, the newest first. There is no index of resources: one more costs
# each completion as much as the rest of its event. A log is read backwards at ten million rows a
# second, so it is looked through to a fixed depth.
TIMELINE: Final[LiteralString] = """
select
    id, at, category::text, resource_id, namespace, kind, object_id, state::text, attempt,
    max_attempts, generation, sync_count, worker_id, duration_ms, error, actor
from delta_event
where resource_id = %(resource_id)s
and id > (select id from delta_event order by id desc limit 1) - %(depth)s::bigint
order by id desc
limit %(limit)s
"""

# Events past their retention (negative: kept for ever), a batch at a time, the oldest first; and
# the mark of how far the log is cut.
CLEAN: Final[LiteralString] = """
with cleaned as (
    delete from delta_event
    where id = any(array(
        select id
        from (
            select id, at from delta_event order by id limit %(batch)s for update skip locked
        ) as oldest
        where at <= now() - %(retention)s::interval
        and %(retention)s::interval >= interval '0'
    ))
    returning id
),
marked as (
    update delta_event_cut
    set up_to = greatest(up_to, (select max(id) from cleaned))
    where exists (select from cleaned)
)
select count(*) from cleaned
"""

# Wake whoever listens. A hint only: whoever misses it finds the rows by polling, so its commit need
# not wait for the disk.
NOTIFY: Final[LiteralString] = """
select
    set_config('synchronous_commit', 'off', true),
    pg_notify(current_schema() || '.' || %(channel)s, %(payload)s)
"""

# The same within a caller's transaction, whose commit is none of our business.
NOTIFY_WITHIN: Final[LiteralString] = """
select pg_notify(current_schema() || '.' || %(channel)s, %(payload)s)
"""
