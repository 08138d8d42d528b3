"""The same transitions as plain SQL batches on one connection, without any work in Python."""

import hashlib
import time
from typing import LiteralString

import psycopg
from support import KIND, items

from delta_cli.engine.objects import ObjectType

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


def drain(dsn: str) -> float:
    """Claim and complete everything that is due. Returns seconds."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set synchronous_commit = on")
        began = time.perf_counter()
        while True:
            cursor = connection.execute(CLAIM, {"kind": KIND, "batch": _BATCH}, binary=True)
            claimed = cursor.fetchall()
            if not claimed:
                return time.perf_counter() - began
            connection.execute(
                COMPLETE,
                {"ids": [row[0] for row in claimed], "terms": [row[1] for row in claimed]},
            )
