"""Namespaces: their limits, TTL and retention, which the passes read afresh each time."""

from typing import Final, LiteralString

# The settings of one namespace, held until the transaction ends, so that nobody changes them
# between a look and a change.
HOLD: Final[LiteralString] = """
select
    expiry_ttl, max_workers, fleet_max_workers, synced_retention, degraded_retention,
    deleted_retention
from delta_namespace
where name = %(name)s
for update
"""

# Set all settings of a namespace that is known, and tell those it had. They are read under the lock
# of the row: of two that set them at once, the second is told what the first has set. No row: they
# are so already.
SET: Final[LiteralString] = """
with before as materialized (
    select * from delta_namespace where name = %(name)s for update
)
update delta_namespace as known
set expiry_ttl = %(expiry_ttl)s,
    max_workers = %(max_workers)s,
    fleet_max_workers = %(fleet_max_workers)s,
    synced_retention = %(synced_retention)s,
    degraded_retention = %(degraded_retention)s,
    deleted_retention = %(deleted_retention)s,
    configured_at = now(),
    updated_at = now()
from before
where known.name = before.name
and (
    before.configured_at is null
    or (
        before.expiry_ttl, before.max_workers, before.fleet_max_workers, before.synced_retention,
        before.degraded_retention, before.deleted_retention
    ) is distinct from (
        %(expiry_ttl)s::interval, %(max_workers)s::int, %(fleet_max_workers)s::int,
        %(synced_retention)s::interval, %(degraded_retention)s::interval,
        %(deleted_retention)s::interval
    )
)
returning
    before.configured_at is not null, before.expiry_ttl, before.max_workers,
    before.fleet_max_workers, before.synced_retention, before.degraded_retention,
    before.deleted_retention
"""

# Every namespace, or one.
LIST: Final[LiteralString] = """
select
    name,
    extract(epoch from expiry_ttl)::float8 as expiry_ttl_s,
    max_workers,
    fleet_max_workers,
    extract(epoch from synced_retention)::float8 as synced_retention_s,
    extract(epoch from degraded_retention)::float8 as degraded_retention_s,
    extract(epoch from deleted_retention)::float8 as deleted_retention_s,
    created_at,
    updated_at,
    exists (
        select from delta_pause as pause
        where pause.scope = 'namespace'
        and pause.name = namespace.name
        and coalesce(pause.until, 'infinity') > now()
    ) as paused
from delta_namespace as namespace
where %(name)s::text is null or name = %(name)s
order by name
"""
