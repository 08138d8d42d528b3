"""Every pass over many rows: 20,000 of them, or a million with DELTA_TEST_LARGE=1."""

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from delta_cli import Client, Config, TickOutcome
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.store import maintenance
from delta_cli.engine.ticks.clean import clean
from delta_cli.engine.ticks.expire import expire
from delta_cli.engine.ticks.rescue import rescue
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

LARGE = os.environ.get("DELTA_TEST_LARGE") == "1"
MANY = 1_000_000 if LARGE else 20_000
DAY = seconds(86_400)
#: Of a pass that waits for a lock, nothing is heard in this time.
NOT_BLOCKED_S = 600 if LARGE else 60
#: A batch in the driver's hands, and not much more.
MOST_MEMORY = 2_000_000
#: No pass runs by itself while a test looks.
UNHURRIED = dict.fromkeys(("rescue_interval", "maintenance_interval", "cleaner_interval"), DAY)
#: Cleaning may take as long as it takes.
PATIENT = Config(cleaner_timeout=DAY)
Pass = Callable[[Database, Config], Awaitable[int]]

pytestmark = pytest.mark.timeout(900)

INSERT: LiteralString = """
insert into delta_resource (
    namespace, kind, object_id, state, max_attempts, attempt, due_at, lease_until, worker_id,
    attempted_at, synced_at, synced_generation, updated_at, object, hash
)
select
    'default', 'item', %(prefix)s || number, %(state)s::delta_resource_state, 10,
    case when %(state)s = 'pending' then 1 else 0 end,
    case when %(state)s in ('scheduled', 'failed', 'expired') then now() end,
    case when %(state)s = 'pending' then now() end, case when %(state)s = 'pending' then 4711 end,
    now(), now(), 1, now() - interval '2 days', '{"key": "x", "value": 0}', ''
from generate_series(1, %(count)s) as number
"""

#: Per pass: the state that it takes rows from, and the one that it leaves them in (none: removed).
PASSES: dict[str, tuple[Pass, str, str | None]] = {
    "rescue": (rescue, "pending", "scheduled"),
    "expire": (lambda database, _: expire(database), "synced", "expired"),
    "clean": (clean, "degraded", None),
}
EACH = pytest.mark.parametrize(("run", "before", "after"), PASSES.values(), ids=PASSES)


async def insert(observer: Observer, state: str, count: int, prefix: str = "item-") -> None:
    values = {"state": state, "count": count, "prefix": prefix}
    await observer.connection.execute(INSERT, values)


async def fill(observer: Observer, state: str, count: int) -> None:
    ttl = "1 hour" if state == "synced" else None
    await observer.do("insert into delta_namespace (name, expiry_ttl) values ('default', %s)", ttl)
    await insert(observer, state, count)
    await observer.do("analyze delta_resource")


async def count(observer: Observer, state: str | None) -> int:
    return (await observer.states()).get(state, 0) if state else await total(observer)


async def total(observer: Observer) -> int:
    return sum((await observer.states()).values())


@asynccontextmanager
async def locked(dsn: str, number: int) -> AsyncIterator[None]:
    """Hold the locks of some rows, in the middle of what a pass has to do."""
    connection = await psycopg.AsyncConnection.connect(dsn)
    async with connection:
        await connection.execute(
            "select id from delta.delta_resource where object_id = any(%s) for update",
            [[f"item-{each}" for each in range(10, 10 + number)]],
        )
        yield
        await connection.rollback()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    database = Database(dsn)
    await database.open()
    yield database
    await database.close()


@EACH
async def test_a_pass_finishes_on_many_rows_in_bounded_memory_and_counts_them(
    database: Database, observer: Observer, run: Pass, before: str, after: str | None
) -> None:
    await fill(observer, before, MANY)
    tracemalloc.start()
    try:
        assert await run(database, PATIENT) == MANY
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY
    assert await observer.states() == ({after: MANY} if after else {})
    assert await run(database, Config()) == 0


