import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from delta_cli import Client, InformOpts, NamespaceConfig
from delta_cli.engine.cancelling import cancel_all
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.processes import WorkerProcess, Workers
from tests.support.sampling import Sampler, sampling
from tests.support.waiting import eventually

PENDING: Final = "select count(*) from delta_resource where lease_until is not null"
LIMIT: Final = 7
FLEET: Final[dict[str, Any]] = {
    "parallelism": 10,
    "fleet_parallelism": LIMIT,
    "heartbeat_interval": 0.2,
    "worker_lost_after": 2.0,
    "rescue_interval": 0.2,
}


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
            second, third = await asyncio.gather(start(), start())
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
