"""Limits of the whole fleet: what is granted to whom, what is held of it, and sharing it afresh.

Only its worker lowers a grant, and only the rebalance raises one, from slots that are granted to
nobody. So all grants of a quota together never pass its limit, and no use passes its grant.
"""

from typing import Final, LiteralString

# What limits a worker: of its kinds across the fleet, of its namespaces per process and across the
# fleet, with its own grants beside. A grant stays in force as long as its row does.
STANDING: Final[LiteralString] = """
select
    scope, name, limits.slot_limit, limits.max_workers, own.capacity, own.target, own.granted,
    own.used
from (
    select 'kind' as scope, kind as name, fleet_parallelism as slot_limit, null::int as max_workers
    from delta_controller
    where kind = any(%(kinds)s::text[])
    and fleet_parallelism is not null
    union all
    select 'namespace', name, fleet_max_workers, max_workers
    from delta_namespace
    where (%(namespaces)s::text[] is null or name = any(%(namespaces)s::text[]))
    and (max_workers is not null or fleet_max_workers is not null)
) as limits
full join (
    select scope, name, capacity, target, granted, used
    from delta_grant
    where worker_id = %(worker_id)s
) as own using (scope, name)
"""

# A worker takes notice of quotas, with what it holds of each: nothing when it registers. One that
# was given up takes none: what it held is not its own any more.
ENROLL: Final[LiteralString] = """
insert into delta_grant (worker_id, scope, name, capacity, granted, used)
select worker.id, quota.scope, quota.name, quota.capacity, quota.kept, quota.used
from delta_worker as worker
cross join unnest(
    %(scopes)s::text[], %(names)s::text[], %(capacities)s::int[], %(used)s::int[], %(kept)s::int[]
) as quota(scope, name, capacity, used, kept)
where worker.id = %(worker_id)s
and worker.state in ('running', 'draining')
on conflict (worker_id, scope, name) do nothing
"""

# A worker says what it could use and what it holds, and gives back what it holds no longer beyond
# its target. It has stopped claiming beyond `kept` before. A report that comes so late that the
# grant has been changed meanwhile counts no more: more may be used of it by now.
REPORT: Final[LiteralString] = """
update delta_grant as own
set capacity = report.capacity,
    used = report.used,
    granted = least(own.granted, report.kept),
    updated_at = now()
from unnest(
    %(scopes)s::text[], %(names)s::text[], %(capacities)s::int[], %(used)s::int[], %(kept)s::int[],
    %(seen_granted)s::int[], %(seen_target)s::int[]
) as report(scope, name, capacity, used, kept, seen_granted, seen_target)
where own.worker_id = %(worker_id)s
and own.scope = report.scope
and own.name = report.name
and own.granted = report.seen_granted
and own.target = report.seen_target
"""

# One pass at a time. Nobody waits long for another, the server ends a pass whose process is frozen,
# and the pending rows are found by their index, whatever the planner believes of how many there
# are.
BEGIN: Final[LiteralString] = """
select
    set_config('lock_timeout', '5s', true),
    set_config('idle_in_transaction_session_timeout', '10s', true),
    set_config('enable_seqscan', 'off', true),
    pg_advisory_xact_lock(hashtextextended(current_schema() || '.delta_quota', 0))
"""

# The quotas are the limits that are set now.
SYNC: Final[LiteralString] = """
with limits as materialized (
    select 'kind' as scope, kind as name, fleet_parallelism as slot_limit
    from delta_controller
    where fleet_parallelism is not null
    union all
    select 'namespace', name, fleet_max_workers
    from delta_namespace
    where fleet_max_workers is not null
), gone as (
    delete from delta_quota as quota
    where not exists (
        select from limits where limits.scope = quota.scope and limits.name = quota.name
    )
)
insert into delta_quota as known (scope, name, slot_limit)
select scope, name, slot_limit from limits
on conflict (scope, name) do update
set slot_limit = excluded.slot_limit, updated_at = now()
where known.slot_limit <> excluded.slot_limit
"""

# Grants whose worker or quota is gone. The lock keeps out the claims of a worker that only slept,
# so that what it has pending can then be told; one that is claiming right now is left for the next
# pass.
LOCK_LEFT: Final[LiteralString] = """
select own.worker_id, own.scope, own.name
from delta_grant as own
where not exists (
    select from delta_worker as worker
    where worker.id = own.worker_id and worker.state in ('running', 'draining')
)
or not exists (
    select from delta_quota as quota where quota.scope = own.scope and quota.name = own.name
)
order by own.worker_id, own.scope, own.name
for update of own skip locked
"""

