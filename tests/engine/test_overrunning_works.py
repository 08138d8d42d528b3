"""Works that run on although they are over: async ones that ignore it, plain ones in threads."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from delta_cli import Resource
from tests.support.engine import Constant, Item, item_controller, seconds, working
from tests.support.executing import Executing, claimed
from tests.support.observing import Observer
from tests.support.waiting import eventually


class Unwilling:
    """Works that end when they may, and not when they are told to."""

    def __init__(self, *, is_async: bool = True, **settings: Any) -> None:
        self.begun: list[str] = []
        self.may_end = threading.Event()
        work = self.work if is_async else self.work_plain
        settings = {"work_timeout": seconds(0.05), "parallelism": 3} | settings
        self.controller = item_controller(work, backoff=Constant(seconds(3600)), **settings)

    async def work(self, resource: Resource[Item]) -> None:
        self.begun.append(resource.object_id)
        while not self.may_end.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    def work_plain(self, resource: Resource[Item]) -> None:
        self.begun.append(resource.object_id)
        self.may_end.wait(30)


Makes = Callable[..., tuple[Unwilling, Executing]]


@pytest.fixture
async def unwilling() -> AsyncIterator[Makes]:
    """Makes works and what executes them; they may end when the test does."""
    made: list[Unwilling] = []

    def make(**settings: Any) -> tuple[Unwilling, Executing]:
        made.append(Unwilling(**settings))
        return made[-1], Executing(made[-1].controller, lease_grace=seconds(0))

    yield make
    for one in made:
        one.may_end.set()


def errors_of(executing: Executing) -> list[dict[str, Any]]:
    return [json.loads(outcome.error or "{}") for outcome in executing.outcomes]


async def test_an_async_work_that_ignores_its_cancellation_has_failed_of_its_time_limit(
    unwilling: Makes,
) -> None:
    works, executing = unwilling()
    async with executing.running() as executor:
        executor.submit([claimed(1)])
        await eventually(lambda: executing.outcomes)
        (error,) = errors_of(executing)
        assert error["error"] == "TimeoutError"
        assert error["message"] == (
            "work() took longer than 0.05 s and ignores its cancellation: it still runs"
        )
        # Nothing of it is this worker's any more, but for its slot.
        assert (executor.claims, executing.slots.in_use, executor.stuck_works) == (set(), 1, 1)
        works.may_end.set()
        await eventually(lambda: executing.slots.in_use == 0)
        assert (executor.stuck_works, len(executing.outcomes)) == (0, 1)


async def test_of_a_cancelled_work_that_ignores_it_the_actor_is_told_too(unwilling: Makes) -> None:
    works, executing = unwilling(work_timeout=seconds(0))
    async with executing.running() as executor:
        executor.submit([claimed(1)])
        await eventually(lambda: works.begun)
        executor.cancel(1, 1, "ann")
        await eventually(lambda: executing.outcomes)
        (error,) = errors_of(executing)
        assert error["error"] == "Cancelled"
        assert error["message"] == "cancelled by ann and ignores its cancellation: it still runs"
        assert executing.outcomes[0].actor == "ann"


async def test_a_work_that_obeys_the_second_time_is_not_stuck(unwilling: Makes) -> None:
    asked: list[str] = []

    async def work(resource: Resource[Item]) -> None:
        while len(asked) < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asked.append("again")

    executing = Executing(item_controller(work, work_timeout=seconds(0.05)), lease_grace=seconds(2))
    async with executing.running() as executor:
        executor.submit([claimed(1)])
        await eventually(lambda: executing.outcomes)
        assert [error["message"] for error in errors_of(executing)] == [
            "work() took longer than 0.05 s"
        ]
        assert (executor.stuck_works, executing.slots.in_use) == (0, 0)


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "plain"])
async def test_a_resource_is_not_worked_beside_its_last_work_that_still_runs(
    unwilling: Makes, *, is_async: bool
) -> None:
    works, executing = unwilling(is_async=is_async)
    async with executing.running() as executor:
        executor.submit([claimed(1, term=1)])
        await eventually(lambda: executing.outcomes)
        claims = [claimed(1, term=2), claimed(2)]
        executor.submit(claims)
        # It is the claimer's, which goes by how many it claimed.
        assert [claim.id for claim in claims] == [1, 2]
        await eventually(lambda: works.begun == ["item-1", "item-2"])
        put_off = executing.outcomes[1]
        assert (put_off.claim.term, put_off.landing.state, put_off.landing.attempt) == (
            2,
            "scheduled",
            0,
        )
        assert put_off.landing.due_in
        assert (put_off.category, put_off.error) == (None, None)
        assert executing.slots.in_use == 2
        works.may_end.set()
        await eventually(lambda: executing.slots.in_use == 0)
        executor.submit([claimed(1, term=3)])
        await eventually(lambda: works.begun == ["item-1", "item-2", "item-1"])


async def test_what_is_abandoned_holds_its_slot_until_it_ends_and_frees_it_once(
    unwilling: Makes,
) -> None:
    works, executing = unwilling(work_timeout=seconds(0))
    async with executing.running() as executor:
        executor.submit([claimed(1)])
        await eventually(lambda: works.begun)
        assert [claim.id for claim in executor.abandon()] == [1]
        assert executor.abandon() == []
        executor.submit([claimed(1, term=2)])
        assert [outcome.landing.state for outcome in executing.outcomes] == ["scheduled"]
        assert (executing.slots.in_use, executor.stuck_works, executor.claims) == (1, 1, set())
        works.may_end.set()
        await eventually(lambda: executing.slots.in_use == 0)
        assert (executor.stuck_works, works.begun) == (0, ["item-1"])


async def test_the_database_is_told_of_the_time_limit_and_not_of_a_lost_worker(
    dsn: str, observer: Observer, unwilling: Makes
) -> None:
    works, _ = unwilling()
    async with working(dsn, works.controller, lease_grace=seconds(2)) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "failed")
        assert [error["error"] for error in row["errors"]] == ["TimeoutError"]
        await client.retry("item", "a")

        async def put_off() -> bool:
            row = await observer.resource("a")
            return (row["state"], row["term"], row["attempt"]) == ("scheduled", 2, 0)

        await eventually(put_off)
        assert works.begun == ["a"]
        works.may_end.set()
