import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest

from delta_cli import Client, InformOpts, NamespaceConfig, Resource
from delta_cli.engine.cancelling import cancel_all
from delta_cli.engine.store import work
from tests.support.engine import Item, Stage, item_controller, quick_config, working
from tests.support.observing import Observer
from tests.support.processes import WorkerProcess, Workers
from tests.support.sampling import sampling
from tests.support.waiting import eventually

PENDING: Final = "select count(*) from delta_resource where lease_until is not null"
PENDING_IN_RED: Final = """
select count(*) from delta_resource where lease_until is not null and namespace = 'red'
"""
LIMIT: Final = 7
SOON: Final[dict[str, Any]] = {
    "heartbeat_interval": 0.2,
    "worker_lost_after": 2.0,
    "rescue_interval": 0.2,
}
FLEET: Final = SOON | {"parallelism": 10, "fleet_parallelism": LIMIT}


@contextlib.asynccontextmanager
async def feeding(dsn: str, observer: Observer) -> AsyncIterator[None]:
    """Inform new objects, so that some are always due, until the block ends."""

    async def feed() -> None:
        async with Client(dsn, quick_config()) as client:
            for batch in itertools.count():
                await client.inform_many(Item(f"item-{batch}-{number}") for number in range(100))
                await eventually(lambda: few_are_due(observer), within=60)

    task = asyncio.create_task(feed())
    try:
        yield
    finally:
        await cancel_all(task)


async def few_are_due(observer: Observer) -> bool:
    return await observer.value("select count(*) < 50 from delta_resource where due_at <= now()")


async def worked_by(observer: Observer, worker: WorkerProcess) -> int:
    return await observer.value(
        "select count(*) from delta_event join delta_worker as worker on worker.id = worker_id"
        " where worker.pid = %s and category = 'object_synced'",
        worker.pid,
    )


async def until_it_works(observer: Observer, worker: WorkerProcess) -> None:
    before = await worked_by(observer, worker)

    async def has_worked() -> bool:
        return await worked_by(observer, worker) > before + 5

    await eventually(has_worked, within=20)


