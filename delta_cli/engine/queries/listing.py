"""Resources in the order of one of their columns, which no index holds: all are looked at."""

from typing import Final, LiteralString

# The first resources beyond `after_id` in the order of a column, those without a value of it last,
# of equals the lowest id first. Text is compared as Python does. Only ids and keys are sorted, and
# of these no more than the limit is kept; whole rows are read by their ids afterwards.
FIRST: Final[LiteralString] = """
with keyed as (
    select
        id,
        case %(column)s::text
            when 'id' then id
            when 'generation' then generation
            when 'synced_generation' then synced_generation
            when 'term' then term
            when 'attempt' then attempt
            when 'max_attempts' then max_attempts
            when 'sync_count' then sync_count
            when 'priority' then priority
            when 'worker_id' then worker_id
        end as number,
        case %(column)s::text
            when 'namespace' then namespace
            when 'kind' then kind
            when 'object_id' then object_id
            when 'state' then state::text
            when 'hash' then encode(hash, 'hex')
        end collate "C" as word,
        case %(column)s::text
            when 'due_at' then due_at
            when 'lease_until' then nullif(lease_until, 'infinity')
            when 'created_at' then created_at
            when 'updated_at' then updated_at
            when 'attempted_at' then attempted_at
            when 'synced_at' then synced_at
            when 'external_created_at' then external_created_at
        end as moment
    from delta_resource
    where id > %(after_id)s
    and (%(kind)s::text is null or kind = %(kind)s)
    and (%(namespace)s::text is null or namespace = %(namespace)s)
    and (%(states)s::text[] is null or state = any(%(states)s::text[]::delta_resource_state[]))
    and (%(tags)s::text[] is null or tags @> %(tags)s)
), ordered as materialized (
    select array(
        select id
        from keyed
        order by
            case when not %(descending)s then number end,
            case when not %(descending)s then word end,
            case when not %(descending)s then moment end,
            case when %(descending)s then number end desc nulls last,
            case when %(descending)s then word end desc nulls last,
            case when %(descending)s then moment end desc nulls last,
            id
        limit %(limit)s
    ) as ids
)
select
    id, namespace, kind, object_id, state::text, generation, synced_generation, term, attempt,
    max_attempts, sync_count, priority, due_at, nullif(lease_until, 'infinity') as lease_until,
    worker_id, created_at, updated_at, attempted_at, synced_at, external_created_at, object, hash,
    last_synced_object, metadata, tags, errors
from ordered
cross join unnest(ordered.ids) with ordinality as wanted(wanted_id, position)
cross join lateral (
    select * from delta_resource where delta_resource.id = wanted.wanted_id limit 1
) as resource
order by wanted.position
"""
