"""Each process here is a real worker with a tick of the application."""

import asyncio
import signal
import threading
import time
from typing import Any

import psycopg
import pytest

from delta_cli import Client, Config, TickOutcome, TickService
from tests.support.engine import seconds
from tests.support.observing import Observer
from tests.support.processes import Span, Workers, overlapping
from tests.support.waiting import eventually

INTERVAL_S = 0.1
INTERVALS = 50
#: Of fifty runs, so many may be left out, and some for each interval in which a machine that is
#: busy elsewhere is late with as many statements: who is late by an interval begins a new grid.
MOST_LEFT_OUT = 5
MOST_LEFT_OUT_WHEN_LATE = 3
STATEMENTS_OF_A_TICK = 6

#: What else a worker does is seldom, so that the machine is free for the tick.
CALM: dict[str, Any] = {
    "rescue_interval": 5.0,
    "maintenance_interval": 60.0,
    "heartbeat_interval": 5.0,
    "poll_interval": 5.0,
}
#: A session of locks that says nothing for a second is given up.
IMPATIENT: dict[str, Any] = CALM | {
    "heartbeat_interval": 0.4,
    "worker_lost_after": 1.0,
    "rescue_interval": 0.4,
}


def ticks(workers: Workers) -> list[Span]:
    return [span for span in workers.spans() if span.object_id == "tick"]


def ended(workers: Workers) -> list[Span]:
    return [span for span in ticks(workers) if span.ended is not None]


async def intervals_that_are_late(observer: Observer) -> int:
    """How often this machine takes half an interval longer for a tick's statements than it may."""
    late, begun = 0, time.monotonic()
    for number in range(INTERVALS):
        due = begun + number * INTERVAL_S
        await asyncio.sleep(due - time.monotonic())
        for _ in range(STATEMENTS_OF_A_TICK):
            await observer.value("select 1")
        late += time.monotonic() > due + INTERVAL_S / 2
    return late


