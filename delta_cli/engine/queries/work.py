"""The hot path on `delta_resource`: find due lanes, claim, complete, release, rescue.

A completion names the term of its claim. The term grows at every claim, rescue and release, so a
worker that lost its claim changes nothing.
"""

from typing import Final, LiteralString

# Which lanes have rows that are due, and when each lane's next row will be, in seconds from now. A
# lane that is paused for a time is due at its end at the earliest, one that is paused for good is
# left out. Materialized, so that each lane asks for its pause once.
DUE_LANES: Final[LiteralString] = """
with lane as materialized (
    select
        kind.name as kind,
        namespace.name as namespace,
        (
            select max(coalesce(until, 'infinity'))
            from delta_pause as pause
            where coalesce(until, 'infinity') > now()
            and (
                (scope = 'kind' and pause.name = kind.name)
                or (scope = 'namespace' and pause.name = namespace.name)
                or (scope = 'worker' and pause.name = %(worker_id)s::bigint::text)
            )
        ) as paused_until
    from unnest(%(kinds)s::text[]) as kind(name)
    cross join delta_namespace as namespace
    where %(namespaces)s::text[] is null or namespace.name = any(%(namespaces)s::text[])
)
select
    lane.kind,
    lane.namespace,
    extract(epoch from greatest(min(next.due_at), lane.paused_until) - now())::float8 as due_in
from lane
cross join generate_series(1, 4) as level(priority)
cross join lateral (
    select due_at
    from delta_resource
    where kind = lane.kind
    and namespace = lane.namespace
    and priority = level.priority
    and due_at is not null
    order by due_at
    limit 1
) as next
where lane.paused_until is distinct from 'infinity'
group by lane.kind, lane.namespace, lane.paused_until
order by due_in
"""

# Claim due rows, lane by lane, each at most its free slots, urgent priorities first. The limits
# nest, so that no row is locked beyond a lane's slots; `any(array(...))` goes straight to the rows
# just locked, where a join would be planned as a scan of the table. Locked rows stay in their
# place; one that moved between the statement's snapshot and its lock is left for the next claim.
# Pauses and limits of the fleet are read as arrays, once per statement: as joins they might be
# asked after rows are locked, and asked lane by lane they cost more. A lane under a limit of the
# fleet gives nothing without a grant, whose row is locked against its removal until the commit: a
# worker that slept while it was given up cannot claim past the limit. The advisory lock is for
# whoever waits for claims that were not heard of. The commit waits for the
# disk: a claim that a crash of the server loses would have its term given out a second time. JSON
# comes as text, and not at all where it is empty: parsing it for each row cost more than the rest
# of the claim.
CLAIM: Final[LiteralString] = """
with claiming as materialized (
    select pg_advisory_xact_lock_shared(
        hashtextextended(current_schema() || '.delta_claim', %(worker_id)s::bigint)
    )
), paused as materialized (
    select scope, name from delta_pause where coalesce(until, 'infinity') > now()
), granted as materialized (
    select scope, name
    from delta_grant
    where worker_id = %(worker_id)s::bigint
    order by scope, name
    for key share
), picked as materialized (
    select chosen.tid
    from unnest(%(kinds)b::text[], %(namespaces)b::text[], %(slots)b::int[])
        as lane(kind, namespace, slots)
    cross join lateral (
        select candidate.tid
        from generate_series(1, 4) as level(priority)
        cross join lateral (
            select ctid as tid
            from delta_resource
            where kind = lane.kind
            and namespace = lane.namespace
            and priority = level.priority
            and due_at <= now()
            order by due_at
            limit lane.slots
            for update skip locked
        ) as candidate
        limit lane.slots
    ) as chosen
    where (select count(*) from claiming) = 1
    and lane.kind <> all(array(select name from paused where scope = 'kind'))
    and lane.namespace <> all(array(select name from paused where scope = 'namespace'))
    and not exists (
        select from paused where scope = 'worker' and name = %(worker_id)s::bigint::text
    )
    and lane.kind <> all(array(
        select kind
        from delta_controller
        where fleet_parallelism is not null
        and kind not in (select name from granted where scope = 'kind')
    ))
    and lane.namespace <> all(array(
        select name
        from delta_namespace
        where fleet_max_workers is not null
        and name not in (select name from granted where scope = 'namespace')
    ))
)
update delta_resource
set state = 'pending',
    term = term + 1,
    attempt = attempt + 1,
    due_at = null,
    lease_until = coalesce(
        now() + (%(leases)b::jsonb ->> kind)::float8 * interval '1 second', 'infinity'
    ),
    worker_id = %(worker_id)s::bigint,
    attempted_at = now(),
    updated_at = now()
where ctid = any(array(select tid from picked))
returning
    id, namespace, kind, object_id, generation, synced_generation, term, attempt, max_attempts,
    sync_count, priority, created_at, attempted_at, synced_at, external_created_at,
    case when metadata <> '{}' then metadata::text end,
    case when tags <> '{}' then array_to_json(tags)::text end,
    case when errors <> '[]' then errors::text end,
    object::text, last_synced_object::text
"""

