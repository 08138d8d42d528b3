"""The same transitions as plain SQL batches on one connection, without any work in Python.

A drain has two: the very statements that a worker sends, and ones written by hand for the one case
that is measured, which ask for no pause, limit or error.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, LiteralString, TypeAlias

import psycopg
from psycopg.types.json import Jsonb
from support import KIND, items

from delta_cli.engine.database import BY_INDEX, CONFIGURE
from delta_cli.engine.objects import ObjectType
from delta_cli.engine.queries import work

_BATCH = 500
_UPSERT_BATCH = 1_000

UPSERT: LiteralString = """
insert into delta.delta_resource (
    namespace, kind, object_id, state, max_attempts, due_at, object, hash
)
select 'default', %(kind)s, key, 'scheduled', 10, now(), object::jsonb, hash
from unnest(%(keys)b::text[], %(objects)b::text[], %(hashes)b::bytea[]) as given(key, object, hash)
on conflict (kind, namespace, object_id) do update
set object = excluded.object, hash = excluded.hash, generation = delta_resource.generation + 1,
    state = excluded.state, due_at = excluded.due_at, updated_at = now()
"""

CLAIM: LiteralString = """
update delta.delta_resource
set state = 'pending', term = term + 1, attempt = attempt + 1, due_at = null, worker_id = 1,
    lease_until = now() + interval '1 minute', attempted_at = now(), updated_at = now()
where id = any(array(
    select id
    from delta.delta_resource
    where kind = %(kind)s and namespace = 'default' and priority = 1 and due_at <= now()
    order by due_at
    limit %(batch)s
    for update skip locked
))
returning id, term, generation, object::text
"""

COMPLETE: LiteralString = """
with done as (
    update delta.delta_resource as resource
    set state = 'synced', attempt = 0, lease_until = null, worker_id = null, synced_at = now(),
        synced_generation = generation, sync_count = sync_count + 1, updated_at = now()
    from unnest(%(ids)b::bigint[], %(terms)b::int[]) as claimed(id, term)
    where resource.id = claimed.id and resource.term = claimed.term
    returning resource.*
), locked as materialized (
    select pg_advisory_xact_lock(42) from (select count(*) from done) as finished
)
insert into delta.delta_event (
    category, resource_id, namespace, kind, object_id, state, attempt, max_attempts, generation,
    sync_count, worker_id, duration_ms
)
select
    'object_synced', id, namespace, kind, object_id, state, 1, max_attempts, generation, sync_count,
    1, 0.1
from locked cross join done
"""


def register(dsn: str) -> None:
    """Make the kind and its namespace known."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("insert into delta.delta_namespace (name) values ('default')")
        connection.execute(
            "insert into delta.delta_controller (kind, parallelism) values (%s, 1000)", [KIND]
        )


def upsert(dsn: str, rows: int, version: int = 1) -> float:
    """Upsert rows that are due now. Returns seconds; the arrays are made beforehand."""
    batches: list[dict[str, object]] = []
    keys: list[str] = []
    objects: list[str] = []
    encode = ObjectType(type(next(items(1, 1)))).encode
    for item in items(rows, version):
        keys.append(item.key)
        objects.append(encode(item).json)
    for start in range(0, rows, _UPSERT_BATCH):
        part = objects[start : start + _UPSERT_BATCH]
        hashes = [hashlib.sha256(one.encode()).digest() for one in part]
        batches.append(
            {
                "kind": KIND,
                "keys": keys[start : start + _UPSERT_BATCH],
                "objects": part,
                "hashes": hashes,
            }
        )
    with psycopg.connect(dsn, autocommit=True) as connection:
        began = time.perf_counter()
        for batch in batches:
            connection.execute(UPSERT, batch)
        return time.perf_counter() - began


Row: TypeAlias = tuple[Any, ...]

#: What a batch of works that succeeded at the first attempt has in common.
_ALL_SYNCED: Final[dict[str, object]] = {
    "patience": "50ms",
    "generations": [],
    "generation_of_all": 1,
    "states": [],
    "state_of_all": "synced",
    "attempts": [],
    "attempt_of_all": 0,
    "delays": [],
    "delay_of_all": None,
    "categories": [],
    "category_of_all": "object_synced",
    "errors": [],
    "actors": [],
}
_NEW_WORKER: LiteralString = """
insert into delta_worker (host, pid, version, kinds, capacity)
values ('benchmark', 1, '0', array[%(kind)s], 1000)
returning id
"""


def drain_by_hand(dsn: str) -> float:
    """Claim and complete everything that is due, with SQL for this case only. Returns seconds."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set synchronous_commit = on")

        def claim() -> list[Row]:
            given = {"kind": KIND, "batch": _BATCH}
            return connection.execute(CLAIM, given, binary=True).fetchall()

        def complete(claimed: Sequence[Row]) -> None:
            ids, terms = [row[0] for row in claimed], [row[1] for row in claimed]
            connection.execute(COMPLETE, {"ids": ids, "terms": terms})

        return _drain(claim, complete)


def drain_as_worker(dsn: str) -> float:
    """Claim and complete everything that is due, as a worker's connections do. Returns seconds."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(CONFIGURE, {"schema": "delta"})
        connection.execute(BY_INDEX)
        (worker_id,) = connection.execute(_NEW_WORKER, {"kind": KIND}).fetchall()[0]
        lane = {
            "kinds": [KIND],
            "namespaces": ["default"],
            "slots": [_BATCH],
            "leases": Jsonb({KIND: 90.0}),
            "worker_id": worker_id,
        }

        def claim() -> list[Row]:
            return connection.execute(work.CLAIM, lane, prepare=True, binary=True).fetchall()

        def complete(claimed: Sequence[Row]) -> None:
            given = _ALL_SYNCED | {
                "ids": [row[0] for row in claimed],
                "terms": [row[6] for row in claimed],
                "durations": [0.1] * len(claimed),
            }
            connection.execute(work.COMPLETE, given, prepare=True, binary=True)

        return _drain(claim, complete)


def _drain(claim: Callable[[], list[Row]], complete: Callable[[Sequence[Row]], None]) -> float:
    began = time.perf_counter()
    while claimed := claim():
        complete(claimed)
    return time.perf_counter() - began
