"""What the dashboard looks at, again and again while it is open: every statement is bounded.

None of them reads all of a large table at once: counts come in chunks of ids, candidates of a list
from the index that holds their state, and of each index no more than a given number of entries.
"""

from typing import Final, LiteralString

# How the resources of one stretch of ids stand. The stretch is ended by an id, or after `limit`
# rows; `last` is the highest id among those counted.
COUNT_CHUNK: Final[LiteralString] = """
select kind, namespace, state::text, count(*) as resources, max(id) as last
from (
    select id, kind, namespace, state
    from delta_resource
    where id > %(after_id)s and id <= %(until_id)s
    order by id
    limit %(limit)s
) as chunk
group by kind, namespace, state
"""

# How many resources of each lane are due, counted up to `cap` a priority, and since when the oldest
# of them is.
DUE: Final[LiteralString] = """
select controller.kind, namespace.name, sum(due.resources)::int as due, min(due.oldest) as oldest
from delta_controller as controller
cross join delta_namespace as namespace
cross join generate_series(1, 4) as level(priority)
cross join lateral (
    select count(*) as resources, min(due_at) as oldest
    from (
        select due_at
        from delta_resource
        where kind = controller.kind
        and namespace = namespace.name
        and priority = level.priority
        and due_at <= now()
        order by due_at
        limit %(cap)s
    ) as first
) as due
group by controller.kind, namespace.name
having sum(due.resources) > 0
"""

# What is being worked, by lane and worker, and since when the oldest of it is.
PENDING: Final[LiteralString] = """
select kind, namespace, worker_id, count(*)::int as resources, min(attempted_at) as oldest
from delta_resource
where lease_until is not null
group by kind, namespace, worker_id
"""

# Candidates of a list, the newest first, out of the next `look` rows below `before_id`; beside
# them how many rows were looked at and the lowest id among those.
CANDIDATES: Final[LiteralString] = """
with looked as materialized (
    select id, kind, namespace, object_id, state, tags, worker_id
    from delta_resource
    where id < %(before_id)s
    order by id desc
    limit %(look)s
)
select
    array(
        select id
        from looked
        where (%(kind)s::text is null or kind = %(kind)s)
        and (%(namespace)s::text is null or namespace = %(namespace)s)
        and (%(states)s::text[] is null or state::text = any(%(states)s::text[]))
        and (%(worker_id)s::bigint is null or worker_id = %(worker_id)s)
        and (%(tags)s::text[] is null or tags @> %(tags)s::text[])
        and (%(text)s::text is null or strpos(lower(object_id), lower(%(text)s)) > 0)
        order by id desc
        limit %(limit)s
    ) as ids,
    (select count(*) from looked) as looked,
    (select min(id) from looked) as lowest
"""

# Candidates that wait for their due time (scheduled, failed, expired), of each lane and priority
# the next due, at most `look` of them.
CANDIDATES_DUE: Final[LiteralString] = """
with looked as materialized (
    select due.*
    from delta_controller as controller
    cross join delta_namespace as namespace
    cross join generate_series(1, 4) as level(priority)
    cross join lateral (
        select id, object_id, state, tags
        from delta_resource
        where kind = controller.kind
        and namespace = namespace.name
        and priority = level.priority
        and due_at is not null
        order by due_at
        limit %(look)s
    ) as due
    where (%(kind)s::text is null or controller.kind = %(kind)s)
    and (%(namespace)s::text is null or namespace.name = %(namespace)s)
    limit %(look)s
)
select
    array(
        select id
        from looked
        where state::text = any(%(states)s::text[])
        and (%(tags)s::text[] is null or tags @> %(tags)s::text[])
        and (%(text)s::text is null or strpos(lower(object_id), lower(%(text)s)) > 0)
        limit %(limit)s
    ) as ids,
    (select count(*) from looked) as looked,
    null::bigint as lowest
"""

# Candidates that are being worked, of one worker or all.
CANDIDATES_PENDING: Final[LiteralString] = """
with looked as materialized (
    select id, kind, namespace, object_id, tags, worker_id
    from delta_resource
    where lease_until is not null
    limit %(look)s
)
select
    array(
        select id
        from looked
        where (%(kind)s::text is null or kind = %(kind)s)
        and (%(namespace)s::text is null or namespace = %(namespace)s)
        and (%(worker_id)s::bigint is null or worker_id = %(worker_id)s)
        and (%(tags)s::text[] is null or tags @> %(tags)s::text[])
        and (%(text)s::text is null or strpos(lower(object_id), lower(%(text)s)) > 0)
        limit %(limit)s
    ) as ids,
    (select count(*) from looked) as looked,
    null::bigint as lowest
"""

# Candidates at rest (synced, degraded, deleted, unknown), of each namespace and state those that
# changed last, at most `look` of them.
CANDIDATES_AT_REST: Final[LiteralString] = """
with looked as materialized (
    select rest.*
    from delta_namespace as namespace
    cross join unnest(%(states)s::text[]::delta_resource_state[]) as wanted(state)
    cross join lateral (
        select id, kind, object_id, tags
        from delta_resource
        where namespace = namespace.name
        and state = wanted.state
        and due_at is null
        and lease_until is null
        order by updated_at desc
        limit %(look)s
    ) as rest
    where %(namespace)s::text is null or namespace.name = %(namespace)s
    limit %(look)s
)
select
    array(
        select id
        from looked
        where (%(kind)s::text is null or kind = %(kind)s)
        and (%(tags)s::text[] is null or tags @> %(tags)s::text[])
        and (%(text)s::text is null or strpos(lower(object_id), lower(%(text)s)) > 0)
        limit %(limit)s
    ) as ids,
    (select count(*) from looked) as looked,
    null::bigint as lowest
"""

# The rows of a list, without their objects.
LINES: Final[LiteralString] = """
select
    id, namespace, kind, object_id, state::text, generation, attempt, max_attempts, due_at,
    updated_at, synced_at, worker_id, last_synced_object is not null as drifted,
    left(errors -> -1 ->> 'error', 200) as error, left(errors -> -1 ->> 'message', 200) as message
from delta_resource
where id = any(%(ids)s)
"""

# Every resource with one object id, of a kind or of all: what `kind/id` leads to.
FIND: Final[LiteralString] = """
select id
from delta_resource
where object_id = %(object_id)s
and (%(kind)s::text is null or kind = %(kind)s)
and (%(namespace)s::text is null or namespace = %(namespace)s)
limit %(limit)s
"""

# The slots of fleet-wide limits that each worker holds.
GRANTS: Final[LiteralString] = """
select worker_id, scope, name, granted, used from delta_grant order by worker_id, scope, name
"""

# Whether this session can change anything.
IS_READ_ONLY: Final[LiteralString] = """
select current_setting('default_transaction_read_only') = 'on' as read_only
"""