async def test_three_workers_run_a_tick_once_per_interval_and_never_two_at_a_time(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    for _ in range(3):
        await workers.start(dsn, "quick", tick="tick_briefly", tick_every=INTERVAL_S, **CALM)
    await eventually(lambda: ended(workers))
    first = ended(workers)[0].began
    late = await intervals_that_are_late(observer)
    end = first + INTERVALS * INTERVAL_S * 1e9
    await eventually(lambda: time.monotonic_ns() > end)
    for worker in workers.processes:
        await worker.drain()
    spans = [span for span in ticks(workers) if first <= span.began < end]
    assert overlapping(spans) == []
    assert len(spans) >= INTERVALS - MOST_LEFT_OUT - MOST_LEFT_OUT_WHEN_LATE * late
    # In whatever stretch: a run may begin late by less than an interval, and none begins early. A
    # machine that is busy elsewhere may also be late with the first line that its work writes.
    begun_s = [span.began / 1e9 for span in spans]
    for place, begun in enumerate(begun_s):
        for more, later in enumerate(begun_s[place:]):
            assert later - begun >= (more - 1 - late) * INTERVAL_S
    assert await observer.rows("select run_id from delta_tick_run where finished_at is null") == []
    (row,) = await observer.rows(
        "select last_count, consecutive_failures, holder from delta_tick where name = 'app'"
    )
    assert row == (1, 0, None)


async def test_the_next_takes_over_when_the_holder_is_killed_in_mid_run(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    for _ in range(2):
        await workers.start(dsn, "quick", tick="tick_hanging", tick_every=INTERVAL_S, **CALM)
    (held,) = await eventually(lambda: ticks(workers))
    (holder,) = [one for one in workers.processes if one.pid == held.pid]
    row = await observer.rows("select holder from delta_tick where name = 'app'")
    assert row[0][0].endswith(f":{held.pid}")
    holder.signal(signal.SIGKILL)
    await eventually(lambda: len(ticks(workers)) == 2)
    _, taken_over = ticks(workers)
    assert taken_over.pid != held.pid
    first, second = await observer.rows(
        "select outcome, error, finished_at is null, holder from delta_tick_run"
        " where name = 'app' order by id"
    )
    assert first == ("failed", "holder lost", False, row[0][0])
    assert second[:3] == (None, None, True)
    workers.open_gate()
    await eventually(lambda: healthy(observer))


async def healthy(observer: Observer) -> bool:
    return await observer.value(
        "select consecutive_failures = 0 and last_failure < last_success"
        " from delta_tick where name = 'app'"
    )


async def test_a_frozen_holder_is_given_up_after_worker_lost_after(
    dsn: str, observer: Observer, workers: Workers
) -> None:
    for _ in range(2):
        await workers.start(dsn, "quick", tick="tick_hanging", tick_every=INTERVAL_S, **IMPATIENT)
    (held,) = await eventually(lambda: ticks(workers))
    (holder,) = [one for one in workers.processes if one.pid == held.pid]
    frozen = time.monotonic()
    holder.signal(signal.SIGSTOP)
    try:
        await eventually(lambda: len(ticks(workers)) == 2)
        # It was last heard of less than a fifth of that time before.
        assert time.monotonic() - frozen > 0.7 * IMPATIENT["worker_lost_after"]
        assert ticks(workers)[1].pid != held.pid
    finally:
        holder.signal(signal.SIGCONT)
    # What the holder was doing is cancelled as soon as it can see that the lock is another's.
    (cancelled,) = await eventually(lambda: ended(workers))
    assert (cancelled.pid, cancelled.began) == (held.pid, held.began)
    outcomes = await observer.rows("select outcome, error from delta_tick_run where name = 'app'")
    assert ("failed", "holder lost") in outcomes
    assert len(ticks(workers)) == 2


async def end_session_of_locks(dsn: str) -> int:
    """Returns how many sessions there were that held a tick's lock."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        cursor = await connection.execute(
            "select pg_terminate_backend(pid) from pg_locks"
            " where locktype = 'advisory' and granted and pid <> pg_backend_pid()"
            " and database = (select oid from pg_database where datname = current_database())"
            # The key of two times 32 bits, as Postgres keeps one of 64.
            " and (classid::bigint << 32 | objid::bigint) = ("
            "  select lock_id from delta.delta_tick where name = 'app')"
        )
        return len(await cursor.fetchall())


class Work:
    """The work of a tick: it waits to be let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.ended = threading.Event()

    async def run(self) -> None:
        self.begun.set()
        try:
            while not self.open.is_set():
                await asyncio.sleep(0.01)
        finally:
            self.ended.set()

    def run_in_thread(self) -> None:
        self.begun.set()
        self.open.wait(10)
        self.ended.set()


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_lost_lock_connection_cancels_the_pass_and_is_a_failure(
    dsn: str, observer: Observer, caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    work = Work()
    service = TickService("app", seconds(3600), work.run if is_async else work.run_in_thread)
    async with Client(dsn, Config(ticks=[service])) as client:
        ticking = asyncio.create_task(client.tick("app"))
        await eventually(work.begun.is_set)
        assert await end_session_of_locks(dsn) == 1
        await eventually(lambda: "lock connection lost" in caplog.messages)
        if is_async:  # a thread cannot be ended
            await eventually(work.ended.is_set, within=2)
        work.open.set()
        assert await ticking is TickOutcome.FAILED
        assert work.ended.is_set()
        health = service.health()
        assert (health.last_error, health.consecutive_failures) == ("lock connection lost", 1)
        (tick,) = [one for one in await client.ticks() if one.name == "app"]
        assert (tick.last_error, tick.consecutive_failures) == ("lock connection lost", 1)
        assert (tick.last_failure, tick.holder) == (health.last_failure, None)
        (run,) = tick.runs
        assert (run.outcome, run.error) == (TickOutcome.FAILED, "lock connection lost")
        # The next lock is on a new connection.
        assert await client.tick("app") is TickOutcome.SUCCESS
