"""Cancels of running works: async and plain, willing and unwilling, and of claims that wait."""

import asyncio
import threading
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest

from delta_cli import (
    Client,
    Config,
    ConfigError,
    Controllers,
    InformOpts,
    NotFound,
    Resource,
    StateConflict,
)
from delta_cli.engine.database import Database
from delta_cli.engine.loops.base import Worker
from delta_cli.engine.loops.executor import Executor
from delta_cli.engine.model.event import EventCategory
from delta_cli.engine.slots import Slots
from delta_cli.engine.store.work import Outcome
from tests.support.engine import (
    Constant,
    Item,
    Stage,
    item_controller,
    quick_config,
    seconds,
    working,
)
from tests.support.executing import Executing, claimed
from tests.support.observing import Observer
from tests.support.waiting import eventually

LATER = Constant(timedelta(hours=1))


@pytest.fixture
def gate() -> Generator[threading.Event]:
    """What plain works wait for; open at the end, so that no thread outlives its test."""
    gate = threading.Event()
    yield gate
    gate.set()


async def test_a_cancelled_work_has_failed_and_says_who_did_it(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work, backoff=LATER)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        row = await client.control.cancel("item", "a", actor="ann")
        assert (row.object_id, row.state) == ("a", "pending")
        await observer.until_state("a", "failed")
        failed = await client.get("item", "a")
        (error,) = failed.errors
        assert (error.error, error.message, error.attempt) == ("Cancelled", "cancelled by ann", 1)
        assert (failed.attempt, stage.running) == (1, 0)
        assert await observer.events() == [("object_failed", "a", "failed")]
        assert await observer.value("select error from delta_event") == "cancelled by ann"
        assert await observer.value("select actor from delta_event") == "ann"
        assert await observer.value("select count(*) from delta_cancel") == 0


async def test_it_is_tried_again_after_its_backoff(dsn: str, observer: Observer) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client, Client(dsn) as operator:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        await operator.control.cancel("item", "a", actor="ann")
        await eventually(lambda: len(stage.begun) == 2)
        stage.open.set()
        await observer.until_state("a", "synced")


async def test_at_its_last_attempt_it_is_degraded(dsn: str, observer: Observer) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"), InformOpts(max_attempts=1))
        await eventually(lambda: stage.running)
        await client.control.cancel("item", "a", actor="ann")
        row = await observer.until_state("a", "degraded")
        assert row["errors"][0]["message"] == "cancelled by ann"


async def test_other_works_of_the_worker_go_on(dsn: str, observer: Observer) -> None:
    stage = Stage()
    controller = item_controller(stage.work, backoff=LATER, parallelism=2)
    async with working(dsn, controller) as client:
        await client.inform(Item("a"))
        await client.inform(Item("b"))
        await eventually(lambda: stage.running == 2)
        await client.control.cancel("item", "a", actor="ann")
        await observer.until_state("a", "failed")
        assert stage.running == 1
        stage.open.set()
        row = await observer.until_state("b", "synced")
        assert row["term"] == 1


