"""A client serves the event loop that it was opened under, and is open once."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from delta_cli import (
    Client,
    ConfigError,
    DeltaError,
    Event,
    Resource,
    client_from_context,
)
from tests.support.engine import Item, item_controller, kind_of_item, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

Child = kind_of_item("child")
SESSIONS = (
    "select count(*) from pg_stat_activity"
    " where datname = current_database() and starts_with(application_name, 'delta ')"
)


async def under_another_loop(use: Callable[[], Coroutine[Any, Any, object]]) -> object:
    return await asyncio.to_thread(lambda: asyncio.run(use()))


async def test_a_client_is_refused_under_another_event_loop_and_serves_its_own_still(
    dsn: str,
) -> None:
    async with working(dsn, item_controller(lambda _: None)) as client:
        for use in (
            lambda: client.inform(Item("a")),
            client.status,
            client.stop,
            client.drained,
            client.open,
            client.close,
        ):
            with pytest.raises(DeltaError, match="belongs to another event loop") as caught:
                await under_another_loop(use)
            assert "open it in the loop that uses it" in str(caught.value.hint)
        assert (await client.inform(Item("a"))).outcome == "created"


async def test_a_plain_work_may_return_an_awaitable_of_its_client_but_not_run_it(
    dsn: str, observer: Observer
) -> None:
    def work(resource: Resource[Item]) -> Any:
        telling = client_from_context().inform(Child(resource.object_id))
        if resource.object_id == "returns":
            return telling
        try:
            return asyncio.run(telling)
        except DeltaError as error:
            hints.add(error.hint)
            raise

    hints: set[str | None] = set()
    async with working(dsn, item_controller(work, max_attempts=1, parallelism=4)) as client:
        runs = [Item(f"runs-{number}") for number in range(8)]
        await client.inform_many([*runs, Item("returns")])
        assert (await client.wait_for("item", "returns")).object_id == "returns"
        for item in runs:
            row = await observer.until_state(item.key, "degraded")
            assert "belongs to another event loop" in str(row["errors"])
        assert (await client.get("child", "returns")).kind == "child"
        assert "return the awaitable from work()" in str(hints)


def test_a_client_serves_one_event_loop_after_another_when_it_is_closed_between(dsn: str) -> None:
    client = Client(dsn)

    async def inform() -> str:
        async with client:
            return (await client.inform(Item("a"))).outcome

    assert [asyncio.run(inform()), asyncio.run(inform())] == ["created", "unchanged"]


#: A process of its own: what such a client leaves open stays so until its end.
LEFT_OPEN = """
import asyncio, sys
from dataclasses import dataclass
from datetime import timedelta
from delta_cli import Client, Config, DeltaError

@dataclass
class Item:
    id: str
    value: int = 0
    kind = "item"

client = Client(sys.argv[1], Config())

async def leave_open():
    await client.open()
    await client.inform(Item("a"))
    await client.changed(timedelta(seconds=0.2))

async def use():
    async with client:
        return (await client.inform(Item("a", value=1))).outcome

def refused(call):
    try:
        asyncio.run(call())
    except DeltaError as error:
        return f"{error} | {error.hint}"

for _ in range(2):
    asyncio.run(leave_open())
    print(refused(client.status))
    asyncio.run(client.close())
    print(refused(client.status))
asyncio.run(leave_open())
print(asyncio.run(use()))
"""


def test_a_client_whose_event_loop_ended_before_it_was_closed_is_opened_again_or_closed(
    dsn: str,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEFT_OPEN, dsn],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    *refused, outcome = done.stdout.splitlines() or [done.stderr]
    assert outcome == "updated", done.stderr
    assert len(refused) == 4
    for ended, closed in (refused[:2], refused[2:]):
        assert "has ended" in ended
        assert "open it in the loop that uses it" in ended
        assert "not open" in closed


async def test_a_client_that_is_open_is_not_opened_again(dsn: str, observer: Observer) -> None:
    async def none_is_left() -> bool:
        return await observer.value(SESSIONS) == 0

    async with Client(dsn) as client:
        with pytest.raises(ConfigError, match="open already"):
            await client.open()
        assert (await client.inform(Item("a"))).outcome == "created"
    await eventually(none_is_left)

    async def use() -> str:
        async with client:
            return (await client.inform(Item("a"))).outcome

    outcomes = await asyncio.gather(use(), use(), return_exceptions=True)
    assert sorted(map(str, outcomes)) == ["this client is open already", "unchanged"]
    await eventually(none_is_left)


async def test_a_client_that_could_not_be_opened_may_be_opened_later(
    dsn: str, observer: Observer
) -> None:
    client = Client(dsn)
    await observer.do("alter schema delta rename to away")
    with pytest.raises(DeltaError):
        await client.open()
    await observer.do("alter schema away rename to delta")
    async with client:
        assert (await client.inform(Item("a"))).outcome == "created"


async def test_a_subscription_in_the_thread_of_a_plain_work_is_refused_and_later_ones_hear(
    dsn: str, observer: Observer
) -> None:
    def work(_: Resource[Item]) -> None:
        client_from_context().subscribe("object_synced")

    controllers = [
        item_controller(work, max_attempts=1),
        item_controller(lambda _: None, kind="child"),
    ]
    # Whoever is told of nothing finds nothing in time.
    async with working(dsn, *controllers, poll_interval=seconds(60)) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "degraded")
        assert "none runs here" in str(row["errors"])
        async with client.subscribe("object_synced") as events, asyncio.timeout(30):
            await client.inform(Child("b"))
            event = await anext(events)
        assert isinstance(event, Event)
        assert event.object_id == "b"