@EACH
async def test_a_pass_never_waits_for_a_row_that_somebody_holds(
    dsn: str,
    database: Database,
    observer: Observer,
    run: Pass,
    before: str,
    after: str | None,
) -> None:
    await fill(observer, before, 2_500)
    async with locked(dsn, 3):
        assert await run(database, Config()) == 2_497
        assert await count(observer, before) == 3
    assert await run(database, Config()) == 3


@EACH
async def test_two_passes_at_a_time_share_the_rows(
    database: Database, observer: Observer, run: Pass, before: str, after: str | None
) -> None:
    await fill(observer, before, 5_000)
    counts = await asyncio.gather(run(database, Config()), run(database, Config()))
    assert sum(counts) == 5_000
    assert await count(observer, before) == 0


@pytest.mark.parametrize(
    ("state", "batch_of"),
    [
        ("pending", maintenance.rescue_resources),
        ("synced", maintenance.expire_resources),
        ("unknown", maintenance.adopt),
    ],
    ids=["rescue", "expire", "adopt"],
)
async def test_a_batch_moves_no_more_than_it_may(
    database: Database,
    observer: Observer,
    state: str,
    batch_of: Callable[..., Awaitable[int]],
) -> None:
    await fill(observer, state, 250)
    await observer.do("insert into delta_controller (kind, parallelism) values ('item', 1)")
    counts = []
    async with database.connection() as connection:
        while moved := await batch_of(connection, batch=100):
            counts.append(moved)
    assert counts == [100, 100, 50]


async def test_each_batch_is_a_transaction_of_its_own(
    dsn: str, database: Database, observer: Observer
) -> None:
    """So that a pass that breaks off has done what it has done, and holds few locks at a time."""
    await fill(observer, "synced", 5_000)
    async with database.connection() as connection:
        transactions: LiteralString = "select count(distinct xmin::text) from delta_resource"
        before = await observer.value(transactions)
        while await maintenance.expire_resources(connection, batch=1_000):
            pass
        assert (before, await observer.value(transactions)) == (1, 5)


async def test_no_pass_disturbs_a_running_work(dsn: str, observer: Observer) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work), worker_lost_after=DAY) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        # Old enough for every pass, were it not being worked.
        await observer.do("update delta_resource set updated_at = now() - interval '1 year'")
        await observer.do("update delta_namespace set expiry_ttl = interval '1 second'")
        before = await observer.resource("a")
        for run, _, _ in PASSES.values():
            assert await run(client.database, client.config) == 0
        assert await observer.resource("a") == before
        stage.open.set()
        await eventually(lambda: synced_once(observer))


async def synced_once(observer: Observer) -> bool:
    return (await observer.resource("a"))["sync_count"] >= 1


async def test_retention_holds_for_each_state(database: Database, observer: Observer) -> None:
    for state in ("synced", "degraded", "deleted", "scheduled", "failed", "unknown"):
        await insert(observer, state, 2, prefix=f"{state}-")
    await observer.do("insert into delta_namespace (name) values ('default')")
    await observer.do("update delta_resource set updated_at = now() where object_id like '%%1'")
    assert await clean(database, Config()) == 3
    assert await observer.states() == {
        "synced": 1,
        "degraded": 1,
        "deleted": 1,
        "scheduled": 2,
        "failed": 2,
        "unknown": 2,
    }


async def test_synced_resources_of_a_namespace_with_a_ttl_are_never_cleaned(
    database: Database, observer: Observer
) -> None:
    await fill(observer, "synced", 10)
    assert await clean(database, Config()) == 0


async def test_old_events_workers_and_runs_are_cleaned(
    dsn: str, database: Database, observer: Observer
) -> None:
    await leave_old_records(dsn, observer)
    assert await clean(database, Config()) == 3
    assert await records(observer) == [0, 0, 0]


async def test_a_negative_retention_keeps_events_workers_and_runs_for_ever(
    dsn: str, database: Database, observer: Observer
) -> None:
    await leave_old_records(dsn, observer)
    assert await clean(database, Config(event_retention_period=seconds(-1))) == 0
    assert await records(observer) == [1, 1, 1]


