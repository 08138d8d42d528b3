"""What is due soon after a work is worked then, and not when the claimer next looks by itself."""

import asyncio

from delta_cli import Resource
from tests.support.engine import Item, Stage, item_controller, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

#: Longer than `eventually` waits.
NO_POLL = seconds(3600)
#: Works take longer than a claimer that claimed all looks for more.
LONG_S = 0.2


async def test_a_failed_work_is_tried_again_when_its_delay_is_over(
    dsn: str, observer: Observer
) -> None:
    async def work(resource: Resource[Item]) -> None:
        await asyncio.sleep(LONG_S)
        if resource.attempt < 3:
            raise RuntimeError("not yet")

    async with working(dsn, item_controller(work), poll_interval=NO_POLL) as client:
        await client.inform(Item("a"))

        async def synced() -> bool:
            return await observer.states() == {"synced": 1}

        await eventually(synced)


async def test_a_newer_object_is_worked_when_the_work_of_the_older_has_ended(dsn: str) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work), poll_interval=NO_POLL) as client:
        await client.inform(Item("a", 1))
        await eventually(lambda: stage.values == [1])
        await client.inform(Item("a", 2))
        await asyncio.sleep(LONG_S)
        stage.open.set()
        await eventually(lambda: stage.values == [1, 2])
