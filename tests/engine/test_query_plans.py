"""No statement of the control loop may read all of `delta_resource`, whatever the planner believes.

A queue table's statistics are of another moment: here they say that all rows were in another state,
or nothing at all. The plans are looked at on 40,000 rows; on 1,000,000 with DELTA_TEST_LARGE=1.
"""

import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from delta_cli.engine.database import BY_INDEX, CONFIGURE, Database, LastingConnection
from delta_cli.engine.queries import quota, resource, work
from tests.support.databases import Databases
from tests.support.queries import numbered

Connection = psycopg.Connection[Any]

# One process fills the tables once for all plans.
pytestmark = pytest.mark.xdist_group("query-plans")

SMALL, LARGE = 40_000, 1_000_000
BATCH = 500

sizes = pytest.mark.parametrize(
    "size",
    [
        pytest.param(SMALL, id="small"),
        pytest.param(
            LARGE,
            id="large",
            marks=[
                pytest.mark.timeout(900),
                pytest.mark.skipif(
                    os.environ.get("DELTA_TEST_LARGE") != "1",
                    reason="a million rows take minutes: DELTA_TEST_LARGE=1 "
                    "pytest tests/engine/test_query_plans.py",
                ),
            ],
        ),
    ],
    indirect=True,
)

FILL: LiteralString = """
insert into delta_resource (
    namespace, kind, object_id, state, max_attempts, priority, due_at, object, hash
)
select
    'n' || i %% 4, 'k' || i %% 3, 'object-' || i, 'scheduled', 10, 1 + i %% 4,
    now() - i * interval '1 millisecond', jsonb_build_object('i', i), sha256(i::text::bytea)
from generate_series(1, %s::int) as i
"""

# One row in ten is synced, worked, deleted or due later; all others are due.
MIX: LiteralString = """
update delta_resource
set state = (case id % 40
        when 0 then 'synced' when 1 then 'pending' when 2 then 'deleted' else 'failed'
    end)::delta_resource_state,
    due_at = case when id % 40 < 3 then null else now() + interval '1 hour' end,
    lease_until = case when id % 40 = 1 then now() + interval '1 minute' end,
    worker_id = case when id % 40 = 1 then 1 end,
    attempted_at = now(),
    attempt = 1,
    synced_at = case when id % 40 = 0 then now() end,
    synced_generation = case when id % 40 = 0 then 1 end,
    updated_at = now() - interval '1 day'
where id % 10 < 3
"""

ALL_SYNCED: LiteralString = """
update delta_resource
set state = 'synced', due_at = null, lease_until = null, worker_id = null, synced_at = now(),
    synced_generation = 1
"""
ALL_DUE: LiteralString = """
update delta_resource set state = 'scheduled', due_at = now() - id * interval '1 millisecond'
"""
ALL_PENDING: LiteralString = """
update delta_resource
set state = 'pending', due_at = null, worker_id = 1, attempt = 1, attempted_at = now(),
    lease_until = now() + interval '1 minute'
"""
ANALYZE: LiteralString = "analyze delta_resource"
FEW: LiteralString = """
with namespace as (insert into delta_namespace (name) values ('n1') returning name)
insert into delta_resource (namespace, kind, object_id, state, max_attempts, due_at, object, hash)
select name, 'k1', 'object-' || i, 'scheduled', 10, now(), '{}', ''
from namespace
cross join generate_series(1, 5) as i
"""

#: What happened to the table before, and what the planner knows of it.
HISTORIES: dict[str, list[LiteralString]] = {
    "never-analyzed": [MIX],
    "analyzed": [MIX, ANALYZE],
    "analyzed-when-all-were-synced": [ALL_SYNCED, ANALYZE, ALL_DUE, MIX],
    "analyzed-when-all-were-due": [ANALYZE, ALL_SYNCED],
    "analyzed-when-all-were-pending": [ALL_PENDING, ANALYZE, ALL_SYNCED],
    "analyzed-when-none-was-pending": [ANALYZE, ALL_PENDING],
}


@dataclass(frozen=True)
class Guarded:
    """A statement, its parameters, and the indexes of `delta_resource` that it may read."""

    name: str
    query: LiteralString
    parameters: dict[str, Any]
    indexes: frozenset[str]

    def __str__(self) -> str:
        return self.name


PRIMARY, KEY = "delta_resource_pkey", "delta_resource_key"
DUE, LEASE, AT_REST = "delta_resource_due", "delta_resource_lease", "delta_resource_at_rest"