@pytest.mark.timeout(240)
async def test_fleet_parallelism_holds_while_workers_join_drain_freeze_and_die(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    async def start() -> WorkerProcess:
        return await workers.start(dsn, "brief", **FLEET)

    with sampling(dsn, PENDING) as pending:
        first = await start()
        async with feeding(dsn, observer):
            await until_it_works(observer, first)
            second = await start()
            third = await start()
            await until_it_works(observer, second)
            await until_it_works(observer, third)
            await first.drain()
            second.signal(signal.SIGKILL)
            fourth = await start()
            await until_it_works(observer, fourth)
            # Given up while it sleeps, it must not go on where it was.
            third.signal(signal.SIGSTOP)
            await eventually(lambda: lost(observer, third), within=20)
            await until_it_works(observer, fourth)
            third.signal(signal.SIGCONT)
            await until_it_works(observer, third)
        await observer.until_all("synced", await count(observer), within=60)
        assert pending.highest == LIMIT
        assert pending.samples > 1_000
    await eventually(lambda: shared(observer, [4, 3]))


async def count(observer: Observer) -> int:
    return await observer.value("select count(*) from delta_resource")


async def shared(observer: Observer, parts: list[int]) -> bool:
    rows = await observer.rows("select granted from delta_grant order by granted desc")
    return [granted for (granted,) in rows] == parts


async def lost(observer: Observer, worker: WorkerProcess) -> bool:
    return await observer.value(
        "select bool_and(state = 'lost') from delta_worker where pid = %s", worker.pid
    )


@pytest.mark.timeout(240)
async def test_fleet_max_workers_of_a_namespace_holds_and_leaves_the_others_alone(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    settings = SOON | {"parallelism": 10}
    first = await workers.start(dsn, "brief", **settings)
    limited = {"red": NamespaceConfig(fleet_max_workers=3)}
    with sampling(dsn, PENDING_IN_RED) as red, sampling(dsn, PENDING) as all_of_them:
        async with Client(dsn, quick_config(namespaces=limited)) as client:
            await client.inform_many(
                (Item(f"item-{number}") for number in range(600)), InformOpts(namespace="red")
            )
            await client.inform_many(Item(f"item-{number}") for number in range(2_000))
        await until_it_works(observer, first)
        second = await workers.start(dsn, "brief", **settings)
        first.signal(signal.SIGKILL)
        await observer.until_all("synced", 2_600, within=90)
        assert await worked_by(observer, second) > 0
        assert red.highest == 3
        assert all_of_them.highest > 6


@pytest.mark.timeout(240)
async def test_a_limit_that_changes_holds_as_soon_as_the_workers_know(
    dsn: str, observer: Observer
) -> None:
    async def work(resource: Resource[Item]) -> None:
        await asyncio.sleep(0.005)

    async def change(limit: int | None) -> None:
        await observer.do("update delta_namespace set fleet_max_workers = %s", limit)
        await eventually(lambda: granted_is(observer, limit or 0))

    async def finish_some() -> None:
        before = len(await observer.events("object_synced"))

        async def some() -> bool:
            return len(await observer.events("object_synced")) > before + 30

        await eventually(some, within=30)

    controller = item_controller(work, parallelism=5)
    async with working(dsn, controller), working(dsn, controller), feeding(dsn, observer):
        with sampling(dsn, PENDING) as pending:
            await eventually(lambda: pending.highest > 7, within=60)
            for limit in (2, 7, 1):
                await change(limit)
                pending.forget()
                await finish_some()
                assert 0 < pending.highest <= limit
            await change(None)
            await eventually(lambda: pending.highest > 7, within=60)


async def granted_is(observer: Observer, count: int) -> bool:
    return count == await observer.value("select coalesce(sum(granted), 0) from delta_grant")


async def test_a_claim_on_its_way_takes_no_more_than_a_limit_that_was_set_meanwhile(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, may_arrive = asyncio.Event(), asyncio.Event()
    real = work.claim

    async def claim(*args: Any, **options: Any) -> Any:
        sent.set()
        await may_arrive.wait()
        return await real(*args, **options)

    stage = Stage()
    controller = item_controller(stage.work, parallelism=5)
    async with working(dsn, controller) as client:
        monkeypatch.setattr(work, "claim", claim)
        await client.inform_many(Item(f"item-{number}") for number in range(20))
        await sent.wait()
        await observer.do("update delta_namespace set fleet_max_workers = 2")
        # The worker has had time to learn of the limit, while its claim has not arrived.
        for _ in range(3):
            beaten = await observer.value("select heartbeat_at from delta_worker")
            await eventually(lambda at=beaten: beaten_since(observer, at))
        may_arrive.set()
        await eventually(lambda: stage.running == 2)
        await eventually(lambda: shared(observer, [2]))
        assert stage.most_running == 2
        stage.open.set()
        await observer.until_all("synced", 20)
        assert stage.most_running == 2


async def test_a_slot_of_the_fleet_is_held_until_the_outcome_is_written(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    controller = item_controller(stage.work, parallelism=5, fleet_parallelism=1)
    async with working(dsn, controller) as client:
        await client.inform_many([Item("a"), Item("b")])
        await eventually(lambda: stage.running == 1)
        async with observer.connection.transaction():
            await observer.do("select from delta_resource where state = 'pending' for update")
            stage.open.set()
            await eventually(lambda: stage.running == 0)
            # Its outcome cannot be written yet, so the other one has to wait, however long.
            for _ in range(2):
                beaten = await observer.value("select heartbeat_at from delta_worker")
                await eventually(lambda at=beaten: beaten_since(observer, at))
            assert len(stage.begun) == 1
        await observer.until_all("synced", 2)


async def beaten_since(observer: Observer, at: object) -> bool:
    return await observer.value("select heartbeat_at > %s from delta_worker", at)


@pytest.mark.parametrize("poll_only", [False, True])
async def test_slots_move_at_once_when_a_worker_joins_or_leaves(
    dsn: str, observer: Observer, poll_only: bool
) -> None:
    stage = Stage()
    controller = item_controller(stage.work, parallelism=10, fleet_parallelism=LIMIT)
    # Nobody waits for the next pass, nor for its hints where there are none.
    settings: dict[str, Any] = {"rebalance_interval": timedelta(hours=1), "poll_only": poll_only}
    async with working(dsn, controller, **settings):
        await eventually(lambda: shared(observer, [7]))
        async with working(dsn, controller, **settings):
            await eventually(lambda: shared(observer, [4, 3]))
            async with working(dsn, controller, **settings):
                await eventually(lambda: shared(observer, [3, 2, 2]))
            await eventually(lambda: shared(observer, [4, 3]))
        await eventually(lambda: shared(observer, [7]))