async def leave_old_records(dsn: str, observer: Observer) -> None:
    """An event, a worker and an inform run that ended 73 hours ago."""
    stage = Stage(opened=True)
    async with Client(dsn, quick_config(item_controller(stage.work))) as client:
        await client.inform(Item("a"))
        await client.schedule_inform("item", run_foreground=True)
    await observer.do("update delta_event set at = now() - interval '73 hours'")
    await observer.do("update delta_worker set stopped_at = now() - interval '73 hours'")
    await observer.do("update delta_inform set finished_at = now() - interval '73 hours'")


async def records(observer: Observer) -> list[int]:
    """How many events, workers and inform runs there are."""
    counts: list[int] = []
    for table in ("delta_event", "delta_worker", "delta_inform"):
        query = sql.SQL("select count(*) from {}").format(sql.Identifier(table))
        row = await (await observer.connection.execute(query)).fetchone()
        assert row is not None
        counts.append(row[0])
    return counts


# Bounds: what one statement may touch


#: Counts the rows of every statement that changes many at once.
COUNT_STATEMENTS: LiteralString = """
create table statement (name text, moved bigint);
create function count_rows() returns trigger language plpgsql as $$
begin
    insert into delta.statement select tg_table_name || ' ' || tg_op, count(*) from moved;
    return null;
end
$$;
create trigger updates after update on delta_resource referencing new table as moved
    for each statement execute function count_rows();
create trigger deletes after delete on delta_resource referencing old table as moved
    for each statement execute function count_rows();
create trigger events after insert on delta_event referencing new table as moved
    for each statement execute function count_rows();
create trigger deletes after delete on delta_event referencing old table as moved
    for each statement execute function count_rows();
create trigger deletes after delete on delta_worker referencing old table as moved
    for each statement execute function count_rows();
create trigger deletes after delete on delta_inform referencing old table as moved
    for each statement execute function count_rows();
"""
MOST_AT_ONCE = 1_000


@pytest.mark.parametrize(
    ("name", "before", "statements"),
    [
        ("rescue", "pending", ["delta_resource UPDATE", "delta_event INSERT"]),
        ("rescue", "unknown", ["delta_resource UPDATE"]),
        ("expire", "synced", ["delta_resource UPDATE"]),
        ("clean", "deleted", ["delta_resource DELETE"]),
    ],
    ids=["rescue", "adopt", "expire", "clean"],
)
async def test_no_statement_of_a_pass_touches_more_than_a_batch(
    dsn: str, observer: Observer, name: str, before: str, statements: list[str]
) -> None:
    await fill(observer, before, MANY)
    await observer.do("insert into delta_controller (kind, parallelism) values ('item', 1)")
    await observer.connection.execute(COUNT_STATEMENTS)
    async with Client(dsn, PATIENT) as client:
        assert await client.tick(name) == TickOutcome.SUCCESS
    for statement in statements:
        assert await batches(observer, statement) == (MANY, True)


async def batches(observer: Observer, statement: str) -> tuple[int, bool]:
    """How many rows statements have moved, and whether each moved a batch at most."""
    row = await observer.rows(
        "select coalesce(sum(moved), 0)::bigint, max(moved) <= %s from statement where name = %s",
        MOST_AT_ONCE,
        statement,
    )
    total, bounded = row[0]
    return total, bounded


OLD_EVENTS: LiteralString = """
insert into delta_event (
    at, category, resource_id, namespace, kind, object_id, state, attempt, max_attempts,
    generation, sync_count
)
select now() - interval '1 year', 'object_synced', 1, 'default', 'item', 'a', 'synced', 1, 10, 1, 1
from generate_series(1, %s)
"""
OLD_WORKERS: LiteralString = """
insert into delta_worker (host, pid, version, kinds, capacity, state, stopped_at)
select 'elsewhere', i, '0', '{item}', 1, 'stopped', now() - interval '1 year'
from generate_series(1, %s) as i
"""
OLD_RUNS: LiteralString = """
insert into delta_inform (kind, state, requested_by, finished_at)
select 'item', 'succeeded', 'interval', now() - interval '1 year' from generate_series(1, %s)
"""
#: Per table: what fills it with rows that are to be cleaned, and what locks some of them.
RECORDS: dict[str, tuple[LiteralString, LiteralString]] = {
    "event": (OLD_EVENTS, "select id from delta.delta_event order by id limit 3 for update"),
    "worker": (OLD_WORKERS, "select id from delta.delta_worker order by id limit 3 for update"),
    "inform": (OLD_RUNS, "select id from delta.delta_inform order by id limit 3 for update"),
}


