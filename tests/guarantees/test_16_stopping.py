import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from typing import Any, LiteralString

import psycopg
import pytest

from delta_cli import Client, InformOptions, Resource
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.processes import Workers
from tests.support.waiting import eventually

HOLD: LiteralString = "select id from delta.delta_resource where object_id = 'item-0' for update"


async def worker_states(observer: Observer) -> list[str]:
    rows = await observer.rows("select state from delta_worker order by id")
    return [state for (state,) in rows]


async def test_a_graceful_stop_finishes_what_runs_and_claims_no_more(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    controller = item_controller(stage.work, parallelism=2)
    async with Client(dsn, quick_config(controller)) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(6))
        await client.start()
        await eventually(lambda: stage.running == 2)
        stopping = asyncio.create_task(client.stop())
        await eventually(lambda: draining(observer))
        assert not stopping.done()
        stage.open.set()
        summary = await stopping
        assert summary is not None
        assert (summary.drained, summary.returned, summary.counts.synced) == (True, 0, 2)
        assert await observer.states() == {"synced": 2, "scheduled": 4}
        assert await worker_states(observer) == ["stopped"]


async def draining(observer: Observer) -> bool:
    return await worker_states(observer) == ["draining"]


async def test_a_hard_stop_abandons_what_runs_and_returns_it_uncounted(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with Client(dsn, quick_config(item_controller(stage.work, parallelism=3))) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(3))
        await client.start()
        await eventually(lambda: stage.running == 3)
        async with asyncio.timeout(5):
            summary = await client.stop(hard=True)
        assert summary is not None
        assert (summary.drained, summary.returned, summary.counts.synced) == (False, 3, 0)
        rows = await observer.rows(
            "select state::text, term, attempt, due_at <= now(), errors from delta_resource"
        )
        # One for the claim, one for its return.
        assert rows == [("scheduled", 2, 0, True, [])] * 3
        assert stage.running == 0
        assert await worker_states(observer) == ["stopped"]
        assert await observer.events() == []