async def test_a_draining_worker_still_takes_notice(dsn: str, observer: Observer) -> None:
    stage = Stage()
    controller = item_controller(stage.work, backoff=LATER)
    async with working(dsn, controller, shutdown_timeout=seconds(60)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        stopping = asyncio.create_task(client.stop())
        async with Client(dsn) as operator:

            async def is_draining() -> bool:
                return [one.state for one in await operator.control.workers()] == ["draining"]

            await eventually(is_draining)
            await operator.control.cancel("item", "a", actor="ann")
        summary = await stopping
        assert summary is not None and summary.drained
        assert (await observer.resource("a"))["state"] == "failed"


async def test_a_plain_work_has_failed_at_once_and_holds_its_slot_until_its_thread_ends(
    dsn: str, observer: Observer, gate: threading.Event
) -> None:
    begun: list[str] = []

    def work(resource: Resource[Item]) -> None:
        begun.append(resource.object_id)
        if resource.object_id == "a":
            gate.wait()

    async with working(dsn, item_controller(work, backoff=LATER, parallelism=1)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: begun)
        await client.control.cancel("item", "a", actor="ann")
        row = await observer.until_state("a", "failed")
        assert row["errors"][0]["message"] == "cancelled by ann"
        await client.inform(Item("b"))
        beat = await in_flight_reported(observer)
        assert (beat, begun) == (1, ["a"])
        gate.set()
        await observer.until_state("b", "synced")


async def in_flight_reported(observer: Observer) -> int:
    """What the next heartbeats say of the slots in use."""
    at = await observer.value("select clock_timestamp()")

    async def beaten_since() -> bool:
        return await observer.value("select heartbeat_at > %s from delta_worker", at)

    await eventually(beaten_since)
    return await observer.value("select in_flight from delta_worker")


async def test_a_work_that_swallows_its_cancellation_has_failed_all_the_same(
    dsn: str, observer: Observer
) -> None:
    begun = asyncio.Event()

    async def work(_: Resource[Item]) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    async with working(dsn, item_controller(work, backoff=LATER)) as client:
        await client.inform(Item("a"))
        await begun.wait()
        await client.control.cancel("item", "a", actor="ann")
        row = await observer.until_state("a", "failed")
        assert row["errors"][0]["error"] == "Cancelled"


async def test_a_work_without_a_time_limit_that_goes_on_is_asked_again(
    dsn: str, observer: Observer
) -> None:
    asked: list[str] = []
    begun = asyncio.Event()

    async def work(_: Resource[Item]) -> None:
        begun.set()
        while len(asked) < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asked.append("again")

    controller = item_controller(work, backoff=LATER, work_timeout=seconds(0))
    async with working(dsn, controller) as client:
        await client.inform(Item("a"))
        await begun.wait()
        await client.control.cancel("item", "a", actor="ann")
        row = await observer.until_state("a", "failed")
        assert len(asked) == 2
        assert [error["message"] for error in row["errors"]] == ["cancelled by ann"]


async def test_a_cancel_of_another_term_does_nothing(dsn: str, observer: Observer) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        await observer.do(
            "insert into delta_cancel (resource_id, term, worker_id, actor)"
            " select id, term - 1, worker_id, 'ann' from delta_resource"
        )

        async def taken() -> bool:
            return await observer.value("select count(*) from delta_cancel") == 0

        await eventually(taken)
        stage.open.set()
        row = await observer.until_state("a", "synced")
        assert (row["term"], len(stage.begun)) == (1, 1)


@pytest.mark.parametrize("state", ["scheduled", "synced", "deleted"])
async def test_a_cancel_is_refused_unless_the_resource_is_pending(
    dsn: str, observer: Observer, state: str
) -> None:
    stage = Stage(opened=True)
    async with Client(dsn, quick_config(item_controller(stage.work))) as client:
        await client.inform(Item("a"))
        if state != "scheduled":
            await client.start()
            await observer.until_state("a", "synced")
            await client.stop()
        if state == "deleted":
            await client.delete("item", "a")
        with pytest.raises(StateConflict, match=f"item/a is {state}: cancel is refused"):
            await client.control.cancel("item", "a", actor="ann")
        assert await observer.value("select count(*) from delta_cancel") == 0


async def test_what_is_not_there_cannot_be_cancelled(dsn: str) -> None:
    async with Client(dsn) as client:
        await client.inform(Item("a"))
        with pytest.raises(NotFound, match="no resource item/a in namespace 'eu'"):
            await client.control.cancel("item", "a", namespace="eu", actor="ann")


@pytest.mark.parametrize("actor", ["", "\0", 7])
async def test_a_cancel_says_who_asks_for_it(dsn: str, actor: Any) -> None:
    async with Client(dsn) as client:
        with pytest.raises(ConfigError, match="actor"):
            await client.control.cancel("item", "a", actor=actor)


async def test_a_request_that_nobody_took_is_forgotten(dsn: str, observer: Observer) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work, backoff=LATER)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        await observer.do(
            "insert into delta_cancel (resource_id, term, worker_id, actor, requested_at)"
            " values (77, 1, 77, 'ann', now() - interval '2 days'), (78, 1, 77, 'ann', now())"
        )
        await client.control.cancel("item", "a", actor="ann")
        await observer.until_state("a", "failed")
        assert await observer.rows("select resource_id from delta_cancel") == [(78,)]


def executor_of(slots: Slots, outcomes: list[Outcome]) -> Executor:
    controllers = Controllers([item_controller(Stage().work, parallelism=3)])
    worker = Worker(Database(""), Config(), controllers, None, slots)
    return Executor(worker, finish=outcomes.append)


def test_a_claim_that_waits_for_its_turn_has_failed_before_it_begins() -> None:
    slots, outcomes = Slots({"item": 3}), list[Outcome]()
    executor = executor_of(slots, outcomes)
    executor.submit([claimed(1, term=4), claimed(2, term=4), claimed(3, term=4)])
    executor.cancel(2, 3, "ann")
    assert (outcomes, slots.in_use) == ([], 3)
    executor.cancel(2, 4, "ann")
    (outcome,) = outcomes
    assert (outcome.claim.id, outcome.claim.term, outcome.landing.state) == (2, 4, "failed")
    assert outcome.category is EventCategory.OBJECT_FAILED
    assert "cancelled by ann" in (outcome.error or "")
    assert ({one for one, _ in executor.claims}, slots.in_use) == ({1, 3}, 2)


def test_a_cancel_that_comes_before_its_claim_is_remembered() -> None:
    slots, outcomes = Slots({"item": 3}), list[Outcome]()
    executor = executor_of(slots, outcomes)
    executor.cancel(1, 4, "ann")
    executor.submit([claimed(1, term=5), claimed(2, term=4)])
    assert (outcomes, slots.in_use) == ([], 2)
    executor.cancel(3, 4, "ann")
    executor.submit([claimed(3, term=4)])
    assert [(outcome.claim.id, outcome.landing.state) for outcome in outcomes] == [(3, "failed")]
    assert ({one for one, _ in executor.claims}, slots.in_use) == ({1, 2}, 2)


def test_of_cancels_that_come_for_nothing_the_oldest_are_forgotten() -> None:
    slots, outcomes = Slots({"item": 300}), list[Outcome]()
    executor = executor_of(slots, outcomes)
    for number in range(200):
        executor.cancel(number, 1, "ann")
    executor.submit([claimed(number, term=1) for number in range(200)])
    assert {outcome.claim.id for outcome in outcomes} == set(range(100, 200))


@pytest.mark.parametrize("why", ["time limit", "operator"])
async def test_the_claim_of_an_interrupted_work_is_known_until_its_outcome_is_put(why: str) -> None:
    stage = Stage()
    limit = seconds(0.05 if why == "time limit" else 0)
    executing = Executing(item_controller(stage.work, work_timeout=limit))
    async with executing.running() as executor, asyncio.timeout(30):
        executor.submit([claimed(1)])
        if why == "operator":
            await eventually(lambda: stage.running)
            executor.cancel(1, 1, "ann")
        while not executing.outcomes:
            assert executor.claims == {(1, 1)}
            await asyncio.sleep(0)  # each turn of the event loop
        assert executor.claims == set()
