"""Resources as clients see them: inform, read, page, and the repairs of operators."""

from typing import Final, LiteralString

# Make namespaces known, so that claims have their lanes.
ENSURE_NAMESPACES: Final[LiteralString] = """
insert into delta_namespace (name)
select distinct given.name
from unnest(%(namespaces)s::text[]) as given(name)
where not exists (select from delta_namespace as known where known.name = given.name)
on conflict (name) do nothing
"""

# The same beside a caller's open transaction, which may itself be what stands in the way: then it
# is given up soon.
ENSURE_NAMESPACES_BESIDE: Final[LiteralString] = """
with patience as materialized (
    select set_config('lock_timeout', '1s', true)
)
insert into delta_namespace (name)
select distinct given.name
from unnest(%(namespaces)s::text[]) as given(name)
cross join patience
where not exists (select from delta_namespace as known where known.name = given.name)
on conflict (name) do nothing
"""

# What an inform of each key would do, without writing. `verdict` says new, write, unchanged or
# skipped; the stored object comes along where `compare()` is to be asked.
LOOK_UP: Final[LiteralString] = """
select
    (given.position - 1)::int as position,
    case
        when stored.id is null then 'new'
        when stored.state = 'deleted' then case when %(revive)s then 'write' else 'skipped' end
        when stored.hash <> given.hash then 'write'
        when stored.state = 'degraded' then 'write'
        when stored.state = 'synced' and %(process_existing)s then 'write'
        else 'unchanged'
    end as verdict,
    coalesce(stored.generation, 0) as generation,
    stored.hash,
    case when %(with_objects)s then stored.object::text end as object
from unnest(%(object_ids)b::text[], %(hashes)b::bytea[], %(namespaces)b::text[])
    with ordinality as given(object_id, hash, namespace, position)
left join lateral (
    select id, state, hash, generation, object
    from delta_resource
    where kind = %(kind)s
    and namespace = coalesce(given.namespace, %(namespace_of_all)s)
    and object_id = given.object_id
    limit 1
) as stored on true
"""

# Upsert one batch of one kind, sorted by key and without repeats. The lateral filters unchanged
# rows before the insert sees them: `on conflict ... where` alone would lock and log each of them.
# `sift` switches that off for a batch in which hardly any can be unchanged.
# Where the caller has compared objects (`guarded`), a row is written only if its generation is
# still the one that was compared: the inserted generation is that one plus 1. A column that is the
# same for all rows comes once beside an empty array, which `unnest` fills with nulls: making arrays
# is most of what a batch costs the client. `are_known`: the batch's namespaces are there; a
# transaction that sees the database as it was when it began cannot tell.
UPSERT: Final[LiteralString] = """
with given as materialized (
    select
        coalesce(given.namespace, %(namespace_of_all)s) as namespace,
        given.object_id, given.object, given.hash, given.created_at,
        coalesce(given.priority, %(priority_of_all)s) as priority,
        coalesce(given.max_attempts, %(max_attempts_of_all)s) as max_attempts,
        coalesce(given.tags, %(tags_of_all)s) as tags,
        coalesce(given.metadata, %(metadata_of_all)s) as metadata,
        coalesce(given.generation, 0) as generation
    from unnest(
        %(object_ids)b::text[], %(objects)b::text[], %(hashes)b::bytea[], %(namespaces)b::text[],
        %(created)b::timestamptz[], %(priorities)b::smallint[], %(max_attempts)b::int[],
        %(tags)b::text[], %(metadata)b::text[], %(generations)b::int[]
    ) as given(
        object_id, object, hash, namespace, created_at, priority, max_attempts, tags, metadata,
        generation
    )
    left join lateral (
        select id, state, hash
        from delta_resource
        where %(sift)s
        and kind = %(kind)s
        and namespace = coalesce(given.namespace, %(namespace_of_all)s)
        and object_id = given.object_id
        limit 1
    ) as stored on true
    where stored.id is null
    or case
        when stored.state = 'deleted' then %(revive)s
        else stored.hash <> given.hash
            or stored.state = 'degraded'
            or (stored.state = 'synced' and %(process_existing)s)
    end
), controlled as materialized (
    select exists (select from delta_controller where kind = %(kind)s) as is_controlled
), namespaces as materialized (
    select
        current_setting('transaction_isolation') in ('repeatable read', 'serializable')
        or not exists (
            select from unnest(%(names)b::text[]) as given(name)
            where not exists (select from delta_namespace as known where known.name = given.name)
        ) as are_known
)
insert into delta_resource as stored (
    namespace, kind, object_id, state, generation, max_attempts, priority, due_at,
    external_created_at, object, hash, metadata, tags
)
select
    given.namespace, %(kind)s, given.object_id,
    case when is_controlled then 'scheduled'::delta_resource_state else 'unknown' end,
    given.generation + 1, given.max_attempts, given.priority,
    case when is_controlled then now() end,
    given.created_at, given.object::jsonb, given.hash, given.metadata::jsonb,
    coalesce(string_to_array(nullif(given.tags, ''), ','), '{}')
from given
cross join controlled
on conflict (kind, namespace, object_id) do update
set state = case when stored.state = 'pending' then stored.state else excluded.state end,
    generation = stored.generation
        + (stored.hash <> excluded.hash or stored.state = 'deleted')::int,
    attempt = case when stored.state = 'pending' then stored.attempt else 0 end,
    due_at = case when stored.state <> 'pending' then excluded.due_at end,
    errors = case when stored.state = 'pending' then stored.errors else '[]' end,
    claimed_object = case
        when stored.state = 'pending' then coalesce(stored.claimed_object, stored.object)
    end,
    last_synced_object = nullif(
        case
            when stored.synced_at is not null and stored.last_synced_object is null
                then stored.object
            else stored.last_synced_object
        end,
        excluded.object
    ),
    object = excluded.object,
    hash = excluded.hash,
    external_created_at = excluded.external_created_at,
    max_attempts = excluded.max_attempts,
    priority = excluded.priority,
    metadata = excluded.metadata,
    tags = excluded.tags,
    updated_at = now()
where (not %(guarded)s or excluded.generation = stored.generation + 1)
and case
    when stored.state = 'deleted' then %(revive)s
    else stored.hash <> excluded.hash
        or stored.state = 'degraded'
        or (stored.state = 'synced' and %(process_existing)s)
end
returning
    stored.namespace, stored.object_id, stored.xmax = 0 as is_new,
    (select are_known from namespaces)
"""

