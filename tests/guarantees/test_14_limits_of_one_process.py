import asyncio
import contextlib
import threading

import pytest

from delta_cli import Client, InformOpts, Resource
from tests.support.engine import (
    Constant,
    Item,
    Stage,
    item_controller,
    quick_config,
    seconds,
    working,
)
from tests.support.observing import Observer
from tests.support.waiting import eventually


class Threads:
    """Plain works that wait in their threads, and are counted there."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.lock = threading.Lock()
        self.running = 0
        self.most_running = 0
        self.begun = 0

    def work(self, resource: Resource[Item]) -> None:
        with self.lock:
            self.begun += 1
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            self.end.wait(20)
        finally:
            with self.lock:
                self.running -= 1


@pytest.mark.parametrize("parallelism", [1, 4])
async def test_parallelism_holds(dsn: str, observer: Observer, parallelism: int) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work, parallelism=parallelism)) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(200))
        await eventually(lambda: stage.running == parallelism)
        stage.open.set()
        await observer.until_all("synced", 200)
        assert stage.most_running == parallelism


async def test_each_kind_has_its_own_parallelism(dsn: str, observer: Observer) -> None:
    small, large = Stage(), Stage()
    controllers = (
        item_controller(small.work, kind="item", parallelism=2),
        item_controller(large.work, kind="other", parallelism=5),
    )
    other = type("Other", (Item,), {"kind": "other"})
    async with working(dsn, *controllers) as client:
        for each in (Item, other):
            await client.inform_many(each(f"item-{number}") for number in range(10))
        await eventually(lambda: (small.running, large.running) == (2, 5))
        small.open.set()
        large.open.set()
        await observer.until_all("synced", 20)
        assert (small.most_running, large.most_running) == (2, 5)


async def test_parallelism_holds_for_plain_work(dsn: str, observer: Observer) -> None:
    threads = Threads()
    async with working(dsn, item_controller(threads.work, parallelism=3)) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(30))
        await eventually(lambda: threads.running == 3)
        threads.end.set()
        await observer.until_all("synced", 30)
        assert threads.most_running == 3


async def test_work_over_its_time_limit_fails_and_says_so(dsn: str, observer: Observer) -> None:
    stage = Stage()
    controller = item_controller(stage.work, work_timeout=seconds(0.2))
    async with working(dsn, controller, max_attempts=1) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "degraded")
        (error,) = row["errors"]
        assert error["error"] == "TimeoutError"
        assert error["message"] == "work() took longer than 0.2 s"
        assert stage.running == 0


async def test_the_time_limit_of_the_configuration_holds_where_a_kind_has_none(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    settings = {"resource_work_timeout": seconds(0.2), "max_attempts": 1}
    async with working(dsn, item_controller(stage.work), **settings) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "degraded")
        assert "longer than 0.2 s" in row["errors"][0]["message"]


async def test_work_that_swallows_its_interruption_has_failed_all_the_same(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()

    async def work(resource: Resource[Item]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await stage.work(resource)

    controller = item_controller(work, work_timeout=seconds(0.2))
    async with working(dsn, controller, max_attempts=1) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "degraded")
        assert row["errors"][0]["error"] == "TimeoutError"
        # Its runner is as good as new.
        stage.open.set()
        await client.inform(Item("b"))
        await observer.until_state("b", "synced")


async def test_a_time_limit_of_the_work_s_own_is_its_own_affair(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()

    async def work(resource: Resource[Item]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await stage.work(resource)

    async with working(dsn, item_controller(work, work_timeout=seconds(10))) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")


async def test_work_that_cancels_itself_fails(dsn: str, observer: Observer) -> None:
    async def work(resource: Resource[Item]) -> None:
        raise asyncio.CancelledError

    async with working(dsn, item_controller(work), max_attempts=2) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "degraded")
        assert row["errors"][0]["error"] == "CancelledError"


async def test_plain_work_over_its_time_limit_fails_and_says_so(
    dsn: str, observer: Observer
) -> None:
    threads = Threads()
    controller = item_controller(threads.work, work_timeout=seconds(0.2))
    async with working(dsn, controller, max_attempts=1) as client:
        try:
            await client.inform(Item("a"))
            row = await observer.until_state("a", "degraded")
            assert row["errors"][0]["message"] == "work() took longer than 0.2 s"
            assert threads.running == 1
        finally:
            threads.end.set()


async def test_the_slot_of_plain_work_is_held_until_its_thread_really_ends(
    dsn: str, observer: Observer
) -> None:
    threads = Threads()
    controller = item_controller(
        threads.work, work_timeout=seconds(0.1), parallelism=2, backoff=Constant()
    )
    async with working(dsn, controller, max_attempts=100) as client:
        try:
            await client.inform_many(Item(f"item-{number}") for number in range(4))
            await eventually(lambda: events(observer, 2))
            # Both have failed and are due again, as are the other two; but no thread is free.
            await eventually(lambda: all_due(observer, 4))
            beats = await observer.value("select heartbeat_at from delta_worker")
            await eventually(lambda: beaten_since(observer, beats))
            assert (threads.begun, threads.running) == (2, 2)
        finally:
            threads.end.set()
        await observer.until_all("synced", 4)
        assert threads.most_running == 2


async def events(observer: Observer, count: int) -> bool:
    return len(await observer.events("object_failed")) == count


async def all_due(observer: Observer, count: int) -> bool:
    return count == await observer.value(
        "select count(*) from delta_resource where due_at <= now()"
    )


async def beaten_since(observer: Observer, last: object) -> bool:
    return await observer.value(
        "select max(heartbeat_at) > %s + interval '500 milliseconds' from delta_worker", last
    )


async def test_a_time_limit_of_zero_is_none(dsn: str, observer: Observer) -> None:
    stage = Stage()
    settings = {"resource_work_timeout": seconds(0.1)}
    controllers = (
        item_controller(stage.work, work_timeout=seconds(0)),
        item_controller(stage.work, kind="limited"),
    )
    limited = type("Limited", (Item,), {"kind": "limited"})
    async with working(dsn, *controllers, **settings) as client:
        await client.inform(Item("a"))
        await client.inform(limited("b"))
        await observer.until_state("b", "failed")
        await eventually(lambda: len(stage.begun) > 5)
        assert (await observer.resource("a"))["state"] == "pending"
        stage.open.set()
        await observer.until_all("synced", 2)


async def test_urgent_resources_are_worked_first(dsn: str, observer: Observer) -> None:

    stage = Stage(opened=True)
    async with Client(dsn, quick_config(item_controller(stage.work))) as client:
        for priority in (4, 2, 3, 1):
            await client.inform(Item(f"item-{priority}"), InformOpts(priority=priority))
        await client.start()
        await observer.until_all("synced", 4)
        assert [item.key for item in stage.begun] == ["item-1", "item-2", "item-3", "item-4"]


async def test_plain_work_that_raises_stop_iteration_has_failed_and_frees_its_slot(
    dsn: str, observer: Observer
) -> None:
    def work(resource: Resource[Item]) -> None:
        if resource.object.value == 0:
            next(iter(()))

    async with working(dsn, item_controller(work), max_attempts=1) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "degraded")
        assert row["errors"][0]["message"] == "work() raised StopIteration"
        await client.inform(Item("b", 1))
        await observer.until_state("b", "synced")


async def test_a_worker_that_was_declared_lost_holds_the_slots_of_threads_that_run_on(
    dsn: str, observer: Observer
) -> None:
    threads = Threads()
    async with working(dsn, item_controller(threads.work, parallelism=2)) as client:
        try:
            await client.inform_many(Item(f"item-{number}") for number in range(2))
            await eventually(lambda: threads.running == 2)
            await observer.do("update delta_worker set state = 'lost'")
            # The new identity has its claims back and finds no free slot.
            await eventually(lambda: all_due(observer, 2))
            beats = await observer.value("select max(heartbeat_at) from delta_worker")
            await eventually(lambda: beaten_since(observer, beats))
            assert (threads.begun, threads.running) == (2, 2)
        finally:
            threads.end.set()
        await observer.until_all("synced", 2)
        assert threads.most_running == 2
        assert client._worker.runtime is not None
        assert client._worker.runtime.worker.slots.in_use == 0
