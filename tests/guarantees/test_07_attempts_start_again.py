from typing import Any

from delta_cli import NamespaceConfig, Resource
from tests.support.engine import Item, Stage, item_controller, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

MAX_INT = 2**31 - 1


async def test_attempts_and_errors_start_again_after_success(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    attempts: list[int] = []

    async def work(resource: Resource[Item]) -> None:
        await stage.work(resource)
        attempts.append(resource.attempt)
        if len(attempts) % 3:
            raise ValueError("not yet")

    async with working(dsn, item_controller(work), max_attempts=3) as client:
        await client.inform(Item("a"))
        for round_number in (1, 2, 3):
            row = await observer.until_state("a", "synced")
            assert (row["attempt"], row["errors"]) == (0, [])
            assert attempts == [1, 2, 3] * round_number
            await client.invalidate("item", "a")


async def test_many_ttl_cycles_sync_again_and_again(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    namespaces = {"default": NamespaceConfig(expiry_ttl=seconds(0.01))}
    settings = {"namespaces": namespaces, "maintenance_interval": seconds(0.02), "max_attempts": 2}
    async with working(dsn, item_controller(stage.work), **settings) as client:
        await client.inform(Item("a"))
        await eventually(lambda: len(stage.begun) >= 25)
        row = await eventually(lambda: synced_often(observer, 25))
        assert row["attempt"] == 0
        assert row["generation"] == row["synced_generation"] == 1
        assert await observer.value("select count(*) from delta_event where state = 'synced'") >= 25


async def synced_often(observer: Observer, count: int) -> Any:
    row = await observer.resource("a")
    return row if row["state"] == "synced" and row["sync_count"] >= count else None


async def test_aged_resources_expire_and_are_worked_again(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    namespaces = {"default": NamespaceConfig(expiry_ttl=seconds(3600))}
    async with working(dsn, item_controller(stage.work), namespaces=namespaces) as client:
        await client.inform_many([Item("old"), Item("young")])
        await observer.until_all("synced", 2)
        for cycle in (2, 3, 4):
            await observer.do(
                "update delta_resource set updated_at = now() - interval '61 minutes',"
                " synced_at = now() - interval '61 minutes' where object_id = 'old'"
            )
            await eventually(lambda cycle=cycle: synced_so_often(observer, cycle))
        assert (await observer.resource("young"))["sync_count"] == 1


async def synced_so_often(observer: Observer, count: int) -> bool:
    row = await observer.resource("old")
    return row["state"] == "synced" and row["sync_count"] == count


async def test_counters_have_room_for_centuries(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
        # One sync a second for a century.
        await observer.do("update delta_resource set sync_count = 3153600000")
        await client.invalidate("item", "a")
        await eventually(lambda: len(stage.begun) == 2)
        row = await observer.until_state("a", "synced")
        assert row["sync_count"] == 3153600001
        events = await observer.rows("select sync_count from delta_event order by id")
        assert events[-1] == (3153600001,)


async def test_terms_have_room_for_years(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
        # One claim a second for ten years is a seventh of this.
        await observer.do("update delta_resource set term = %s", MAX_INT - 2)
        await client.invalidate("item", "a")
        await eventually(lambda: len(stage.begun) == 2)
        await observer.until_state("a", "synced")
