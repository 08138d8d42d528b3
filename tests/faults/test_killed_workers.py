import signal
import time

from delta_cli import Client
from tests.support.engine import (
    IMPATIENT,
    Item,
    Stage,
    item_controller,
    quick_config,
    working,
)
from tests.support.observing import Observer
from tests.support.processes import Workers, overlapping, times_worked
from tests.support.waiting import eventually

LOST_AFTER_S, RESCUE_S = 1.0, 0.2
SOON = {"heartbeat_interval": 0.2, "worker_lost_after": LOST_AFTER_S, "rescue_interval": RESCUE_S}


async def test_what_a_killed_worker_was_working_is_due_again_in_time_and_worked_by_another(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    victim = await workers.start(dsn, "hang", **SOON)
    async with Client(dsn, quick_config()) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(4))
    await eventually(lambda: len(workers.running()) == 4)
    heir = await workers.start(dsn, "quick", **SOON)
    victim.signal(signal.SIGKILL)
    killed = time.monotonic()
    await eventually(lambda: rescues(observer, 4), within=LOST_AFTER_S + RESCUE_S + 3)
    took_s = time.monotonic() - killed
    # Its last heartbeat may have been a whole interval before the kill.
    assert took_s > LOST_AFTER_S - 0.3
    await observer.until_all("synced", 4)
    assert {span.pid for span in workers.spans() if span.ended} == {heir.pid}
    rows = await observer.rows("select term, sync_count, attempt from delta_resource")
    assert rows == [(3, 1, 0)] * 4
    states = await observer.rows("select pid, state from delta_worker order by id")
    assert states == [(victim.pid, "lost"), (heir.pid, "running")]


async def rescues(observer: Observer, count: int) -> bool:
    return len(await observer.events("object_rescued")) == count


async def test_a_new_worker_finds_what_the_last_one_left_when_it_was_killed(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    victim = await workers.start(dsn, "hang", **SOON)
    async with Client(dsn, quick_config()) as client:
        await client.inform(Item("a"))
        await eventually(workers.running)
        victim.signal(signal.SIGKILL)
        await victim.ended()
        # Nobody is there to rescue; an inform still returns, and is not forgotten.
        await client.inform(Item("a", 1))
    await workers.start(dsn, "quick", **SOON)
    row = await observer.until_state("a", "synced")
    assert (row["object"]["value"], row["synced_generation"]) == (1, 2)


async def test_the_rescue_keeps_what_happened_among_the_errors(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    victim = await workers.start(dsn, "hang", **SOON)
    stage = Stage()
    async with Client(dsn, quick_config()) as client:
        await client.inform(Item("a"))
        await eventually(workers.running)
    async with working(dsn, item_controller(stage.work), **IMPATIENT) as client:
        victim.signal(signal.SIGKILL)
        await eventually(lambda: stage.running)
        (error,) = (await client.get("item", "a")).errors
        assert (error.attempt, error.error, error.message) == (1, "WorkerLost", "worker lost")
        stage.open.set()
        row = await observer.until_state("a", "synced")
        assert row["errors"] == []


async def test_a_resource_that_kills_its_workers_ends_degraded(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    async with Client(dsn, quick_config(max_attempts=3)) as client:
        await client.inform(Item("poison", 1))
        for _ in range(3):
            victim = await workers.start(dsn, "kill", **SOON)
            assert await victim.ended() == -signal.SIGKILL
        await workers.start(dsn, "kill", **SOON)
        row = await observer.until_state("poison", "degraded")
        assert (row["attempt"], row["due_at"]) == (3, None)
        assert [error["error"] for error in row["errors"]] == ["WorkerLost"] * 3
        events = [category for category, *_ in await observer.events()]
        assert events == ["object_rescued", "object_rescued", "object_failed"]
        # The worker that found it so is alive, and works what is good.
        await client.inform(Item("good"))
        await observer.until_state("good", "synced")


async def test_a_frozen_worker_s_late_completion_is_refused_and_it_goes_on_working(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    frozen = await workers.start(dsn, "hang", **SOON)
    async with Client(dsn, quick_config()) as client:
        await client.inform(Item("a"))
        await eventually(workers.running)
        frozen.signal(signal.SIGSTOP)
        heir = await workers.start(dsn, "quick", **SOON)
        row = await observer.until_state("a", "synced")
        assert workers.spans()[-1].pid == heir.pid
        await heir.drain()
        workers.open_gate()
        frozen.signal(signal.SIGCONT)
        # It learns that it was given up, begins anew, and works.
        await client.inform(Item("b"))
        await observer.until_state("b", "synced")
        assert workers.spans()[-1].pid == frozen.pid
        assert await observer.resource("a") == row

        async def begun_anew() -> bool:
            query = "select state from delta_worker where pid = %s order by id"
            return await observer.rows(query, frozen.pid) == [("lost",), ("running",)]

        await eventually(begun_anew)
        summary = await frozen.drain()
        assert summary["counts"]["synced"] == 1


async def test_a_blocked_worker_past_its_lease_cannot_complete(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    """A work that never yields stops its whole process, heartbeats and all, until it ends."""
    blocked = await workers.start(dsn, "block", parallelism=1, **SOON)
    async with Client(dsn, quick_config()) as client:
        await client.inform(Item("a"))
        await eventually(workers.running)
        await workers.start(dsn, "quick", **SOON)
        await observer.until_state("a", "synced")
        await client.inform(Item("a", 1))
        row = await observer.until_state("a", "synced")
        workers.open_gate()
        await eventually(lambda: not [s for s in workers.running() if s.pid == blocked.pid])
        assert (await blocked.drain())["counts"]["synced"] == 0
        assert await observer.resource("a") == row


async def test_two_workers_share_a_backlog_and_work_each_resource_once(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    count = 2_000
    both = [await workers.start(dsn, "quick", parallelism=20) for _ in range(2)]
    async with Client(dsn, quick_config()) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(count))
    await observer.until_all("synced", count, within=40)
    spans = workers.spans()
    assert times_worked(spans) == {1: count}
    assert overlapping(spans) == []
    assert {span.pid for span in spans} == {process.pid for process in both}
    assert await observer.rows("select distinct sync_count, term from delta_resource") == [(1, 1)]
    assert sum([(await process.drain())["counts"]["synced"] for process in both]) == count


async def test_a_worker_killed_amid_a_backlog_loses_nothing(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    count = 1_000
    victim = await workers.start(dsn, "quick", parallelism=10, **SOON)
    await workers.start(dsn, "quick", parallelism=10, **SOON)
    async with Client(dsn, quick_config()) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(count))
    await eventually(lambda: len(workers.spans()) > count // 4)
    victim.signal(signal.SIGKILL)
    await observer.until_all("synced", count, within=40)
    assert await observer.rows("select distinct sync_count from delta_resource") == [(1,)]
    # Each object was worked once, but for those that the victim had in hand.
    assert sum(n for times, n in times_worked(workers.spans()).items() if times > 1) <= 50
