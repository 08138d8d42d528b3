"""What operators look at through `client.control`: workers, kinds, inform runs and quotas."""

from typing import Any

import pytest

from delta_cli import Client, ConfigError, NamespaceConfig, NotFound
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually


async def test_workers_are_told_while_they_run_and_afterwards_where_asked(dsn: str) -> None:
    async with Client(dsn) as client:
        async with working(dsn, item_controller(Stage().work, parallelism=3)):
            (worker,) = await client.control.workers()
            assert (worker.state, worker.kinds, worker.capacity) == ("running", ["item"], 3)
            assert worker.heartbeat_age_s >= 0
        assert await client.control.workers() == []
        (worker,) = await client.control.workers(ended=True)
        assert worker.state == "stopped"


async def test_controllers_are_told_with_their_settings(dsn: str) -> None:
    informed = item_controller(
        Stage().work,
        kind="informed",
        inform=lambda _: [],
        inform_interval=seconds(90),
        parallelism=4,
        fleet_parallelism=8,
    )
    async with Client(dsn, quick_config(item_controller(Stage().work), informed)) as client:
        await client.control.pause("kind", "item")
        first, second = await client.control.controllers()
        assert (first.kind, first.inform_interval_s, first.paused) == ("informed", 90.0, False)
        assert (first.parallelism, first.fleet_parallelism) == (4, 8)
        assert first.inform_due_at is not None
        assert (second.kind, second.inform_interval_s, second.paused) == ("item", None, True)
        assert (second.parallelism, second.fleet_parallelism) == (1, None)
        assert second.object_schema is not None
        assert second.object_schema["properties"]["value"]["type"] == "integer"


async def test_a_namespace_that_is_new_has_the_kinds_listed_at_once(
    dsn: str, observer: Observer
) -> None:
    async def is_due_after_the_start_with(*namespaces: str) -> bool:
        # The last listing was a moment ago.
        await observer.do("update delta_controller set inform_due_at = now() + interval '90 s'")
        informed = item_controller(Stage().work, inform=lambda _: [], inform_interval=seconds(90))
        configured = {name: NamespaceConfig() for name in namespaces}
        async with Client(dsn, quick_config(informed, namespaces=configured)):
            return await observer.value("select inform_due_at <= now() from delta_controller")

    assert await is_due_after_the_start_with("eu")  # the kind is new too
    assert not await is_due_after_the_start_with("eu")
    assert await is_due_after_the_start_with("eu", "us")
    assert not await is_due_after_the_start_with("us")


async def test_inform_runs_are_told_the_newest_first(dsn: str) -> None:
    def inform(options: Any) -> list[Item]:
        if options.labels:
            raise OSError("closed")
        return [Item("a")]

    controllers = [
        item_controller(Stage(opened=True).work, kind=kind, inform=inform)
        for kind in ("item", "other")
    ]
    async with Client(dsn, quick_config(*controllers)) as client:
        first = await client.schedule_inform("item", requested_by="ann")
        second = await client.schedule_inform("other")
        third = await client.schedule_inform("item")
        assert await client.control.inform_runs() == [third, second, first]
        assert await client.control.inform_runs("item") == [third, first]
        assert await client.control.inform_runs("item", limit=1) == [third]


async def test_a_kind_without_runs_is_told_from_one_that_is_not_there(dsn: str) -> None:
    async with Client(dsn, quick_config(item_controller(Stage().work))) as client:
        assert await client.control.inform_runs("item") == []
        with pytest.raises(NotFound, match="kind 'itme'") as refused:
            await client.control.inform_runs("itme")
        assert refused.value.hint == "known kinds: item"
        with pytest.raises(ConfigError, match="limit must be 1 or more, got 0"):
            await client.control.inform_runs("item", limit=0)


async def test_quotas_are_told_with_what_is_granted_and_used(dsn: str, observer: Observer) -> None:
    stage = Stage()
    controller = item_controller(stage.work, parallelism=2, fleet_parallelism=3)
    async with working(dsn, controller) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(5))
        await eventually(lambda: stage.running == 2)

        async def gauged() -> bool:
            quotas = await client.control.quotas()
            return [(one.used, one.workers) for one in quotas] == [(2, 1)]

        await eventually(gauged)
        (quota,) = await client.control.quotas()
        assert (quota.scope, quota.name, quota.slot_limit) == ("kind", "item", 3)
        assert 2 <= quota.granted <= 3
