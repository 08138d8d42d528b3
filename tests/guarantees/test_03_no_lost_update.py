import asyncio
import functools
import time
from typing import Any

import psycopg
import pytest

from delta_cli import Client, Resource, ResourceDelete, client_from_context
from delta_cli.engine.database import Database
from tests.support.engine import Item, Stage, item_controller, working
from tests.support.observing import Observer
from tests.support.waiting import eventually


@pytest.mark.parametrize("informs", [1, 20])
async def test_informs_during_work_cause_exactly_one_more_work_on_the_newest_object(
    dsn: str, observer: Observer, informs: int
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work, parallelism=5)) as client:
        await client.inform(Item("a", 0))
        await eventually(lambda: stage.running)
        for value in range(1, informs + 1):
            result = await client.inform(Item("a", value))
            assert (result.outcome, result.row.state) == ("updated", "pending")
        assert stage.values == [0]
        stage.open.set()
        row = await observer.until_state("a", "synced")
        await client.wait_until_drained()
        assert stage.values == [0, informs]
        assert (row["generation"], row["sync_count"]) == (informs + 1, 2)
        assert row["object"] == {"key": "a", "value": informs}


async def test_an_inform_during_work_is_worked_although_that_work_finds_its_object_gone(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()

    async def work(resource: Resource[Item]) -> None:
        await stage.work(resource)
        if resource.object.value == 0:
            raise ResourceDelete

    async with working(dsn, item_controller(work)) as client:
        await client.inform(Item("a", 0))
        await eventually(lambda: stage.running)
        await client.inform(Item("a", 1))
        stage.open.set()
        row = await observer.until_state("a", "synced")
        assert stage.values == [0, 1]
        assert row["object"] == {"key": "a", "value": 1}


async def test_an_inform_during_work_does_not_wait_for_it(dsn: str) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a", 0))
        await eventually(lambda: stage.running)
        async with asyncio.timeout(2):
            await client.inform(Item("a", 1))
        assert stage.running == 1


async def test_an_equal_inform_during_work_causes_no_more_work(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a", 0))
        await eventually(lambda: stage.running)
        assert (await client.inform(Item("a", 0))).outcome == "unchanged"
        stage.open.set()
        await observer.until_state("a", "synced")
        await client.wait_until_drained()
        assert stage.values == [0]


async def test_there_and_back_during_work_is_worked_once_more(dsn: str, observer: Observer) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a", 0))
        await eventually(lambda: stage.running)
        await client.inform(Item("a", 1))
        await client.inform(Item("a", 0))
        stage.open.set()
        row = await observer.until_state("a", "synced")
        await client.wait_until_drained()
        assert stage.values == [0, 0]
        assert (row["generation"], row["synced_generation"]) == (3, 3)
        assert row["last_synced_object"] is None


async def test_the_drift_is_against_what_the_running_work_was_given(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()

    async def work(resource: Resource[Item]) -> None:
        await stage.work(resource)
        if resource.object.value == 2:
            raise ValueError("not this one")

    async with working(dsn, item_controller(work), max_attempts=1) as client:
        await client.inform(Item("a", 0))
        await eventually(lambda: stage.running)
        await client.inform(Item("a", 1))
        await client.inform(Item("a", 2))
        stage.open.set()
        row = await observer.until_state("a", "degraded")
        assert (row["synced_generation"], row["generation"]) == (1, 3)
        assert row["last_synced_object"] == {"key": "a", "value": 0}


async def test_a_failure_during_which_the_object_changed_begins_a_new_round(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()

    async def work(resource: Resource[Item]) -> None:
        await stage.work(resource)
        if resource.object.value == 0:
            raise ValueError("the old one")

    async with working(dsn, item_controller(work), max_attempts=1) as client:
        await client.inform(Item("a", 0))
        await eventually(lambda: stage.running)
        await client.inform(Item("a", 1))
        stage.open.set()
        await observer.until_state("a", "synced")
        assert stage.values == [0, 1]


async def open_inform(client: Client, dsn: str, item: Item) -> psycopg.AsyncConnection[Any]:
    """A transaction of a caller's own that has informed and not ended."""
    connection = await psycopg.AsyncConnection.connect(dsn)
    await client.inform(item, connection=connection)
    return connection


async def test_a_caller_s_open_transaction_delays_its_own_resource_only(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work, parallelism=5)) as client:
        await client.inform_many(Item(key, 0) for key in ("a", "b", "c"))
        await eventually(lambda: stage.running == 3)
        caller = await open_inform(client, dsn, Item("a", 1))
        stage.open.set()
        for key in ("b", "c"):
            await observer.until_state(key, "synced", within=3)
        assert (await observer.resource("a"))["state"] == "pending"
        await caller.commit()
        await caller.close()
        row = await observer.until_state("a", "synced", within=3)
        assert row["sync_count"] == 2
        assert sorted(item.value for item in stage.begun if item.key == "a") == [0, 1]


async def test_a_completion_lands_after_a_caller_s_rollback_too(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a", 0))
        await eventually(lambda: stage.running)
        caller = await open_inform(client, dsn, Item("a", 1))
        stage.open.set()
        await eventually(lambda: not stage.running)
        await caller.rollback()
        await caller.close()
        row = await observer.until_state("a", "synced", within=3)
        assert (row["generation"], row["sync_count"]) == (1, 1)
        assert stage.values == [0]


async def test_a_held_back_completion_does_not_starve_under_load(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()

    async def work(resource: Resource[Item]) -> None:
        if resource.object.key == "held":
            await stage.work(resource)
        else:  # work again at once, for ever: completions never cease
            await client_from_context().inform(Item(resource.object.key, resource.object.value + 1))

    async with working(dsn, item_controller(work, parallelism=5)) as client:
        await client.inform(Item("held", 0))
        await eventually(lambda: stage.running)
        await client.inform_many(Item(f"busy-{number}") for number in range(4))
        caller = await open_inform(client, dsn, Item("held", 1))
        stage.open.set()
        await eventually(lambda: busy(observer, 20))
        await caller.commit()
        await caller.close()
        row = await observer.until_state("held", "synced", within=5)
        assert row["sync_count"] == 2
        so_far = await busy(observer, 1)
        await eventually(lambda: busy(observer, so_far))


async def busy(observer: Observer, more_than: int) -> int:
    """How many works of the busy there have been, if more than that."""
    count = await observer.value(
        "select sum(sync_count)::int from delta_resource where object_id like 'busy%%'"
    )
    return count if count > more_than else 0


async def test_work_that_informs_itself_and_others_does_not_dead_lock_a_tiny_pool(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = functools.partialmethod(Database.__init__, max_connections=1)
    monkeypatch.setattr(Database, "__init__", tiny)
    count = 20

    async def work(resource: Resource[Item]) -> None:
        item = resource.object
        client = client_from_context()
        if item.value == 0:
            await client.inform(Item(item.key, 1))
            await client.inform_many(Item(f"{item.key}-{name}", 1) for name in ("x", "y"))

    started = time.monotonic()
    async with working(dsn, item_controller(work, parallelism=count)) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(count))
        await observer.until_all("synced", 3 * count)
        assert await observer.rows(
            "select count(*), min(sync_count), max(sync_count) from delta_resource"
            " where object_id ~ '^item-[0-9]+$'"
        ) == [(count, 2, 2)]
    # No call sat out the pool's patience, which is ten seconds.
    assert time.monotonic() - started < 8
