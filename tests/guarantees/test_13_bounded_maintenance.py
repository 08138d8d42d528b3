import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from delta_cli import Client, Config
from delta_cli.engine.database import Database
from delta_cli.engine.store import maintenance
from delta_cli.engine.ticks.clean import clean
from delta_cli.engine.ticks.expire import expire
from delta_cli.engine.ticks.rescue import rescue
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

MANY = 20_000
DAY = seconds(86_400)
Pass = Callable[[Database, Config], Awaitable[int]]

INSERT: LiteralString = """
insert into delta_resource (
    namespace, kind, object_id, state, max_attempts, attempt, due_at, lease_until, worker_id,
    attempted_at, synced_at, synced_generation, updated_at, object, hash
)
select
    'default', 'item', %(prefix)s || number, %(state)s::delta_resource_state, 10,
    case when %(state)s = 'pending' then 1 else 0 end,
    case when %(state)s in ('scheduled', 'failed') then now() end,
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
async def test_a_pass_finishes_on_many_rows_and_counts_them(
    database: Database, observer: Observer, run: Pass, before: str, after: str | None
) -> None:
    await fill(observer, before, MANY)
    assert await run(database, Config()) == MANY
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