def _guarded(name: str, query: LiteralString, *indexes: str, **parameters: Any) -> Guarded:
    return Guarded(name, query, parameters, frozenset(indexes))


ids = [7 * index + 1 for index in range(BATCH)]
ones = [1] * BATCH
keys: dict[str, Any] = {
    "kind": "k1",
    "object_ids": [f"object-{index}" for index in ids],
    "hashes": [bytes(32)] * BATCH,
    "namespaces": [],
    "namespace_of_all": "n1",
    "revive": True,
    "process_existing": False,
    "sift": True,
}
upserted: dict[str, Any] = keys | {
    "objects": ["{}"] * BATCH,
    "created": [],
    "priorities": [],
    "priority_of_all": 1,
    "max_attempts": [],
    "max_attempts_of_all": 10,
    "tags": [],
    "tags_of_all": "",
    "metadata": [],
    "metadata_of_all": "{}",
    "generations": [],
    "guarded": False,
    "names": ["n0", "n1", "n2", "n3"],
}
INFORMS = [
    _guarded("look-up", resource.LOOK_UP, KEY, **keys, with_objects=True),
    _guarded("upsert", resource.UPSERT, KEY, **upserted),
]
#: Of the claimer and the completer, on connections that keep their plans.
LASTING = [
    _guarded("due-lanes", work.DUE_LANES, DUE, kinds=["k0", "k1"], namespaces=None, worker_id=1),
    _guarded(
        "claim",
        work.CLAIM,
        DUE,  # and then straight to the rows that were locked
        kinds=["k0", "k1", "k2"] * 4,
        namespaces=["n0", "n1", "n2", "n3"] * 3,
        slots=[50] * 12,
        leases={},
        worker_id=1,
    ),
    _guarded(
        "complete",
        work.COMPLETE,
        PRIMARY,
        patience="50ms",
        ids=ids,
        terms=ones,
        durations=[1.0] * BATCH,
        generations=[],
        generation_of_all=1,
        states=[],
        state_of_all="synced",
        attempts=[],
        attempt_of_all=0,
        delays=[],
        delay_of_all=None,
        categories=[],
        category_of_all="object_synced",
        errors=[],
        actors=[],
    ),
    _guarded("still-held", work.STILL_HELD, PRIMARY, ids=ids, terms=ones),
    _guarded("lock-claims", work.LOCK_CLAIMS, PRIMARY, ids=ids, terms=ones),
    _guarded("release", work.RELEASE, PRIMARY, ids=ids, terms=ones),
]
STATEMENTS = [
    *INFORMS,
    *LASTING,
    _guarded(
        "unfinished",
        resource.UNFINISHED,
        DUE,
        LEASE,
        kinds=["k0", "k1"],
        namespaces=None,
        worker_id=1,
        informs=True,
    ),
    _guarded("rescue", work.RESCUE, LEASE, batch=BATCH),
    _guarded("expire", resource.EXPIRE, AT_REST, PRIMARY, batch=BATCH),
    _guarded(
        "clean",
        resource.CLEAN,
        AT_REST,
        PRIMARY,
        batch=BATCH,
        synced="1 day",
        degraded="1 day",
        deleted="1 day",
    ),
    _guarded(
        "repair",
        resource.REPAIR,
        PRIMARY,
        ids=ids,
        from_states=["synced"],
        to_state="expired",
        due=True,
        new_round=False,
        category="object_invalidated",
        actor=None,
    ),
    _guarded("adopt", resource.ADOPT, "delta_resource_unknown", PRIMARY, batch=BATCH),
    _guarded("get", resource.GET, KEY, kind="k1", namespace="n1", object_id="object-1"),
]


#: They count what is pending, in a transaction that begins with settings of its own.
COUNTS = [
    _guarded("quotas", quota.QUOTAS, LEASE),
    _guarded("gauges", quota.REFRESH_GAUGES, LEASE),
    _guarded(
        "forget-left",
        quota.FORGET_LEFT,
        LEASE,
        worker_ids=[1, 2],
        scopes=["kind", "namespace"],
        names=["k1", "n1"],
    ),
]


