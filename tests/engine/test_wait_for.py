"""Waiting until a resource is in a state, through the log of events."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from delta_cli import (
    Client,
    ConfigError,
    NotFound,
    Permanent,
    Resource,
    ResourceDelete,
    ResourceState,
    StateConflict,
    WaitTimeout,
)
from delta_cli.engine.hints import EVENT
from delta_cli.engine.store import read
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.events import cut_log, log_events
from tests.support.observing import Observer
from tests.support.waiting import eventually

LONG = timedelta(seconds=60)


async def no_work(resource: Resource[Any]) -> None:
    pass


async def test_a_row_a_result_or_a_kind_and_id_is_waited_for(dsn: str) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work, parallelism=10)) as client:
        result = await client.inform(Item("a"))
        waits = [
            client.wait_for(result, timeout=LONG),
            client.wait_for(result.row, timeout=LONG),
            client.wait_for("item", "a", timeout=LONG),
        ]
        waiting = [asyncio.create_task(wait) for wait in waits]
        await eventually(lambda: stage.running == 1)
        assert not any(task.done() for task in waiting)
        stage.open.set()
        rows = await asyncio.gather(*waiting)
    assert [(row.object_id, row.state) for row in rows] == [("a", ResourceState.SYNCED)] * 3


async def test_another_client_than_the_worker_s_can_wait_also_by_polling(dsn: str) -> None:
    stage = Stage()
    async with (
        working(dsn, item_controller(stage.work)),
        Client(dsn, quick_config(poll_only=True)) as client,
    ):
        result = await client.inform(Item("a"))
        waiting = asyncio.create_task(client.wait_for(result, timeout=LONG))
        await eventually(lambda: stage.running == 1)
        stage.open.set()
        assert (await waiting).state == "synced"


async def test_it_returns_at_once_and_without_a_subscription_if_it_is_there_already(
    dsn: str, observer: Observer
) -> None:
    async with working(dsn, item_controller(no_work)) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
        row = await client.wait_for("item", "a", timeout=timedelta(0))
        assert row.state == "synced"
        assert (EVENT,) not in client._session._listeners


async def test_of_many_that_are_worked_while_their_waits_begin_none_is_missed(dsn: str) -> None:
    count = 60
    async with working(dsn, item_controller(no_work, parallelism=10)) as client:

        async def inform_and_wait(number: int) -> str:
            result = await client.inform(Item(f"{number}"))
            return (await client.wait_for(result, timeout=LONG)).state

        states = await asyncio.gather(*(inform_and_wait(number) for number in range(count)))
    assert Counter(states) == {ResourceState.SYNCED: count}


async def test_what_happens_between_the_first_look_and_the_subscription_is_seen(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    async with Client(dsn) as client:
        await client.inform(Item("a"))
        real = client.get

        async def look_and_sync(*key: str, **more: str) -> Any:
            nonlocal looks
            row = await real(*key, **more)
            looks += 1
            if looks == 1:
                # Right behind the look, and its event before the log is followed.
                await observer.do(
                    "update delta_resource set state = 'synced', due_at = null,"
                    " synced_at = now(), synced_generation = generation"
                )
                await log_events(observer, 1)
            return row

        monkeypatch.setattr(client, "get", look_and_sync)
        assert (await client.wait_for("item", "a", timeout=LONG)).state == "synced"
    assert looks == 2


async def test_the_row_is_not_polled_while_the_log_says_nothing(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage()
    looks: list[str] = []
    real = read.get_steps

    def look(kind: str, namespace: str, object_id: str) -> Any:
        looks.append(object_id)
        return real(kind, namespace, object_id)

    async with working(dsn, item_controller(stage.work), poll_interval=seconds(0.05)) as client:
        result = await client.inform(Item("a"))
        await eventually(lambda: stage.running == 1)
        monkeypatch.setattr(read, "get_steps", look)
        with pytest.raises(WaitTimeout):
            await client.wait_for(result, timeout=timedelta(seconds=1))
    assert len(looks) == 3  # at first, again when the log is followed, and for the error


async def test_several_states_can_be_waited_for(dsn: str) -> None:
    async def fail(resource: Resource[Any]) -> None:
        raise ValueError

    async with working(dsn, item_controller(fail)) as client:
        result = await client.inform(Item("a"))
        row = await client.wait_for(result, state=["failed", "degraded"], timeout=LONG)
        assert row.attempt >= 1
        last = await client.wait_for(result, state=ResourceState.DEGRADED, timeout=LONG)
        assert (last.state, last.attempt) == ("degraded", last.max_attempts)


async def test_a_resource_that_lands_degraded_ends_the_wait_for_another_state(dsn: str) -> None:
    stage = Stage()

    async def give_up(resource: Resource[Item]) -> None:
        await stage.work(resource)
        raise Permanent("never")

    async with working(dsn, item_controller(give_up)) as client:
        result = await client.inform(Item("a"))
        waiting = asyncio.create_task(client.wait_for(result, timeout=LONG))
        await eventually(lambda: stage.running == 1)
        stage.open.set()
        with pytest.raises(StateConflict, match="item/a is degraded"):
            await waiting
        # And at once where it is so already.
        with pytest.raises(StateConflict, match="item/a is degraded"):
            await client.wait_for(result, timeout=LONG)


async def test_a_resource_that_is_deleted_ends_the_wait_for_another_state(dsn: str) -> None:
    async def gone(resource: Resource[Item]) -> None:
        raise ResourceDelete

    async with working(dsn, item_controller(gone)) as client:
        result = await client.inform(Item("a"))
        with pytest.raises(StateConflict, match="item/a is deleted"):
            await client.wait_for(result, timeout=LONG)
        assert (await client.wait_for(result, state="deleted", timeout=LONG)).state == "deleted"


async def test_what_is_degraded_may_still_be_deleted(dsn: str, observer: Observer) -> None:
    async def give_up(resource: Resource[Item]) -> None:
        raise Permanent("never")

    async with working(dsn, item_controller(give_up)) as client:
        result = await client.inform(Item("a"))
        await observer.until_state("a", "degraded")
        waiting = asyncio.create_task(client.wait_for(result, state="deleted", timeout=LONG))
        await client.delete("item", "a")
        assert (await waiting).state == "deleted"


async def test_too_long_a_wait_names_the_state_that_it_is_in(dsn: str) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        result = await client.inform(Item("a"))
        await eventually(lambda: stage.running == 1)
        with pytest.raises(WaitTimeout, match="item/a is pending") as late:
            await client.wait_for(result, timeout=timedelta(seconds=0.1))
        assert "synced" in late.value.message
        assert isinstance(late.value, TimeoutError)


@pytest.mark.parametrize("state", ["pending", "scheduled", "expired", "unknown", "no such", []])
async def test_states_that_no_event_tells_of_are_refused(dsn: str, state: Any) -> None:
    async with Client(dsn) as client:
        await client.inform(Item("a"))
        with pytest.raises(ConfigError) as refused:
            await client.wait_for("item", "a", state=state, timeout=LONG)
        assert "synced, failed, degraded, deleted" in str(refused.value.hint)


async def test_a_resource_that_is_not_there_is_not_waited_for(dsn: str) -> None:
    async with Client(dsn) as client:
        with pytest.raises(NotFound, match="item/a"):
            await client.wait_for("item", "a", timeout=LONG)
        with pytest.raises(ConfigError, match="'item'"):
            await client.wait_for("item", timeout=LONG)  # pyright: ignore[reportArgumentType]


async def test_the_same_id_in_another_namespace_or_kind_is_another_resource(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn, quick_config()) as client:
        await client.inform(Item("item-1"))
        waiting = asyncio.create_task(client.wait_for("item", "item-1", timeout=LONG))
        await log_events(observer, 1, kind="other")
        await observer.do("update delta_event set namespace = 'eu'")
        await log_events(observer, 1, kind="other")
        (subscription,) = await eventually(lambda: list(client._log.subscriptions))
        await eventually(lambda: subscription.position == 2)
        assert not waiting.done()
        await log_events(observer, 1)
        await waiting


async def test_a_gap_in_the_log_is_made_up_for_by_a_look(dsn: str, observer: Observer) -> None:
    async with Client(dsn, quick_config(poll_interval=seconds(0.3))) as client:
        await log_events(observer, 1)
        await client.inform(Item("a"))
        waiting = asyncio.create_task(client.wait_for("item", "a", timeout=LONG))
        (subscription,) = await eventually(lambda: list(client._log.subscriptions))
        await eventually(lambda: subscription.position == 1)
        async with observer.connection.transaction():
            await observer.do(
                "update delta_resource set state = 'synced', due_at = null,"
                " synced_at = now(), synced_generation = generation"
            )
            await log_events(observer, 5)
            await cut_log(observer, 4)
        assert (await waiting).state == "synced"