@pytest.mark.parametrize("table", RECORDS)
async def test_records_are_cleaned_in_batches_and_past_what_somebody_holds(
    dsn: str, observer: Observer, table: str
) -> None:
    fill_table, lock = RECORDS[table]
    await observer.do(fill_table, MANY)
    await observer.connection.execute(COUNT_STATEMENTS)
    statement = f"delta_{table} DELETE"
    async with Client(dsn, PATIENT) as client, await psycopg.AsyncConnection.connect(dsn) as holder:
        await holder.execute(lock)
        async with asyncio.timeout(NOT_BLOCKED_S):
            assert await client.tick("clean") == TickOutcome.SUCCESS
        assert await batches(observer, statement) == (MANY - 3, True)
        await holder.rollback()
        assert await client.tick("clean") == TickOutcome.SUCCESS
    assert await batches(observer, statement) == (MANY, True)


# Locks: whatever others hold, a pass goes round it and ends


async def test_passes_end_while_a_caller_holds_rows_namespaces_and_controllers(
    dsn: str, observer: Observer
) -> None:
    """What nobody holds is moved all the same, and what was held is moved by the next pass."""
    await one_for_each_pass(observer, "held")
    await one_for_each_pass(observer, "free")
    async with Client(dsn, PATIENT) as client, await psycopg.AsyncConnection.connect(dsn) as holder:
        await holder.execute("set search_path to delta")
        await holder.execute("select from delta_resource where object_id like 'held%' for update")
        await holder.execute("select from delta_namespace for update")
        await holder.execute("select from delta_controller where kind = 'held' for update")
        await all_passes(client)
        assert await left(observer) == ["held-expire", "held-rescue", "held-unknown"]
        assert await observer.rows("select kind from delta_inform") == [("free",)]
        assert await total(observer) == 7  # of the two to be cleaned, the one that is not held
        await holder.rollback()
        await all_passes(client)
        assert await left(observer) == []
        assert sorted(await observer.rows("select kind from delta_inform")) == [
            ("free",),
            ("held",),
        ]
        assert await total(observer) == 6


async def one_for_each_pass(observer: Observer, prefix: str) -> None:
    """One row for each pass to move, and a kind that is to be informed."""
    await observer.do(
        "insert into delta_namespace (name, expiry_ttl) values ('default', '1 hour')"
        " on conflict do nothing"
    )
    for state, name in (
        ("pending", "rescue"),
        ("synced", "expire"),
        ("degraded", "clean"),
        ("unknown", "unknown"),
    ):
        await insert(observer, state, 1, prefix=f"{prefix}-{name}-")
    await observer.do("update delta_resource set object_id = rtrim(object_id, '-1')")
    await observer.do(
        "insert into delta_controller (kind, parallelism, inform_interval, inform_due_at)"
        " values (%s, 1, '1 hour', now()), ('item', 1, null, null) on conflict do nothing",
        prefix,
    )


async def all_passes(client: Client) -> None:
    async with asyncio.timeout(NOT_BLOCKED_S):
        for name in ("inform", "rescue", "expire", "clean"):
            assert await client.tick(name) == TickOutcome.SUCCESS


async def left(observer: Observer) -> list[str]:
    """The rows that some pass has still to move to another state."""
    rows = await observer.rows(
        "select object_id from delta_resource where state in ('pending', 'synced', 'unknown')"
    )
    return sorted(object_id for (object_id,) in rows)


# Other applications, other namespaces


async def test_a_pass_of_another_application_loses_no_work(dsn: str, observer: Observer) -> None:
    ours, theirs = Stage(opened=True), Stage(opened=True)
    count = 50
    async with Client(dsn, quick_config(item_controller(theirs.work, parallelism=10))) as client:
        await observer.do("insert into delta_namespace (name) values ('default')")
        await insert(observer, "pending", count)
        await insert(observer, "unknown", count, prefix="unknown-")
        async with working(dsn, item_controller(ours.work, kind="other")):
            await eventually(lambda: states_are(observer, {"scheduled": 2 * count}))
        assert await observer.value(
            "select count(*) from delta_resource where due_at <= now()"
        ) == (2 * count)
        await client.start()
        await observer.until_all("synced", 2 * count)
    assert (len(ours.begun), len(theirs.begun)) == (0, 2 * count)


