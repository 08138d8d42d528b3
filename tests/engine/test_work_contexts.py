"""Every work starts from the context of its worker, whatever the works before it have set."""

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar
from decimal import Decimal
from typing import Any

import pytest

from delta_cli import Resource
from tests.support.engine import Item, item_controller
from tests.support.executing import Executing, claimed
from tests.support.waiting import eventually

tenant: ContextVar[Any] = ContextVar("tenant", default=None)


class Uncomparable:
    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth of this is ambiguous")


async def seen_by(
    work: Callable[[Resource[Item], list[Any]], Any], *, kinds: str = "item", **settings: Any
) -> list[Any]:
    """What works see that are worked one after the other, whatever their kinds."""
    seen: list[Any] = []

    async def work_async(resource: Resource[Item]) -> None:
        if (made := work(resource, seen)) is not None:
            await made

    def work_plain(resource: Resource[Item]) -> None:
        work(resource, seen)

    executing = Executing(
        item_controller(work_async, parallelism=1, **settings),
        item_controller(work_plain, kind="plain", parallelism=1),
    )
    async with executing.running() as executor:
        for number, kind in enumerate(kinds.split() * 3):
            executor.submit([claimed(number, kind=kind)])
            await eventually(lambda expected=number + 1: len(executing.outcomes) == expected)
        executor.submit([claimed(number) for number in range(3)])
        await eventually(lambda: len(executing.outcomes) == 3 + 3 * len(kinds.split()))
    assert {outcome.landing.state for outcome in executing.outcomes} == {"synced"}
    return seen


@pytest.mark.parametrize("left", ["another's", Uncomparable()], ids=["text", "uncomparable"])
async def test_what_a_work_sets_is_not_seen_by_the_next(left: Any) -> None:
    def work(resource: Resource[Item], seen: list[Any]) -> None:
        seen.append(tenant.get())
        tenant.set(left)

    token = tenant.set("the worker's")
    try:
        assert await seen_by(work, kinds="item plain") == ["the worker's"] * 9
    finally:
        tenant.reset(token)


async def test_nor_where_a_work_waits_before_and_after_it_sets_it() -> None:
    def work(resource: Resource[Item], seen: list[Any]) -> Any:
        async def waiting() -> None:
            seen.append(tenant.get())
            await asyncio.sleep(0)
            tenant.set(resource.object_id)
            await asyncio.sleep(0)
            assert tenant.get() == resource.object_id

        return waiting()

    assert await seen_by(work) == [None] * 6


async def test_works_that_leave_their_context_as_it_was_share_a_task() -> None:
    def work(resource: Resource[Item], seen: list[Any]) -> None:
        token = tenant.set(resource.object_id)
        tenant.reset(token)
        seen.append(asyncio.current_task())

    assert len(set(await seen_by(work))) == 1


def test_decimals_do_not_keep_works_from_sharing_a_task_where_none_was_made_before() -> None:
    def work(resource: Resource[Item], seen: list[Any]) -> None:
        assert Decimal("1.1") + 1
        seen.append(asyncio.current_task())

    # As of a thread that begins: the one that imports psycopg has made decimals.
    tasks = Context().run(asyncio.run, seen_by(work))
    assert len(set(tasks)) == 1
