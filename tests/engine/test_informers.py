"""Whatever an informer does, the worker goes on."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from delta_cli import InformOptions
from tests.support.engine import Item, Stage, item_controller, working
from tests.support.observing import Observer
from tests.support.waiting import eventually


class Mute(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ValueError("half \ud800"), "ValueError: half \\ud800"),
        (ValueError("nul \0"), "ValueError: nul \\0"),
        (Mute(), "Mute: Mute"),
    ],
    ids=["half a character", "nul", "mute"],
)
async def test_a_failure_that_cannot_be_told_ends_its_run_and_not_the_worker(
    dsn: str, observer: Observer, failure: Exception, told: str
) -> None:
    async def inform(options: InformOptions) -> AsyncIterator[Item]:
        yield Item("a")
        raise failure

    controller = item_controller(Stage(opened=True).work, inform=inform)
    async with working(dsn, controller) as client:
        run = await client.schedule_inform("item")

        async def ended() -> Any:
            found = await client.inform_run(run.id)
            return found if found.finished_at else None

        found = await eventually(ended)
        assert (found.state, found.error) == ("failed", told)
        await observer.until_state("a", "synced")