# One resource by its key.
GET: Final[LiteralString] = """
select
    id, namespace, kind, object_id, state::text, generation, synced_generation, term, attempt,
    max_attempts, sync_count, priority, due_at, nullif(lease_until, 'infinity') as lease_until,
    worker_id, created_at, updated_at, attempted_at, synced_at, external_created_at, object, hash,
    last_synced_object, metadata, tags, errors
from delta_resource
where kind = %(kind)s
and namespace = %(namespace)s
and object_id = %(object_id)s
"""

# One page of resources in the order of their ids, beyond `after_id`.
PAGE: Final[LiteralString] = """
select
    id, namespace, kind, object_id, state::text, generation, synced_generation, term, attempt,
    max_attempts, sync_count, priority, due_at, nullif(lease_until, 'infinity') as lease_until,
    worker_id, created_at, updated_at, attempted_at, synced_at, external_created_at, object, hash,
    last_synced_object, metadata, tags, errors
from delta_resource
where id > %(after_id)s
and (%(kind)s::text is null or kind = %(kind)s)
and (%(namespace)s::text is null or namespace = %(namespace)s)
and (%(states)s::text[] is null or state = any(%(states)s::text[]::delta_resource_state[]))
and (%(tags)s::text[] is null or tags @> %(tags)s)
and (%(object_ids)s::text[] is null or object_id = any(%(object_ids)s))
order by id
limit %(limit)s
"""

# How many resources of each lane are in each state, how long the oldest has been due, and whether
# the lane is paused.
COUNTS: Final[LiteralString] = """
select
    kind, namespace, state, count(*) as resources,
    count(*) filter (where due_at <= now()) as due,
    min(due_at) filter (where due_at <= now()) as oldest_due_at,
    exists (
        select from delta_pause
        where (scope, name) in (('kind', kind), ('namespace', namespace))
        and coalesce(until, 'infinity') > now()
    ) as paused
from delta_resource
group by kind, namespace, state
order by kind, namespace, state
"""

# Whether anything of these lanes is due now, worked, or with `informs` reported or due to be: a
# drain waits for it.
# What is paused is not due, for however long: only what runs of it is waited for. Lane by lane, so
# that a million due rows of a paused lane are not looked through; in the order of the leases, since
# the planner else looks for the kinds in the index of all keys.
UNFINISHED: Final[LiteralString] = """
with paused as materialized (
    select scope, name from delta_pause where coalesce(until, 'infinity') > now()
), pausing as materialized (
    select
        array(select name from paused where scope = 'kind') as kinds,
        array(select name from paused where scope = 'namespace') as namespaces,
        exists (
            select from paused where scope = 'worker' and name = %(worker_id)s::bigint::text
        ) as worker
)
select
    exists (
        select
        from pausing
        cross join unnest(%(kinds)s::text[]) as kind(name)
        cross join delta_namespace as namespace
        cross join generate_series(1, 4) as level(priority)
        cross join lateral (
            select
            from delta_resource
            where kind = kind.name
            and namespace = namespace.name
            and priority = level.priority
            and due_at <= now()
            limit 1
        ) as due
        where (%(namespaces)s::text[] is null or namespace.name = any(%(namespaces)s::text[]))
        and kind.name <> all(pausing.kinds)
        and namespace.name <> all(pausing.namespaces)
        and not pausing.worker
    ) or coalesce((
        select true
        from delta_resource
        where lease_until is not null
        and kind = any(%(kinds)s::text[])
        and (%(namespaces)s::text[] is null or namespace = any(%(namespaces)s::text[]))
        order by lease_until
        limit 1
    ), false) or exists (
        select
        from pausing
        cross join delta_inform as run
        where %(informs)s::bool
        and run.kind = any(%(kinds)s::text[])
        and (
            run.state = 'running'
            or (run.state = 'queued' and run.kind <> all(pausing.kinds) and not pausing.worker)
        )
    ) or exists (
        -- The next pass queues their runs.
        select
        from pausing
        cross join delta_controller as controller
        where %(informs)s::bool
        and controller.kind = any(%(kinds)s::text[])
        and controller.inform_due_at <= now()
        and controller.kind <> all(pausing.kinds)
        and not pausing.worker
    ) as unfinished
"""

