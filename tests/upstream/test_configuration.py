"""Faults 27 to 33, 40 and 41: what upstream offers and does not do, or does too loudly."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from delta_cli import Client, InformOpts, InvalidObject, NamespaceConfig, NotFound, Resource
from delta_cli.engine import schema
from delta_cli.engine.ticks.clean import clean
from delta_cli.engine.ticks.expire import expire
from tests.support.engine import (
    IMPATIENT,
    Constant,
    Item,
    Stage,
    item_controller,
    quick_config,
    working,
)
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


async def test_27_every_setting_of_a_namespace_is_stored(dsn: str, observer: Observer) -> None:
    settings = NamespaceConfig(
        max_workers=1,
        fleet_max_workers=2,
        synced_retention=3 * DAY,
        degraded_retention=4 * DAY,
        deleted_retention=5 * DAY,
    )
    async with Client(dsn, quick_config(namespaces={"acme": settings})):
        pass
    stored = await observer.rows(
        "select max_workers, fleet_max_workers, synced_retention, degraded_retention,"
        " deleted_retention from delta_namespace where name = 'acme'"
    )
    assert stored == [(1, 2, 3 * DAY, 4 * DAY, 5 * DAY)]


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


async def test_31_a_compare_that_cannot_be_called_is_refused_and_never_passed_over(
    dsn: str,
) -> None:
    @dataclass
    class Odd:
        id: str
        value: int = 0
        kind: ClassVar[str] = "odd"

        def compare(self, other: "Odd", strictly: bool) -> int:
            return self.value - other.value

    async with Client(dsn) as client:
        await client.inform(Odd("a"))
        with pytest.raises(InvalidObject, match="compare"):
            await client.inform(Odd("a", 1))
        assert (await client.get("odd", "a")).object["value"] == 0


@pytest.mark.parametrize(
    "kind", ["controller", "maintenance", "work", "event", "control", "rescue", "delta"]
)
async def test_32_no_kind_collides_with_a_name_of_our_own(
    dsn: str, observer: Observer, kind: str
) -> None:
    stage, other = Stage(opened=True), Stage(opened=True)
    controllers = [item_controller(stage.work, kind=kind), item_controller(other.work)]
    async with working(dsn, *controllers) as client:
        await client.inform(controllers[0].object_class()("a"))
        await client.inform(Item("b"))
        await observer.until_all("synced", 2)
    assert [[item.key for item in each.begun] for each in (stage, other)] == [["a"], ["b"]]


async def test_33_a_worker_needs_no_listen(dsn: str, observer: Observer) -> None:
    listens = (
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and query ilike 'listen%'"
    )
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work), poll_only=True), Client(dsn) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
        assert await observer.value(listens) == 0
    async with working(dsn, item_controller(stage.work)):

        async def listening() -> bool:
            return await observer.value(listens) > 0

        await eventually(listening)


async def test_33_each_controller_says_how_long_to_wait(dsn: str, observer: Observer) -> None:
    async def work(resource: Resource[Any]) -> None:
        raise ConnectionError

    async with working(dsn, item_controller(work, backoff=Constant(7 * DAY))) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "failed")
        wait = await observer.value("select due_at - updated_at from delta_resource")
    assert wait == 7 * DAY


async def test_33_the_time_to_finish_and_to_be_lost_are_settings(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    settings: dict[str, Any] = IMPATIENT | {"shutdown_timeout": timedelta(milliseconds=50)}
    async with working(dsn, item_controller(stage.work), **settings) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        async with asyncio.timeout(30):  # its work would never end
            summary = await client.stop()
        assert summary is not None
        assert (summary.drained, summary.returned) == (False, 1)
    assert await observer.states() == {"scheduled": 1}


async def test_33_what_a_worker_does_is_logged_with_its_component(
    dsn: str, observer: Observer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="delta_cli"):
        async with working(dsn, item_controller(no_work)):
            pass
    assert "worker" in {getattr(record, "component", None) for record in caplog.records}


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