async def test_a_row_that_somebody_holds_does_not_keep_the_others_from_being_returned(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with (
        Client(dsn, quick_config(item_controller(stage.work, parallelism=3))) as client,
        await psycopg.AsyncConnection.connect(dsn) as holder,
    ):
        await client.inform_many(Item(f"item-{number}") for number in range(3))
        await client.start()
        await eventually(lambda: stage.running == 3)
        await holder.execute(HOLD)
        stopping = asyncio.create_task(client.stop(hard=True))
        await eventually(lambda: states_are(observer, {"scheduled": 2, "pending": 1}))
        assert not stopping.done()
        await holder.rollback()
        summary = await stopping
        assert summary is not None
        assert summary.returned == 3
        assert await observer.states() == {"scheduled": 3}
        assert await observer.rows("select distinct attempt from delta_resource") == [(0,)]


async def test_a_claim_that_was_never_heard_of_is_returned_once_nobody_holds_it(
    dsn: str, observer: Observer
) -> None:
    stage = Stage(opened=True)
    async with (
        working(dsn, item_controller(stage.work)) as client,
        await psycopg.AsyncConnection.connect(dsn) as holder,
    ):
        assert client._worker.runtime is not None
        await client._worker.runtime.registered.wait()
        await client.inform(Item("item-0"))
        await observer.until_state("item-0", "synced")
        await observer.do(
            "update delta_resource set state = 'pending', term = term + 1, attempt = 1,"
            " lease_until = 'infinity', worker_id = (select id from delta_worker)"
        )
        await holder.execute(HOLD)
        client._worker.runtime._claimer._unheard = True
        await client.inform(Item("item-1"))
        await observer.until_state("item-1", "synced")
        await holder.rollback()
        row = await observer.until_state("item-0", "synced")
        assert row["sync_count"] == 2


async def states_are(observer: Observer, states: dict[str, int]) -> bool:
    return await observer.states() == states


async def test_a_stop_is_hard_when_the_time_to_finish_is_over(dsn: str, observer: Observer) -> None:
    stage = Stage()
    config = quick_config(item_controller(stage.work), shutdown_timeout=seconds(0.1))
    async with Client(dsn, config) as client:
        await client.inform(Item("a"))
        await client.start()
        await eventually(lambda: stage.running)
        async with asyncio.timeout(5):
            summary = await client.stop()
        assert summary is not None
        assert (summary.drained, summary.returned) == (False, 1)
        assert (await observer.resource("a"))["state"] == "scheduled"


async def test_a_second_stop_makes_the_first_one_hard(dsn: str, observer: Observer) -> None:
    stage = Stage()
    async with Client(dsn, quick_config(item_controller(stage.work))) as client:
        await client.inform(Item("a"))
        await client.start()
        await eventually(lambda: stage.running)
        first = asyncio.create_task(client.stop())
        await eventually(lambda: draining(observer))
        async with asyncio.timeout(5):
            await client.stop(hard=True)
            await first
        assert (await observer.resource("a"))["state"] == "scheduled"


async def test_what_was_claimed_and_had_not_begun_is_returned_too(
    dsn: str, observer: Observer
) -> None:
    """A work that holds the event loop keeps the others of its batch from beginning."""
    stage, client_of = Stage(), []

    async def work(resource: Resource[Item]) -> None:
        if not stage.begun:
            client_of[0]._worker.runtime.stop_now()
        await stage.work(resource)

    async with Client(dsn, quick_config(item_controller(work, parallelism=50))) as client:
        client_of.append(client)
        await client.inform_many(Item(f"item-{number}") for number in range(50))
        await client.start()
        await client.wait()
        assert await observer.states() == {"scheduled": 50}
        assert await observer.rows("select distinct attempt from delta_resource") == [(0,)]


async def test_a_hard_stop_returns_the_newest_object_for_a_new_round(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a", 0))
        await eventually(lambda: stage.running)
        await client.inform(Item("a", 1))
        await client.stop(hard=True)
        row = await observer.resource("a")
        assert (row["state"], row["attempt"], row["claimed_object"]) == ("scheduled", 0, None)
        assert row["object"]["value"] == 1


async def test_a_graceful_stop_waits_for_plain_work_in_its_thread(
    dsn: str, observer: Observer
) -> None:
    begun, end = threading.Event(), threading.Event()

    def work(resource: Resource[Item]) -> None:
        begun.set()
        assert end.wait(20)

    async with Client(dsn, quick_config(item_controller(work))) as client:
        await client.inform(Item("a"))
        await client.start()
        await eventually(begun.is_set)
        stopping = asyncio.create_task(client.stop())
        await eventually(lambda: draining(observer))
        end.set()
        summary = await stopping
        assert summary is not None
        assert summary.drained
        assert await observer.states() == {"synced": 1}


async def test_a_hard_stop_does_not_wait_for_plain_work_and_returns_it(
    dsn: str, observer: Observer
) -> None:
    begun, end = threading.Event(), threading.Event()

    def work(resource: Resource[Item]) -> None:
        begun.set()
        assert end.wait(20)

    async with Client(dsn, quick_config(item_controller(work))) as client:
        await client.inform(Item("a"))
        await client.start()
        await eventually(begun.is_set)
        try:
            async with asyncio.timeout(5):
                summary = await client.stop(hard=True)
            assert summary is not None
            assert (summary.drained, summary.returned, summary.stuck_threads) == (False, 1, 1)
            row = await observer.resource("a")
            assert (row["state"], row["attempt"], row["term"]) == ("scheduled", 0, 2)
        finally:
            end.set()


class Stubborn:
    """Works that ignore their cancellation until the test lets them go."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.ended = 0

    async def work(self, resource: Resource[Item]) -> None:
        while not self.stage.open.is_set():
            try:
                await self.stage.work(resource)
            except asyncio.CancelledError:
                continue
        self.ended += 1


async def test_a_hard_stop_returns_what_ignores_its_cancellation(
    dsn: str, observer: Observer
) -> None:
    stubborn = Stubborn()
    async with Client(dsn, quick_config(item_controller(stubborn.work))) as client:
        await client.inform(Item("a"))
        await client.start()
        await eventually(lambda: stubborn.stage.running)
        stopping = asyncio.create_task(client.stop(hard=True))
        try:
            row = await observer.until_state("a", "scheduled", within=5)
            await eventually(stopping.done, within=5)
        finally:
            stubborn.stage.open.set()
        summary = await stopping
        assert summary is not None
        assert (summary.returned, summary.stuck_works) == (1, 1)
        # Its end, whenever it comes, is nobody's concern any more.
        await eventually(lambda: stubborn.ended)
        assert await observer.resource("a") == row
        assert await worker_states(observer) == ["stopped"]


async def test_what_ends_once_it_is_asked_again_does_not_count_as_stuck(
    dsn: str, observer: Observer
) -> None:
    asked: list[str] = []

    async def work(resource: Resource[Item]) -> None:
        asked.append("to begin")
        while len(asked) < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asked.append("to end")

    async with Client(dsn, quick_config(item_controller(work))) as client:
        await client.inform(Item("a"))
        await client.start()
        await eventually(lambda: asked)
        summary = await client.stop(hard=True)
    assert summary is not None
    assert (summary.returned, summary.stuck_works, summary.stuck_threads) == (1, 0, 0)
    assert asked == ["to begin", "to end", "to end"]


class Listing:
    """An informer that waits, and cleans up on its own terms when it is cancelled."""

    def __init__(self, *, clean_up_s: float = 0.0, stubborn: bool = False) -> None:
        self.clean_up_s = clean_up_s
        self.stubborn = stubborn
        self.end = asyncio.Event()
        self.running = False
        self.cleaned_up = False

    async def inform(self, options: InformOptions) -> AsyncIterator[Item]:
        self.running = True
        try:
            while not self.end.is_set():
                try:
                    await self.end.wait()
                except asyncio.CancelledError:
                    if not self.stubborn:
                        raise
        finally:
            await asyncio.sleep(self.clean_up_s)
            self.cleaned_up = True
        yield Item("a")

    async def begin(self, client: Client) -> None:
        await client.schedule_inform("item")
        await eventually(lambda: self.running)


async def test_a_graceful_stop_lets_an_informer_clean_up(dsn: str, observer: Observer) -> None:
    listing = Listing(clean_up_s=0.8)
    controller = item_controller(Stage(opened=True).work, inform=listing.inform)
    async with working(dsn, controller) as client:
        await listing.begin(client)
        await client.stop()
        assert listing.cleaned_up
        assert await worker_states(observer) == ["stopped"]


@pytest.mark.parametrize("hard", [False, True])
async def test_a_stop_leaves_an_informer_behind_that_ignores_its_cancellation(
    dsn: str, observer: Observer, hard: bool
) -> None:
    listing = Listing(stubborn=True)
    controller = item_controller(Stage(opened=True).work, inform=listing.inform)
    async with working(dsn, controller) as client:
        await listing.begin(client)
        try:
            async with asyncio.timeout(2.5 if hard else 6):
                await client.stop(hard=hard)
        finally:
            listing.end.set()
        assert await worker_states(observer) == ["stopped"]


async def test_a_stopped_client_can_start_again(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    async with Client(dsn, quick_config(item_controller(stage.work))) as client:
        for number in (1, 2):
            await client.start()
            await client.inform(Item("a", number))
            await observer.until_state("a", "synced")
            await client.stop()
        assert stage.values == [1, 2]
        assert await worker_states(observer) == ["stopped", "stopped"]


async def test_a_stop_leaves_no_task_behind(dsn: str) -> None:
    before = asyncio.all_tasks()
    async with working(dsn, item_controller(Stage(opened=True).work, parallelism=5)) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(50))
        await client.wait_until_drained()
    await eventually(lambda: not asyncio.all_tasks() - before)


@pytest.mark.parametrize("mode", ["hang", "hang_in_thread"])
async def test_sigterm_finishes_what_runs(
    dsn: str, observer: Observer, workers: Workers, mode: str
) -> None:
    worker = await workers.start(dsn, mode, parallelism=2)
    await inform(dsn, 4)
    await eventually(lambda: len(workers.running()) == 2)
    worker.signal(signal.SIGTERM)
    await eventually(lambda: draining(observer))
    workers.open_gate()
    summary = await worker.summary()
    assert summary["drained"]
    assert await observer.states() == {"synced": 2, "scheduled": 2}


async def test_a_second_sigterm_abandons_and_returns(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    worker = await workers.start(dsn, "hang", parallelism=2)
    await inform(dsn, 4)
    await eventually(lambda: len(workers.running()) == 2)
    worker.signal(signal.SIGTERM)
    await eventually(lambda: draining(observer))
    worker.signal(signal.SIGTERM)
    summary: Any = await worker.summary()
    assert (summary["drained"], summary["returned"]) == (False, 2)
    assert await observer.states() == {"scheduled": 4}


async def inform(dsn: str, count: int) -> None:
    async with Client(dsn, quick_config()) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(count))