# An operator's repair of one batch of rows. Rows in another state are left alone; each row that is
# changed gets its event with the actor, when the transaction commits: it may be a caller's own, and
# must not keep the log from others until then. Rows held by somebody are waited for, in the order
# of ids.
REPAIR: Final[LiteralString] = """
with picked as materialized (
    select id
    from delta_resource
    where id = any(%(ids)s)
    and state = any(%(from_states)s::text[]::delta_resource_state[])
    order by id
    for update
), repaired as (
    update delta_resource
    set state = %(to_state)s::text::delta_resource_state,
        due_at = case when %(due)s then now() end,
        attempt = case when %(new_round)s then 0 else attempt end,
        errors = case when %(new_round)s then '[]' else errors end,
        updated_at = now()
    where id = any(array(select id from picked))
    returning *
), event as (
    insert into delta_event_at_commit (
        category, resource_id, namespace, kind, object_id, state, attempt, max_attempts,
        generation, sync_count, actor
    )
    select
        %(category)s::text::delta_event_category, id, namespace, kind, object_id, state, attempt,
        max_attempts, generation, sync_count, %(actor)s
    from repaired
)
select id from repaired order by id
"""

# Resources of kinds that had no controller until now become due, a batch at a time. An inform that
# did not see the controller may commit after it has registered, so this is asked again and again.
ADOPT: Final[LiteralString] = """
with adopted as (
    update delta_resource
    set state = 'scheduled', due_at = now(), updated_at = now()
    where id = any(array(
        select id
        from delta_resource
        where state = 'unknown'
        and kind = any(array(select kind from delta_controller))
        limit %(batch)s
        for update skip locked
    ))
    returning id
)
select count(*) from adopted
"""

# Synced longer ago than the TTL of its namespace, a batch at a time, the oldest first. Which
# namespace comes first is drawn for each batch: one that has a million of them delays no other.
EXPIRE: Final[LiteralString] = """
with expired as (
    update delta_resource
    set state = 'expired', due_at = now(), updated_at = now()
    where id = any(array(
        select aged.id
        from (
            select name, expiry_ttl
            from delta_namespace
            where expiry_ttl > interval '0'
            order by random()
        ) as namespace
        cross join lateral (
            select id
            from delta_resource
            where namespace = namespace.name
            and state = 'synced'
            and due_at is null
            and lease_until is null
            and updated_at <= now() - namespace.expiry_ttl
            order by updated_at
            limit %(batch)s
            for update skip locked
        ) as aged
        limit %(batch)s
    ))
    returning id
)
select count(*) from expired
"""

# Rows past the retention of their namespace, a batch at a time, from namespaces and states in an
# order that is drawn for each batch. A synced row of a namespace with a TTL is never cleaned: it is
# to be worked again.
CLEAN: Final[LiteralString] = """
with cleaned as (
    delete from delta_resource
    where id = any(array(
        select aged.id
        from (
            select namespace.name, rule.state, rule.retention
            from delta_namespace as namespace
            cross join lateral (
                values
                    (
                        'synced'::delta_resource_state,
                        case
                            when coalesce(namespace.expiry_ttl, '0') <= interval '0'
                                then coalesce(namespace.synced_retention, %(synced)s::interval)
                        end
                    ),
                    ('degraded', coalesce(namespace.degraded_retention, %(degraded)s::interval)),
                    ('deleted', coalesce(namespace.deleted_retention, %(deleted)s::interval))
            ) as rule(state, retention)
            where rule.retention >= interval '0'
            order by random()
        ) as rule
        cross join lateral (
            select id
            from delta_resource
            where namespace = rule.name
            and state = rule.state
            and due_at is null
            and lease_until is null
            and updated_at <= now() - rule.retention
            order by updated_at
            limit %(batch)s
            for update skip locked
        ) as aged
        limit %(batch)s
    ))
    returning id
)
select count(*) from cleaned
"""

# The database's clock, the only one that counts.
NOW: Final[LiteralString] = """
select now()
"""
