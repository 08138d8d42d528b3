import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from delta_cli import InformOptions, Resource
from tests.support.engine import Item, Stage, item_controller, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually


async def transactions_of_others(observer: Observer) -> list[Any]:
    return await observer.rows(
        "select pid, state, query from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
        " and backend_type = 'client backend'"
        " and (xact_start is not null or state like 'idle in transaction%%')"
    )


async def expect_none_open(observer: Observer) -> None:
    """A transaction around user code would stay; those of polls come and go."""

    async def none_open() -> bool:
        return not await transactions_of_others(observer)

    await eventually(none_open, within=2)


async def test_no_transaction_is_open_while_work_runs(dsn: str, observer: Observer) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work, parallelism=3)) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(3))
        await eventually(lambda: stage.running == 3)
        await expect_none_open(observer)
        stage.open.set()
        await observer.until_all("synced", 3)


async def test_no_transaction_is_open_while_plain_work_runs_in_its_thread(
    dsn: str, observer: Observer
) -> None:
    begun, end = threading.Event(), threading.Event()

    def work(resource: Resource[Item]) -> None:
        begun.set()
        assert end.wait(20)

    async with working(dsn, item_controller(work)) as client:
        await client.inform(Item("a"))
        try:
            await eventually(begun.is_set)
            await expect_none_open(observer)
        finally:
            end.set()
        await observer.until_state("a", "synced")


async def test_no_transaction_is_open_while_an_informer_lists(dsn: str, observer: Observer) -> None:
    stage = Stage()

    async def inform(options: InformOptions) -> AsyncIterator[Item]:
        yield Item("first")
        stage.running = 1
        await stage.open.wait()
        yield Item("last")

    controller = item_controller(Stage(opened=True).work, inform=inform)
    async with working(dsn, controller) as client:
        await client.schedule_inform("item")
        await eventually(lambda: stage.running)
        await expect_none_open(observer)
        stage.open.set()
        await observer.until_all("synced", 2)


@pytest.mark.parametrize("timeout_s", [60, 0])
async def test_others_see_the_claim_while_work_runs(
    dsn: str, observer: Observer, timeout_s: float
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work, work_timeout=seconds(timeout_s))) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        row = await observer.resource("a")
        assert (row["state"], row["term"], row["attempt"], row["due_at"]) == ("pending", 1, 1, None)
        assert row["worker_id"] == await observer.value("select id from delta_worker")
        endless = await observer.value("select lease_until = 'infinity' from delta_resource")
        assert endless is (timeout_s == 0)
        seen = await client.get("item", "a")
        assert seen.state == "pending"
        assert (seen.lease_until is None) is endless
