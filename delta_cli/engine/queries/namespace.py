"""Namespaces: their limits, TTL and retention, which the passes read afresh each time."""

from typing import Final, LiteralString

# Keep an application's namespace settings; the last start wins.
REGISTER: Final[LiteralString] = """
insert into delta_namespace as known (
    name, expiry_ttl, max_workers, fleet_max_workers, synced_retention, degraded_retention,
    deleted_retention
)
values (
    %(name)s, %(expiry_ttl)s, %(max_workers)s, %(fleet_max_workers)s, %(synced_retention)s,
    %(degraded_retention)s, %(deleted_retention)s
)
on conflict (name) do update
set expiry_ttl = excluded.expiry_ttl,
    max_workers = excluded.max_workers,
    fleet_max_workers = excluded.fleet_max_workers,
    synced_retention = excluded.synced_retention,
    degraded_retention = excluded.degraded_retention,
    deleted_retention = excluded.deleted_retention,
    updated_at = now()
where (
    known.expiry_ttl, known.max_workers, known.fleet_max_workers, known.synced_retention,
    known.degraded_retention, known.deleted_retention
) is distinct from (
    excluded.expiry_ttl, excluded.max_workers, excluded.fleet_max_workers,
    excluded.synced_retention, excluded.degraded_retention, excluded.deleted_retention
)
"""

# The limits that claims keep per process.
LIMITS: Final[LiteralString] = """
select name, max_workers from delta_namespace where max_workers is not null
"""
