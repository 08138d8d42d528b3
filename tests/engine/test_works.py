"""What a work may return or raise: none of it ends the worker, nor counts as done what is not."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from delta_cli import Resource
from delta_cli.engine.cancelling import cancel_all
from tests.support.engine import Item, item_controller, working
from tests.support.executing import Executing, claimed
from tests.support.observing import Observer
from tests.support.waiting import eventually


def steps(resource: Resource[Item]) -> Iterator[int]:
    yield 1


async def steps_async(resource: Resource[Item]) -> AsyncIterator[int]:
    yield 1


async def steps_for(resource: Resource[Item]) -> Any:
    return steps(resource)


def steps_awaited_for(resource: Resource[Item]) -> Any:
    return steps_for(resource)


@pytest.mark.parametrize(
    ("work", "told"),
    [
        (lambda resource: steps(resource), "returned the generator steps"),  # noqa: PLW0108 - a function without a yield
        (lambda resource: steps_async(resource), "returned the async generator steps_async"),  # noqa: PLW0108 - as above
        (steps_for, "returned the generator steps"),
        (steps_awaited_for, "returned the generator steps"),
    ],
    ids=["plain", "plain, async generator", "async", "plain, coroutine"],
)
async def test_a_work_that_returns_a_generator_fails(
    dsn: str, observer: Observer, work: Callable[[Resource[Item]], Any], told: str
) -> None:
    async with working(dsn, item_controller(work), max_attempts=1) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "degraded")
    (error,) = row["errors"]
    assert error["error"] == "TypeError"
    assert told in error["message"]
    assert "remove the yield" in error["message"]


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "plain"])
async def test_what_a_work_returns_is_awaited_if_it_can_be(
    dsn: str, observer: Observer, *, is_async: bool
) -> None:
    ran: list[str] = []

    async def really(resource: Resource[Item]) -> str:
        ran.append(resource.object_id)
        return "no matter"

    async def work_async(resource: Resource[Item]) -> Any:
        return really(resource)

    def work_plain(resource: Resource[Item]) -> Any:
        return really(resource)

    work = work_async if is_async else work_plain
    async with working(dsn, item_controller(work)) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
    assert ran == ["a"]


async def test_a_future_that_raises_what_closes_coroutines_fails_its_work_alone() -> None:
    async def work(resource: Resource[Item]) -> None:
        if resource.object_id == "item-1":
            future = asyncio.get_running_loop().create_future()
            future.get_loop().call_soon(future.set_exception, GeneratorExit())
            await future

    executing = Executing(item_controller(work))
    running = asyncio.create_task(executing.executor.run())
    executing.executor.submit([claimed(1)])
    await eventually(lambda: executing.outcomes)
    ended, _ = await asyncio.wait([running], timeout=0.2)  # it looks each 0.05 s
    assert (ended, executing.slots.in_use) == (set(), 0)
    executing.executor.submit([claimed(2)])
    await eventually(lambda: len(executing.outcomes) == 2)
    assert [one.landing.state for one in executing.outcomes] == ["failed", "synced"]
    await cancel_all(running)


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "plain"])
async def test_a_work_that_raises_what_closes_coroutines_fails_alone(
    dsn: str, observer: Observer, *, is_async: bool
) -> None:
    def work_plain(resource: Resource[Item]) -> None:
        if resource.object_id == "bad":
            raise GeneratorExit

    async def work_async(resource: Resource[Item]) -> None:
        work_plain(resource)

    work = work_async if is_async else work_plain
    async with working(dsn, item_controller(work), max_attempts=1) as client:
        await client.inform(Item("bad"))
        row = await observer.until_state("bad", "degraded")
        assert "GeneratorExit" in row["errors"][0]["trace"]
        await client.inform(Item("good"))
        await observer.until_state("good", "synced")