async def states_are(observer: Observer, states: dict[str, int]) -> bool:
    return await observer.states() == states


@pytest.mark.parametrize(("before", "run"), [("synced", "expire"), ("deleted", "clean")])
async def test_a_namespace_with_many_rows_to_move_does_not_delay_another(
    database: Database, observer: Observer, before: str, run: str
) -> None:
    await fill(observer, before, MANY)
    await observer.do("insert into delta_namespace (name, expiry_ttl) values ('small', '1 hour')")
    await insert(observer, before, 1, prefix="small-")
    await observer.do(
        "update delta_resource set namespace = 'small' where object_id like 'small-%'"
    )
    async with database.connection() as connection:
        for _ in range(64):  # of two hundred; each begins with either namespace
            await one_batch(connection, run)
    still_there: LiteralString = (
        "select count(*) from delta_resource where namespace = 'small' and due_at is null"
    )
    assert await observer.value(still_there) == 0
    assert await count(observer, before) > 0


async def one_batch(connection: Connection, run: str) -> int:
    if run == "expire":
        return await maintenance.expire_resources(connection, batch=100)
    return await maintenance.clean_resources(
        connection, batch=100, synced=DAY, degraded=DAY, deleted=DAY
    )


# Settings of namespaces count from the next pass on


async def test_a_ttl_that_is_set_and_taken_away_counts_from_the_next_pass(
    dsn: str, observer: Observer
) -> None:
    await insert(observer, "synced", 10)
    await observer.do("insert into delta_namespace (name) values ('default')")
    async with working(dsn, item_controller(Stage().work, kind="other"), **UNHURRIED) as client:
        await client.tick("expire")
        assert await observer.states() == {"synced": 10}
        await observer.do("update delta_namespace set expiry_ttl = interval '3 days'")
        await client.tick("expire")
        assert await observer.states() == {"synced": 10}
        await observer.do("update delta_namespace set expiry_ttl = interval '1 day'")
        await client.tick("expire")
        assert await observer.states() == {"expired": 10}
        await observer.do("update delta_namespace set expiry_ttl = null")
        await insert(observer, "synced", 1, prefix="later-")
        await client.tick("expire")
        assert await observer.states() == {"expired": 10, "synced": 1}


@pytest.mark.parametrize("state", ["synced", "degraded", "deleted"])
async def test_a_retention_that_is_set_and_taken_away_counts_from_the_next_pass(
    dsn: str, observer: Observer, state: str
) -> None:
    await insert(observer, state, 10)
    await observer.do("insert into delta_namespace (name) values ('default')")
    keep = {f"{state}_resource_retention_period": seconds(-1)}
    settings = UNHURRIED | keep
    column = sql.Identifier(f"{state}_retention")
    retain = sql.SQL("update delta_namespace set {} = %s::interval").format(column)
    async with working(dsn, item_controller(Stage().work, kind="other"), **settings) as client:
        for retention in (None, "3 days", "-1 second"):
            await observer.connection.execute(retain, [retention])
            await client.tick("clean")
            assert await observer.states() == {state: 10}
        await observer.connection.execute(retain, ["1 day"])
        await client.tick("clean")
        assert await observer.states() == {}


async def test_what_is_synced_is_cleaned_once_its_namespace_has_no_ttl_any_more(
    dsn: str, observer: Observer
) -> None:
    await observer.do("insert into delta_namespace (name, expiry_ttl) values ('default', '1 year')")
    for state in ("synced", "expired", "degraded"):
        await insert(observer, state, 2, prefix=f"{state}-")
    async with Client(dsn, PATIENT) as client:
        await client.tick("clean")
        assert await observer.states() == {"synced": 2, "expired": 2}
        await observer.do("update delta_namespace set expiry_ttl = null")
        await client.tick("clean")
        assert await observer.states() == {"expired": 2}