# Land finished works: states, errors and events of a whole batch. Rows are found through their key
# only: a lateral with a limit cannot be turned round, and `lease_until is not null` would offer the
# planner the index of leases, which it then reads once per row. What is found is updated by its
# place in the table, which saves a second search; its term is asked once more, of the row as it is
# when its turn has come. For a row that somebody holds there is little patience, and then the
# statement fails: to lock each row beforehand would cost a tenth of a completion. Where that was
# done, there is no end to it ('0'). A column that is the same for all rows comes once beside an
# empty array. The advisory lock is taken, and waited for without end, when all rows are updated and
# before the first event id is drawn, and held until the commit, so that ids become visible in
# order.
COMPLETE: Final[LiteralString] = """
with patience as materialized (
    select set_config('lock_timeout', %(patience)s, true)
), outcome as materialized (
    select
        held.tid,
        coalesce(outcome.generation, %(generation_of_all)s::int) as generation,
        coalesce(outcome.state, %(state_of_all)s)::delta_resource_state as state,
        coalesce(outcome.attempt, %(attempt_of_all)s::int) as attempt,
        coalesce(outcome.delay_s, %(delay_of_all)s::float8) as delay_s,
        coalesce(outcome.category, %(category_of_all)s)::delta_event_category as category,
        outcome.duration_ms,
        outcome.error::jsonb as error,
        outcome.actor,
        outcome.term,
        held.worker_id,
        held.attempt as claimed_attempt,
        coalesce(outcome.state, %(state_of_all)s) = 'synced' as synced
    from patience
    cross join unnest(
        %(ids)b::bigint[], %(terms)b::int[], %(durations)b::float8[], %(generations)b::int[],
        %(states)b::text[], %(attempts)b::int[], %(delays)b::float8[], %(categories)b::text[],
        %(errors)b::text[], %(actors)b::text[]
    ) as outcome(
        id, term, duration_ms, generation, state, attempt, delay_s, category, error, actor
    )
    cross join lateral (
        select ctid as tid, worker_id, attempt
        from delta_resource
        where id = outcome.id
        and term = outcome.term
        and state = 'pending'
        limit 1
    ) as held
), done as (
    update delta_resource as resource
    set state = case
            when resource.generation <> outcome.generation then 'scheduled'
            else outcome.state
        end,
        attempt = case
            when resource.generation <> outcome.generation then 0
            else outcome.attempt
        end,
        due_at = case
            when resource.generation <> outcome.generation then now()
            else now() + outcome.delay_s * interval '1 second'
        end,
        lease_until = null,
        worker_id = null,
        claimed_object = null,
        updated_at = now(),
        synced_at = case when outcome.synced then now() else resource.synced_at end,
        synced_generation = case
            when outcome.synced then outcome.generation
            else resource.synced_generation
        end,
        sync_count = resource.sync_count + outcome.synced::int,
        last_synced_object = case
            when outcome.synced and resource.generation <> outcome.generation
                then nullif(resource.claimed_object, resource.object)
            when outcome.synced then null
            else resource.last_synced_object
        end,
        errors = case
            when outcome.synced then '[]'
            when outcome.error is null then resource.errors
            else jsonb_path_query_array(
                resource.errors || (outcome.error || jsonb_build_object('at', now())),
                '$[$oldest to last]',
                jsonb_build_object('oldest', greatest(
                    jsonb_array_length(resource.errors) + 1 - resource.max_attempts, 0
                ))
            )
        end
    from outcome
    where resource.ctid = outcome.tid
    and resource.term = outcome.term
    and resource.state = 'pending'
    returning
        resource.id, resource.namespace, resource.kind, resource.object_id, resource.state,
        resource.max_attempts, resource.sync_count, outcome.claimed_attempt, outcome.generation,
        case
            -- Gone is only what was worked, not what has been informed since.
            when resource.generation <> outcome.generation and outcome.state = 'deleted' then null
            else outcome.category
        end as category,
        outcome.duration_ms, outcome.worker_id, outcome.actor,
        case when outcome.error is not null then outcome.error ->> 'message' end as message,
        extract(epoch from resource.due_at - now())::float8 as due_in
), locked as materialized (
    select pg_advisory_xact_lock(hashtextextended(current_schema() || '.delta_event', 0))
    from (
        select count(*), set_config('lock_timeout', '0', true) as endless from done
    ) as finished
    where endless = '0'
), event as (
    insert into delta_event (
        category, resource_id, namespace, kind, object_id, state, attempt, max_attempts,
        generation, sync_count, worker_id, duration_ms, error, actor
    )
    select
        category, id, namespace, kind, object_id, state, claimed_attempt, max_attempts,
        generation, sync_count, worker_id, duration_ms, message, actor
    from locked
    cross join done
    where category is not null
)
select id, due_in from done
"""