@pytest.fixture(scope="module")
def size(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module", params=HISTORIES)
def history(
    request: pytest.FixtureRequest, size: int, databases: Databases, template: str
) -> Generator[str]:
    """The DSN of a database whose planner believes something."""
    dsn = databases.create(template=template)
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=delta") as connection:
        # Nobody may tell the planner the truth meanwhile.
        connection.execute("alter table delta_resource set (autovacuum_enabled = false)")
        connection.execute("insert into delta_namespace (name) select 'n' || generate_series(0, 3)")
        connection.execute("update delta_namespace set expiry_ttl = '1 hour' where name = 'n0'")
        connection.execute(FILL, [size])
        for query in HISTORIES[request.param]:
            connection.execute(query)
    yield dsn
    databases.drop(dsn)


@sizes
@pytest.mark.parametrize("plan", ["custom", "generic"])
@pytest.mark.parametrize("statement", STATEMENTS, ids=str)
def test_a_statement_of_the_control_loop_finds_its_rows_by_index(
    statement: Guarded, plan: str, history: str
) -> None:
    with _configured(history) as connection:
        _assert_by_index(connection, statement, plan)


@sizes
@pytest.mark.parametrize("plan", ["custom", "generic"])
@pytest.mark.parametrize("statement", INFORMS, ids=str)
def test_an_inform_does_so_on_a_connection_of_the_caller(
    statement: Guarded, plan: str, history: str
) -> None:
    with psycopg.connect(history, autocommit=True, options="-c search_path=delta") as connection:
        _assert_by_index(connection, statement, plan)


@sizes
@pytest.mark.parametrize("plan", ["custom", "generic"])
@pytest.mark.parametrize("statement", COUNTS, ids=str)
def test_the_rebalance_finds_what_is_pending_by_index(
    statement: Guarded, plan: str, history: str
) -> None:
    with _configured(history) as connection, connection.transaction():
        connection.execute(quota.BEGIN)
        _assert_by_index(connection, statement, plan)


@pytest.mark.parametrize("before", [[], [FEW, ANALYZE]], ids=["empty", "few-rows"])
@pytest.mark.parametrize("statement", LASTING, ids=str)
def test_a_plan_that_is_kept_from_when_the_table_was_small_does_so(
    statement: Guarded, before: list[LiteralString], dsn: str
) -> None:
    with _configured(dsn) as connection:
        connection.execute(BY_INDEX)
        for query in before:
            connection.execute(query)
        _assert_by_index(connection, statement, "generic")


async def test_the_connection_of_a_loop_keeps_such_plans(dsn: str) -> None:
    database = Database(dsn)
    lasting = LastingConnection(database)
    async with lasting.use() as connection:
        row = await (await connection.execute("show enable_seqscan")).fetchone()
    await lasting.close()
    assert row == ("off",)


def test_a_plan_that_scans_the_table_is_noticed(dsn: str) -> None:
    scan = _guarded("scan", "select id from delta_resource where hash = %(hash)s", hash=b"")
    with _configured(dsn) as connection, pytest.raises(AssertionError, match="Seq Scan"):
        _assert_by_index(connection, scan, "custom")


@contextmanager
def _configured(dsn: str) -> Iterator[Connection]:
    """A connection with the settings that the engine gives its own."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(CONFIGURE, {"schema": Database(dsn).schema})
        yield connection


def _assert_by_index(connection: Connection, statement: Guarded, plan: str) -> None:
    nodes = list(_walk(_explain(connection, statement, plan)))
    scans = [node for node in nodes if node.get("Relation Name") == "delta_resource"]
    read = {node["Node Type"] for node in scans} - {"ModifyTable"}
    assert "Seq Scan" not in read, f"{statement.name}: {read}"
    indexes = {node["Index Name"] for node in nodes if "Index Name" in node}
    ours = {index for index in indexes if index.startswith("delta_resource")}
    assert ours == statement.indexes


def _explain(connection: Connection, statement: Guarded, plan: str) -> dict[str, Any]:
    query = numbered("", statement.name, statement.query)
    values = [
        json.dumps(value) if isinstance(value, dict) else value
        for value in (statement.parameters[name] for name in query.names)
    ]
    connection.execute(f"set plan_cache_mode = force_{plan}_plan".encode())
    connection.execute(f"prepare guarded as {query.text}".encode())
    given = sql.SQL(", ").join(_literal(connection, value) for value in values)
    call = sql.SQL("explain (format json) execute guarded {values}").format(
        values=sql.SQL("({given})").format(given=given) if values else sql.SQL("")
    )
    row = connection.execute(call).fetchone()
    connection.execute("deallocate guarded")
    assert row is not None
    return row[0][0]["Plan"]


def _literal(connection: Connection, value: Any) -> sql.Composable:
    """A literal without a type of its own, as PREPARE has fixed those."""
    text = sql.Literal(value).as_string(connection)
    return sql.SQL(text.partition("::")[0].strip())  # pyright: ignore[reportArgumentType]


def _walk(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _walk(child)
