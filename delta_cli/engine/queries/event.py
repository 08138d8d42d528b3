"""The ordered log of events."""

from typing import Final, LiteralString

# One page beyond a cursor, in order, and the oldest event that was there when it was read.
PAGE: Final[LiteralString] = """
select
    id, at, category::text, resource_id, namespace, kind, object_id, state::text, attempt,
    max_attempts, generation, sync_count, worker_id, duration_ms, error, actor,
    (select id from delta_event order by id limit 1) as oldest
from delta_event
where id > %(after_id)s
and (
    %(categories)s::text[] is null
    or category = any(%(categories)s::text[]::delta_event_category[])
)
and (%(kinds)s::text[] is null or kind = any(%(kinds)s))
and (%(namespaces)s::text[] is null or namespace = any(%(namespaces)s))
order by id
limit %(limit)s
"""

# The newest id, and the oldest that is still there (0: the log is empty).
BOUNDS: Final[LiteralString] = """
select
    coalesce((select id from delta_event order by id desc limit 1), 0) as newest,
    coalesce((select id from delta_event order by id limit 1), 0) as oldest
"""

# The last id before a time: from there, a reader misses nothing since.
BEFORE: Final[LiteralString] = """
select coalesce(
    (select min(id) - 1 from delta_event where at >= %(at)s),
    (select max(id) from delta_event),
    0
) as after_id
"""

# Events past their retention (negative: kept for ever), a batch at a time, the oldest first.
CLEAN: Final[LiteralString] = """
with cleaned as (
    delete from delta_event
    where id = any(array(
        select id
        from (select id, at from delta_event order by id limit %(batch)s) as oldest
        where at <= now() - %(retention)s::interval
        and %(retention)s::interval >= interval '0'
    ))
    returning id
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