# Lock what can be locked of these claims, around the rows that somebody holds for the moment, or
# has moved since the statement began.
LOCK_CLAIMS: Final[LiteralString] = """
select held.id
from unnest(%(ids)b::bigint[], %(terms)b::int[]) as claimed(id, term)
cross join lateral (
    select id
    from delta_resource
    where id = claimed.id
    and term = claimed.term
    and state = 'pending'
    limit 1
    for update skip locked
) as held
"""

# Of the rows that a completion or a release left out: those still ours, held by somebody for the
# moment.
STILL_HELD: Final[LiteralString] = """
select claimed.id
from unnest(%(ids)b::bigint[], %(terms)b::int[]) as claimed(id, term)
cross join lateral (
    select id
    from delta_resource
    where id = claimed.id
    and term = claimed.term
    and state = 'pending'
    limit 1
) as held
"""

# Wait for claims of a worker that the server still makes though nobody hears of them any more, as
# when the connection broke while a commit waited for the disk.
AWAIT_CLAIMS: Final[LiteralString] = """
select pg_advisory_xact_lock(
    hashtextextended(current_schema() || '.delta_claim', %(worker_id)s::bigint)
)
"""

# All that a worker has claimed.
CLAIMS_OF: Final[LiteralString] = """
select id, term from delta_resource where lease_until is not null and worker_id = %(worker_id)s
"""

# Give claims back unworked: a hard stop, or a claim that was never heard of. The attempt does not
# count. A row that somebody holds, perhaps for long, is left out: it must not keep the others.
RELEASE: Final[LiteralString] = """
update delta_resource
set state = 'scheduled',
    term = term + 1,
    attempt = case when claimed_object is null then attempt - 1 else 0 end,
    due_at = now(),
    lease_until = null,
    worker_id = null,
    claimed_object = null,
    updated_at = now()
where id = any(array(
    select held.id
    from unnest(%(ids)b::bigint[], %(terms)b::int[]) as claimed(id, term)
    cross join lateral (
        select id
        from delta_resource
        where id = claimed.id
        and term = claimed.term
        and state = 'pending'
        limit 1
        for update skip locked
    ) as held
))
returning id
"""

# Return one batch of claims whose worker is lost or whose lease ran out. The attempt counts, so a
# resource that kills its worker ends degraded; one with a newer object begins a new round. In the
# order of the leases, since in that of the ids the whole table would be read for the few. What the
# event tells of the claim comes with the update: a second join of the batch would compare each row
# with each other.
RESCUE: Final[LiteralString] = """
with overdue as materialized (
    select ctid as tid, attempt as claimed_attempt, worker_id as lost_worker_id
    from delta_resource
    where lease_until is not null
    and (
        lease_until <= now()
        or not exists (
            select from delta_worker as worker
            where worker.id = delta_resource.worker_id
            and worker.state in ('running', 'draining')
        )
    )
    order by lease_until
    limit %(batch)s
    for update skip locked
), rescued as (
    update delta_resource as resource
    set state = case
            when claimed_object is null and attempt >= max_attempts
                then 'degraded'::delta_resource_state
            else 'scheduled'
        end,
        due_at = case
            when claimed_object is null and attempt >= max_attempts then null
            else now()
        end,
        attempt = case when claimed_object is null then attempt else 0 end,
        term = term + 1,
        lease_until = null,
        worker_id = null,
        claimed_object = null,
        updated_at = now(),
        errors = jsonb_path_query_array(
            errors || jsonb_build_object(
                'attempt', attempt, 'at', now(), 'error', 'WorkerLost', 'message', 'worker lost',
                'worker_id', worker_id
            ),
            '$[$oldest to last]',
            jsonb_build_object('oldest', greatest(jsonb_array_length(errors) + 1 - max_attempts, 0))
        )
    from overdue
    where resource.ctid = overdue.tid
    returning
        resource.id, resource.namespace, resource.kind, resource.object_id, resource.state,
        resource.max_attempts, resource.generation, resource.sync_count, overdue.claimed_attempt,
        overdue.lost_worker_id
), locked as materialized (
    select pg_advisory_xact_lock(hashtextextended(current_schema() || '.delta_event', 0))
    from (select count(*) from rescued) as finished
), event as (
    insert into delta_event (
        category, resource_id, namespace, kind, object_id, state, attempt, max_attempts,
        generation, sync_count, worker_id, error
    )
    select
        case when state = 'degraded' then 'object_failed'::delta_event_category
        else 'object_rescued' end,
        id, namespace, kind, object_id, state, claimed_attempt, max_attempts, generation,
        sync_count, lost_worker_id, 'worker lost'
    from locked
    cross join rescued
)
select count(*) from rescued
"""