# Of those, the ones that nothing is pending under, or that nothing limits any more. A statement of
# its own: what was claimed before the lock must be seen.
FORGET_LEFT: Final[LiteralString] = """
with pending as materialized (
    select distinct worker_id, kind, namespace from delta_resource where lease_until is not null
)
delete from delta_grant as own
using unnest(
    %(worker_ids)s::bigint[], %(scopes)s::text[], %(names)s::text[]
) as locked(worker_id, scope, name)
where own.worker_id = locked.worker_id
and own.scope = locked.scope
and own.name = locked.name
and (
    not exists (
        select from delta_quota as quota where quota.scope = own.scope and quota.name = own.name
    )
    or not exists (
        select from pending
        where pending.worker_id = own.worker_id
        and own.name = case own.scope when 'kind' then pending.kind else pending.namespace end
    )
)
"""

# Each quota; whether a living worker has not taken notice of it yet; and what is pending of it
# under no grant at all: of workers that were lost before they took notice.
QUOTAS: Final[LiteralString] = """
with pending as materialized (
    select worker_id, kind, namespace, count(*) as pending
    from delta_resource
    where lease_until is not null
    group by worker_id, kind, namespace
)
select
    quota.scope, quota.name, quota.slot_limit,
    exists (
        select from delta_worker as worker
        where worker.state in ('running', 'draining')
        and case quota.scope
            when 'kind' then quota.name = any(worker.kinds)
            else worker.namespaces is null or quota.name = any(worker.namespaces)
        end
        and not exists (
            select from delta_grant as own
            where own.worker_id = worker.id
            and own.scope = quota.scope
            and own.name = quota.name
        )
    ) as awaited,
    (
        select coalesce(sum(pending.pending), 0)
        from pending
        where quota.name = case quota.scope when 'kind' then pending.kind else pending.namespace end
        and not exists (
            select from delta_grant as own
            where own.worker_id = pending.worker_id
            and own.scope = quota.scope
            and own.name = quota.name
        )
    )::int as ungranted
from delta_quota as quota
order by quota.scope, quota.name
"""

# All grants, and what their workers could use: nothing where one drains, is paused, or is gone.
GRANTS: Final[LiteralString] = """
select
    own.scope, own.name, own.worker_id,
    case
        when worker.state = 'running' and not exists (
            select from delta_pause as pause
            where pause.scope = 'worker'
            and pause.name = worker.id::text
            and coalesce(pause.until, 'infinity') > now()
        ) then own.capacity
        else 0
    end as capacity,
    own.granted, own.target
from delta_grant as own
left join delta_worker as worker on worker.id = own.worker_id
"""

# Grant free slots and set new targets. What a worker gives back at this moment stays given back.
GRANT: Final[LiteralString] = """
update delta_grant as own
set target = share.target, granted = own.granted + share.raised, updated_at = now()
from unnest(
    %(worker_ids)s::bigint[], %(scopes)s::text[], %(names)s::text[], %(targets)s::int[],
    %(raised)s::int[]
) as share(worker_id, scope, name, target, raised)
where own.worker_id = share.worker_id
and own.scope = share.scope
and own.name = share.name
"""

# The gauges of each quota: what is granted, what is pending, and how many workers share it.
REFRESH_GAUGES: Final[LiteralString] = """
with pending as materialized (
    select kind, namespace, count(*) as pending
    from delta_resource
    where lease_until is not null
    group by kind, namespace
), gauge as (
    select
        quota.scope, quota.name,
        (
            select coalesce(sum(own.granted), 0)
            from delta_grant as own
            where own.scope = quota.scope and own.name = quota.name
        )::int as granted,
        (
            select coalesce(sum(pending.pending), 0)
            from pending
            where quota.name
                = case quota.scope when 'kind' then pending.kind else pending.namespace end
        )::int as used,
        (
            select count(*)
            from delta_grant as own
            join delta_worker as worker on worker.id = own.worker_id
            where own.scope = quota.scope
            and own.name = quota.name
            and worker.state in ('running', 'draining')
        )::int as workers
    from delta_quota as quota
)
update delta_quota as quota
set granted = gauge.granted, used = gauge.used, workers = gauge.workers, updated_at = now()
from gauge
where quota.scope = gauge.scope
and quota.name = gauge.name
and (quota.granted, quota.used, quota.workers)
    is distinct from (gauge.granted, gauge.used, gauge.workers)
"""
