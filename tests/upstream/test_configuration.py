"""Faults 27 to 31, 40 and 41: what upstream offers and does not do, or does too loudly."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from delta_cli import Client, InformOpts, NamespaceConfig, NotFound, Resource
from delta_cli.engine import schema
from delta_cli.engine.ticks.clean import clean
from delta_cli.engine.ticks.expire import expire
from tests.support.engine import Item, Stage, item_controller, quick_config, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


async def no_work(resource: Resource[Any]) -> None:
    pass


async def synced_long_ago(dsn: str, observer: Observer, count: int, namespace: str) -> None:
    async with Client(dsn, quick_config(item_controller(no_work))) as client:
        await client.inform_many(
            (Item(f"{number}") for number in range(count)), InformOpts(namespace=namespace)
        )
    await observer.do(
        "update delta_resource set state = 'synced', due_at = null, synced_generation = 1,"
        " synced_at = now() - interval '30 days', updated_at = now() - interval '30 days'"
    )


async def test_27_max_workers_of_a_namespace_holds_in_a_process(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    namespaces = {"acme": NamespaceConfig(max_workers=2)}
    controller = item_controller(stage.work, parallelism=10)
    async with working(dsn, controller, namespaces=namespaces) as client:
        await client.inform_many(
            [Item(f"{number}") for number in range(6)], InformOpts(namespace="acme")
        )
        await client.inform(Item("elsewhere"))
        await eventually(lambda: stage.running == 3)
        stage.open.set()
        await observer.until_all("synced", 7)
    assert stage.most_running == 3


async def test_27_a_foreground_run_waits_for_what_it_reported(dsn: str, observer: Observer) -> None:
    reported = [Item("a"), Item("b")]
    controller = item_controller(no_work, inform=lambda options: reported)
    async with Client(dsn, quick_config(controller)) as client:
        run = await client.schedule_inform("item", run_foreground=True)
        assert (run.state, run.counts.created) == ("succeeded", 2)
        assert await observer.states() == {"synced": 2}


async def test_28_a_ttl_that_was_changed_counts_from_the_next_start(
    dsn: str, observer: Observer
) -> None:
    for ttl in (DAY, HOUR, None):
        namespaces = {"default": NamespaceConfig(expiry_ttl=ttl)}
        async with Client(dsn, quick_config(namespaces=namespaces)):
            stored = "select expiry_ttl from delta_namespace where name = 'default'"
            assert await observer.value(stored) == ttl


async def test_29_a_namespace_whose_ttl_is_longer_than_the_retention_still_expires(
    dsn: str, observer: Observer
) -> None:
    await synced_long_ago(dsn, observer, 3, "default")
    config = quick_config(namespaces={"default": NamespaceConfig(expiry_ttl=7 * DAY)})
    async with Client(dsn, config) as client:
        assert await clean(client.database, config) == 0
        assert await expire(client.database) == 3
    assert await observer.states() == {"expired": 3}


async def test_29_each_namespace_has_its_own_retention(dsn: str, observer: Observer) -> None:
    await synced_long_ago(dsn, observer, 3, "acme")
    config = quick_config(namespaces={"acme": NamespaceConfig(synced_retention=365 * DAY)})
    async with Client(dsn, config) as client:
        assert await clean(client.database, config) == 0
        await observer.do("update delta_namespace set synced_retention = '1 day'")
        assert await clean(client.database, config) == 3


async def test_29_one_pass_cleans_more_than_one_batch(dsn: str, observer: Observer) -> None:
    await synced_long_ago(dsn, observer, 2_500, "default")
    config = quick_config()
    async with Client(dsn, config) as client:
        assert await clean(client.database, config) == 2_500


@pytest.mark.parametrize("kind", ["item", "delta.inform", "controller", "maintenance", "a/b.c-d"])
async def test_30_an_inform_run_of_any_kind_can_be_queued(dsn: str, kind: str) -> None:
    # And 32: no kind collides with a name of our own.
    reported: list[Item] = []
    controller = item_controller(no_work, kind=kind, inform=lambda options: reported)
    reported.append(controller.object_class()("a"))
    async with working(dsn, controller) as client:
        run = await client.schedule_inform(kind)

        async def succeeded() -> bool:
            return (await client.inform_run(run.id)).state == "succeeded"

        await eventually(succeeded)

        async def synced() -> bool:
            return (await client.get(kind, "a")).state == "synced"

        await eventually(synced)


async def test_31_a_client_without_configuration_informs_reads_and_repairs(dsn: str) -> None:
    async with Client(dsn) as client:
        assert (await client.inform(Item("a"))).outcome == "created"
        assert (await client.inform_many([Item("b")])).created == 1
        assert (await client.delete("item", "a")).state == "deleted"
        assert [row.object_id async for row in client.resources()] == ["a", "b"]
        assert await client.stop() is None
        with pytest.raises(NotFound):
            await client.schedule_inform("item")


async def test_40_migrations_come_with_the_package() -> None:
    assert [one.version for one in schema.shipped_migrations()][:1] == [1]


async def test_41_unchanged_objects_are_no_news(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Client(dsn, quick_config(item_controller(no_work))) as client:
        items = [Item(f"{number}") for number in range(100)]
        await client.inform_many(items)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            assert (await client.inform_many(items)).unchanged == 100
    assert caplog.records == []
