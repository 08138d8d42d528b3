import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncGenerator

import psycopg
import pytest

from delta_cli import Client, Event, Resource
from delta_cli.engine.database import Database
from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.ticks.rescue import rescue
from tests.support.engine import (
    IMPATIENT,
    Item,
    Stage,
    item_controller,
    quick_config,
    seconds,
    working,
)
from tests.support.observing import Observer
from tests.support.processes import Workers, overlapping, times_worked
from tests.support.waiting import eventually


async def terminate_all(dsn: str) -> int:
    """Break every connection to the database but our own. Returns how many there were."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        cursor = await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        return len(await cursor.fetchall())


class Counting:
    """Works that are counted per object and per value, and take a moment."""

    def __init__(self) -> None:
        self.worked: Counter[tuple[str, int]] = Counter()
        self.running: Counter[str] = Counter()
        self.overlapped: list[str] = []

    async def work(self, resource: Resource[Item]) -> None:
        key = resource.object_id
        self.running[key] += 1
        if self.running[key] > 1:
            self.overlapped.append(key)
        await asyncio.sleep(0)
        self.worked[key, resource.object.value] += 1
        self.running[key] -= 1


class Follower:
    """A subscriber in the background that keeps what it saw."""

    def __init__(self, client: Client) -> None:
        self.seen: list[Event] = []
        self.gaps = 0
        self._subscription = client.subscribe(after=0)
        self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async with self._subscription as events:
            async for event in events:
                if isinstance(event, Event):
                    self.seen.append(event)
                else:
                    self.gaps += 1

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


async def log_ids(observer: Observer) -> list[int]:
    return [number for (number,) in await observer.rows("select id from delta_event order by id")]


async def test_every_connection_is_broken_again_and_again_amid_a_drain(
    dsn: str, observer: Observer
) -> None:
    count, works = 3_000, Counting()
    controller = item_controller(works.work, parallelism=50)
    async with Client(dsn, quick_config(controller)) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(count))
        follower = Follower(client)
        await client.start()
        for part in (1, 2, 3, 4):
            await eventually(lambda part=part: len(works.worked) >= part * count // 5)
            assert await terminate_all(dsn) > 1
        observer = await Observer.connect(dsn)
        await observer.until_all("synced", count, within=30)
        await eventually(lambda: len(follower.seen) == count)
        assert await observer.rows("select distinct sync_count from delta_resource") == [(1,)]
        assert [event.id for event in follower.seen] == await log_ids(observer)
        assert follower.gaps == 0
        assert works.overlapped == []
        # Nothing was rescued; only claims whose answer was lost were claimed again, unworked.
        assert set(works.worked.values()) == {1}
        await follower.close()
        await observer.connection.close()


async def test_the_server_is_restarted_amid_a_drain(
    own_server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    dsn, count, works = own_server.dsn, 3_000, Counting()
    controller = item_controller(works.work, parallelism=50)
    async with Client(dsn, quick_config(controller)) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(count))
        follower = Follower(client)
        await client.start()
        await eventually(lambda: len(works.worked) > count // 4)
        await asyncio.to_thread(own_server.restart)
        observer = await Observer.connect(dsn)
        await observer.until_all("synced", count, within=30)
        await eventually(lambda: len(follower.seen) == count)
        assert await observer.rows("select distinct sync_count from delta_resource") == [(1,)]
        assert [event.id for event in follower.seen] == await log_ids(observer)
        assert follower.gaps == 0
        assert set(works.worked.values()) == {1}
        summary = await client.stop()
        assert summary is not None
        assert summary.drained
        said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
        assert any(one.startswith("database away, waiting: ") for one in said)
        assert "database is back" in said
        await follower.close()
        # It was one and the same worker all along.
        assert await observer.rows("select state from delta_worker") == [("stopped",)]
        await observer.connection.close()


async def test_a_restart_while_works_run_loses_none_of_their_outcomes(
    own_server: EmbeddedServer,
) -> None:
    stage = Stage()
    async with working(own_server.dsn, item_controller(stage.work, parallelism=20)) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(20))
        await eventually(lambda: stage.running == 20)
        restarting = asyncio.create_task(asyncio.to_thread(own_server.restart))
        # They end while there is no server.
        stage.open.set()
        await restarting
        observer = await Observer.connect(own_server.dsn)
        await observer.until_all("synced", 20)
        assert len(stage.begun) == 20
        assert await observer.rows("select distinct term, sync_count from delta_resource") == [
            (1, 1)
        ]
        await observer.connection.close()


async def test_worker_processes_go_on_after_a_restart(
    own_server: EmbeddedServer, workers: Workers
) -> None:
    dsn, count = own_server.dsn, 2_000
    both = [await workers.start(dsn, "quick", parallelism=10) for _ in range(2)]
    async with Client(dsn, quick_config()) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(count))
    await eventually(lambda: len(workers.spans()) > count // 4)
    await asyncio.to_thread(own_server.restart)
    observer = await Observer.connect(dsn)
    await observer.until_all("synced", count, within=40)
    spans = workers.spans()
    assert overlapping(spans) == []
    assert times_worked(spans) == {1: count}
    assert {span.pid for span in spans} == {process.pid for process in both}
    assert await observer.rows("select state from delta_worker") == [("running",)] * 2
    for process in both:
        assert (await process.drain())["counts"]["lost"] == 0
    await observer.connection.close()


async def test_an_inform_run_goes_on_after_its_connections_were_broken(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    count = 2_500

    async def inform(options: object) -> AsyncGenerator[Item]:
        for number in range(count):
            if number == count // 2:
                stage.running = 1
                await stage.open.wait()
            yield Item(f"item-{number}")

    works = Counting()
    async with working(dsn, item_controller(works.work, inform=inform, parallelism=50)) as client:
        run = await client.schedule_inform("item")
        await eventually(lambda: stage.running)
        await terminate_all(dsn)
        stage.open.set()

        again = await Observer.connect(dsn)

        async def succeeded() -> bool:
            state = await again.value("select state from delta_inform where id = %s", run.id)
            return state == "succeeded"

        await eventually(succeeded)
        await again.until_all("synced", count)
        await again.connection.close()


async def test_a_worker_that_starts_while_the_database_is_away_waits_for_it(
    own_server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(opened=True)
    async with Client(own_server.dsn, quick_config(item_controller(stage.work))) as client:
        await client.inform(Item("a"))
        await asyncio.to_thread(own_server.stop, force=True)
        starting = asyncio.create_task(client.start())
        await eventually(lambda: "database away, waiting" in caplog.text, within=20)
        await asyncio.to_thread(own_server.join)
        await starting
        observer = await Observer.connect(own_server.dsn)
        await observer.until_state("a", "synced")
        await observer.connection.close()


async def test_a_worker_that_waits_for_the_database_to_start_can_be_stopped(
    own_server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(opened=True)
    async with Client(own_server.dsn, quick_config(item_controller(stage.work))) as client:
        await asyncio.to_thread(own_server.stop, force=True)
        starting = asyncio.create_task(client.start())
        await eventually(lambda: "database away, waiting" in caplog.text, within=20)
        async with asyncio.timeout(30):
            await client.stop()
            await starting
        assert await client.wait() is None


async def test_a_stop_while_the_database_is_away_ends_all_the_same(
    own_server: EmbeddedServer,
) -> None:
    stage = Stage()
    async with Client(own_server.dsn, quick_config(item_controller(stage.work))) as client:
        await client.inform(Item("a"))
        await client.start()
        await eventually(lambda: stage.running)
        await asyncio.to_thread(own_server.stop, force=True)
        async with asyncio.timeout(30):
            await client.stop(hard=True)
        assert stage.running == 0
    own_server.join()
    # What it could not give back, the next worker rescues.
    second = item_controller(Stage(opened=True).work)
    async with working(own_server.dsn, second, **IMPATIENT):
        observer = await Observer.connect(own_server.dsn)
        await observer.until_state("a", "synced")
        await observer.connection.close()


async def test_an_outage_longer_than_workers_may_be_silent_makes_none_of_them_lost(
    own_server: EmbeddedServer,
) -> None:
    own_server.restart()
    database = Database(own_server.dsn)
    await database.open()
    observer = await Observer.connect(own_server.dsn)
    await observer.do(
        "insert into delta_worker (host, pid, version, kinds, capacity, heartbeat_at)"
        " values ('here', 1, '0', '{item}', 1, now() - interval '1 day')"
    )
    # All were silent while there was no server to speak to.
    await rescue(database, quick_config(worker_lost_after=seconds(60)))
    assert await observer.rows("select state from delta_worker") == [("running",)]
    # Whoever still says nothing is lost.
    await eventually(lambda: lost_after_all(observer, database))
    # Not by a pass whose own worker has not come through while it waited for its turn to begin.
    await observer.do("update delta_worker set state = 'running', stopped_at = null")
    await rescue(database, quick_config(worker_lost_after=seconds(0.4)), may_judge=lambda: False)
    assert await observer.rows("select state from delta_worker") == [("running",)]
    await observer.connection.close()
    await database.close()


async def lost_after_all(observer: Observer, database: Database) -> bool:
    await rescue(database, quick_config(worker_lost_after=seconds(0.4)))
    return await observer.rows("select state from delta_worker") == [("lost",)]
