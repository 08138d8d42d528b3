"""What `delta_tick` and `delta_tick_run` tell of ticks, beside what each process remembers."""

import asyncio
import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from delta_cli import (
    Client,
    Config,
    ConfigError,
    NotFound,
    SkipReason,
    TickOutcome,
    TickRow,
    TickService,
    client_from_context,
    component_logger,
    handle_pass_result,
)
from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.tick_names import stable_lock_id
from delta_cli.engine.ticks import service as service_module
from tests.support.engine import Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

HOUR = timedelta(hours=1)
HEALTH = (
    "last_start",
    "last_success",
    "last_failure",
    "last_error",
    "consecutive_failures",
    "last_skip",
    "last_skip_reason",
    "last_count",
    "count_key",
    "last_duration_ms",
)


async def row_of(client: Client, name: str = "app") -> TickRow:
    (row,) = [row for row in await client.ticks() if row.name == name]
    return row


def health_of(source: object) -> dict[str, Any]:
    return {name: getattr(source, name) for name in HEALTH}


def app(work: Callable[[], Any], interval: timedelta = HOUR, **options: Any) -> Config:
    return Config(ticks=[TickService("app", interval, work, **options)])


def service_of(config: Config) -> TickService:
    return config.ticks[0]


async def test_health_in_the_table_is_that_in_memory_whatever_happened(dsn: str) -> None:
    answers: list[Any] = [5, ValueError("no"), None, psycopg.OperationalError("away"), 2]

    async def work() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    config = app(work)
    async with Client(dsn, config) as client:
        outcomes = []
        row = None
        while answers:
            outcomes.append(await client.tick("app"))
            row, health = await row_of(client), service_of(config).health()
            assert health_of(row) == health_of(health)
            assert row.holder is None
        assert outcomes == ["success", "failed", "success", "skipped", "success"]
        assert row is not None
        newest_first = [(run.outcome, run.count, run.error) for run in row.runs]
        assert newest_first == [
            ("success", 2, None),
            ("skipped", None, "database unavailable"),
            ("success", None, None),
            ("failed", None, "ValueError: no"),
            ("success", 5, None),
        ]
        assert len({run.run_id for run in row.runs}) == 5
        assert {run.holder for run in row.runs} == {f"{socket.gethostname()}:{os.getpid()}"}
        times = [(run.started_at, run.finished_at) for run in row.runs]
        assert all(started <= finished for started, finished in times if finished)
        assert row.consecutive_failures == 0
        assert row.last_error == "ValueError: no"


async def test_a_tick_that_fails_before_it_begins_is_kept_without_a_run(dsn: str) -> None:
    config = app(lambda: None, should_run=lambda: 1 // 0 > 0)
    async with Client(dsn, config) as client:
        assert await client.tick("app") is TickOutcome.FAILED
        row = await row_of(client)
        assert health_of(row) == health_of(service_of(config).health())
        assert row.last_error is not None
        assert row.last_error.startswith("RuntimeError: should_run raised ZeroDivisionError: ")
        assert (row.consecutive_failures, row.runs) == (1, ())


async def test_a_tick_knows_its_client(dsn: str) -> None:
    seen: list[Client] = []
    async with Client(dsn, app(lambda: seen.append(client_from_context()))) as client:
        assert await client.tick("app") is TickOutcome.SUCCESS
        assert seen == [client]


@pytest.mark.parametrize("name", ["inform", "rescue", "expire", "clean", "rebalance"])
async def test_every_client_has_the_built_in_ticks(dsn: str, name: str) -> None:
    async with Client(dsn) as client:
        assert await client.tick(name) is TickOutcome.SUCCESS
        (row,) = [row for row in await client.ticks() if row.last_start is not None]
        keys = {
            "inform": "runs_queued",
            "rescue": "rescued",
            "expire": "expired",
            "clean": "cleaned",
            "rebalance": "slots_moved",
        }
        assert (row.name, row.last_count, row.count_key) == (name, 0, keys[name])


async def test_a_tick_that_this_process_does_not_have_is_not_found(dsn: str) -> None:
    async with Client(dsn) as client:
        with pytest.raises(NotFound, match="there is no tick 'app' in this process") as refused:
            await client.tick("app")
        assert "inform, rescue, expire, clean, rebalance" in (refused.value.hint or "")
        assert "app" not in [row.name for row in await client.ticks()]


async def test_the_built_in_ticks_are_listed_before_any_has_run(
    dsn: str, observer: Observer
) -> None:
    service = TickService("app", HOUR, lambda: 1)
    async with Client(dsn, Config(ticks=[service], cleaner_interval=seconds(90))) as client:
        rows = await client.ticks()
        assert [row.name for row in rows] == ["clean", "expire", "inform", "rebalance", "rescue"]
        clean = rows[0]
        assert (clean.interval_s, clean.lock_id) == (90, stable_lock_id("delta", "clean"))
        assert (clean.enabled, clean.paused, clean.runs) == (True, False, ())
        assert {(row.last_start, row.next_due, row.holder) for row in rows} == {(None, None, None)}
        assert await observer.rows("select from delta_tick") == []
        # Once it is known to the fleet, it is listed once, as the fleet knows it.
        await client.tick("clean")
        again = await client.ticks()
        assert [row.name for row in again] == [row.name for row in rows]
        assert again[0].last_success is not None


async def test_who_has_the_lock_is_told_to_whom_it_is_refused(dsn: str) -> None:
    stage = Stage()
    ran: list[int] = []

    async def hold() -> None:
        stage.running += 1
        await stage.open.wait()

    async with Client(dsn, app(hold)) as one, Client(dsn, app(lambda: ran.append(1))) as other:
        ticking = asyncio.create_task(one.tick("app"))
        await eventually(lambda: stage.running)
        assert await other.tick("app") is TickOutcome.SKIPPED
        row = await row_of(other)
        assert row.last_skip_reason is SkipReason.LOCK_BUSY
        assert row.holder == f"{socket.gethostname()}:{os.getpid()}"
        assert (row.runs[0].outcome, row.runs[0].finished_at) == (None, None)
        stage.open.set()
        assert await ticking is TickOutcome.SUCCESS
        assert await other.tick("app") is TickOutcome.SUCCESS
        assert ran == [1]


@pytest.mark.parametrize("until", [None, "1 hour"])
async def test_a_paused_tick_is_skipped_until_it_is_resumed(
    dsn: str, observer: Observer, until: str | None
) -> None:
    config = app(lambda: 1)
    async with Client(dsn, config) as client:
        await observer.do(
            "insert into delta_pause (scope, name, until)"
            " values ('tick', 'app', now() + %s::interval), ('kind', 'app', null)",
            until,
        )
        assert await client.tick("app") is TickOutcome.SKIPPED
        row = await row_of(client)
        assert (row.paused, row.last_skip_reason) == (True, SkipReason.PAUSED)
        assert health_of(row) == health_of(service_of(config).health())
        await observer.do("update delta_pause set until = now() where scope = 'tick'")
        assert await client.tick("app") is TickOutcome.SUCCESS
        assert not (await row_of(client)).paused


async def test_a_tick_that_is_switched_off_shows_so_until_it_runs(dsn: str) -> None:
    answers = [False, True]
    async with Client(dsn, app(lambda: 1, should_run=lambda: answers.pop(0))) as client:
        assert await client.tick("app") is TickOutcome.SKIPPED
        row = await row_of(client)
        assert (row.enabled, row.last_skip_reason) == (False, SkipReason.SWITCHED_OFF)
        assert await client.tick("app") is TickOutcome.SUCCESS
        assert (await row_of(client)).enabled


async def test_only_the_last_twenty_runs_of_each_tick_are_kept(
    dsn: str, observer: Observer
) -> None:
    counts = iter(range(100))
    async with Client(dsn, app(lambda: next(counts))) as client:
        await client.tick("expire")
        for _ in range(23):
            await client.tick("app")
        assert await observer.value("select count(*) from delta_tick_run") == 21
        assert [run.count for run in (await row_of(client)).runs] == list(range(22, 2, -1))


# The grid


async def due(observer: Observer) -> datetime:
    return await observer.value("select next_due from delta_tick where name = 'app'")


@pytest.mark.parametrize(
    ("behind", "from_before"),
    [
        ("0 s", True),
        ("59 min", True),
        ("61 min", False),
        ("-30 min", False),  # forced before its time
    ],
)
async def test_the_next_run_is_due_on_a_grid_of_intervals(
    dsn: str, observer: Observer, behind: str, from_before: bool
) -> None:
    async with Client(dsn, app(lambda: 1)) as client:
        assert await client.tick("app") is TickOutcome.SUCCESS
        await observer.do("update delta_tick set next_due = now() - %s::interval", behind)
        before = await due(observer)
        assert await client.tick("app") is TickOutcome.SUCCESS
        row = await row_of(client)
        origin = before if from_before else row.last_start
        assert origin is not None
        assert row.next_due == origin + HOUR


async def test_a_forced_tick_counts_as_the_interval_s_run(dsn: str) -> None:
    config = app(lambda: 1)
    async with Client(dsn, config) as client:
        assert await client.tick("app") is TickOutcome.SUCCESS
        service = service_of(config)
        # Attached, and not forced.
        assert await service.tick() is TickOutcome.SKIPPED
        assert service.health().last_skip_reason is SkipReason.NOT_DUE
        assert (await row_of(client)).last_skip_reason is SkipReason.NOT_DUE


async def test_a_start_brings_its_settings_and_a_forced_tick_does_not(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "jitter_s", lambda _: 0.0)
    runs: list[int] = []
    async with Client(dsn, app(lambda: 1, lock_id=5)) as client:
        await client.tick("app")
        row = await row_of(client)
        assert (row.interval_s, row.lock_id) == (3600, 5)
    async with Client(dsn, app(lambda: 1, seconds(60), lock_id=6)) as client:
        await client.tick("app")
        assert (await row_of(client)).interval_s == 3600
        assert (await row_of(client)).lock_id == 5
    ticks = [TickService("app", seconds(0.05), lambda: runs.append(1), lock_id=7)]
    async with working(dsn, item_controller(Stage().work), ticks=ticks) as client:
        # The shorter interval draws the next run nearer.
        await eventually(lambda: len(runs) > 2)
        row = await row_of(client)
        assert (row.interval_s, row.lock_id) == (0.05, 7)


async def test_services_of_two_processes_run_once_per_interval_between_them(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "jitter_s", lambda _: 0.0)
    runs: list[str] = []

    def config(who: str) -> Config:
        tick = TickService("app", HOUR, lambda: runs.append(who))
        return quick_config(item_controller(Stage().work), ticks=[tick])

    one, other = config("one"), config("other")
    async with Client(dsn, one) as first, Client(dsn, other) as second:
        await first.start()
        await second.start()
        await eventually(lambda: runs)
        # Both have looked: who did not run it sleeps until it is due.
        row = await row_of(first)
        assert len(row.runs) == 1
        await first.stop(hard=True)
        await second.stop(hard=True)
    assert len(runs) == 1


async def test_an_application_of_ticks_alone_runs_them_as_a_worker_like_any_other(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "jitter_s", lambda _: 0.0)
    runs: list[int] = []
    config = quick_config(ticks=[TickService("app", seconds(0.05), lambda: runs.append(1))])
    async with Client(dsn, config) as client:
        await client.start()
        await eventually(lambda: len(runs) > 2)
        (worker,) = (await client.status()).workers
        assert (worker.state, worker.kinds, worker.capacity) == ("running", [], 0)
        began = worker.heartbeat_at
        await client.control.pause("tick", "app")

        async def is_skipped() -> bool:
            return (await row_of(client)).last_skip_reason is SkipReason.PAUSED

        await eventually(is_skipped)
        ran = len(runs)

        async def beats() -> bool:
            return (await client.control.workers())[0].heartbeat_at > began

        await eventually(beats)
        assert len(runs) == ran
        assert await client.drained()
        summary = await client.stop()
        assert summary is not None
        assert summary.drained


async def test_there_is_no_worker_without_controllers_and_ticks(dsn: str) -> None:
    async with Client(dsn, quick_config()) as client:
        with pytest.raises(ConfigError, match="no controllers to work, and no ticks to run"):
            await client.start()
    async with Client(dsn, app(lambda: 1)) as client:
        with pytest.raises(ConfigError, match="no controllers to work"):
            await client.start(kinds=[])


# Ends


async def test_a_stop_in_mid_run_closes_the_run_and_is_no_failure(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "jitter_s", lambda _: 0.0)
    stage = Stage()

    async def hold() -> None:
        stage.running += 1
        await stage.open.wait()

    service = TickService("app", HOUR, hold)
    async with Client(dsn, quick_config(item_controller(stage.work), ticks=[service])) as client:
        await client.start()
        await eventually(lambda: stage.running)
        await client.stop()
        row = await row_of(client)
        assert (row.runs[0].outcome, row.runs[0].error) == (TickOutcome.SKIPPED, "stopped")
        assert (row.holder, row.consecutive_failures, row.last_failure) == (None, 0, None)
        assert health_of(row) == health_of(service.health())
        # Its lock is free, also for this process.
        stage.open.set()
        assert await client.tick("app") is TickOutcome.SUCCESS
    assert (
        await observer.value("select count(*) from delta_tick_run where finished_at is null") == 0
    )


async def test_a_cancelled_forced_tick_closes_its_run_too(dsn: str) -> None:
    stage = Stage()

    async def hold() -> None:
        stage.running += 1
        await stage.open.wait()

    async with Client(dsn, app(hold)) as client:
        ticking = asyncio.create_task(client.tick("app"))
        await eventually(lambda: stage.running)
        ticking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ticking
        row = await row_of(client)
        assert (row.runs[0].error, row.holder) == ("stopped", None)


async def test_a_run_that_a_killed_holder_left_open_is_closed_by_the_next(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn, app(lambda: 1)) as client:
        await client.tick("app")
        await observer.do(
            "with left_open as (insert into delta_tick_run (name, run_id, holder)"
            " values ('app', 'gone', 'elsewhere:1'))"
            " update delta_tick set holder = 'elsewhere:1' where name = 'app'"
        )
        assert await client.tick("app") is TickOutcome.SUCCESS
        row = await row_of(client)
        ended = [(run.run_id == "gone", run.outcome, run.error) for run in row.runs[:2]]
        assert ended == [(False, "success", None), (True, "failed", "holder lost")]
        assert (row.last_error, row.consecutive_failures) == ("holder lost", 0)
        assert row.last_failure is not None
        assert row.holder is None


async def test_what_happened_while_the_database_was_away_is_kept_when_it_is_back(
    own_server: EmbeddedServer,
) -> None:
    stage = Stage()

    async def hold() -> int:
        stage.running += 1
        await stage.open.wait()
        return 7

    config = app(hold)
    async with Client(own_server.dsn, config) as client:
        client.database._pool.timeout = 0.5
        service = service_of(config)
        ticking = asyncio.create_task(client.tick("app"))
        await eventually(lambda: stage.running)
        own_server.stop(force=True)
        # The lock is gone with its session.
        assert await ticking is TickOutcome.FAILED
        assert service.health().last_error == "lock connection lost"
        assert await client.tick("app") is TickOutcome.SKIPPED
        assert service.health().last_skip_reason is SkipReason.DATABASE_UNAVAILABLE
        assert service.health().consecutive_failures == 1
        await asyncio.to_thread(own_server.join)
        stage.open.set()
        assert await eventually(lambda: ticked(client)) is TickOutcome.SUCCESS
        row = await row_of(client)
        assert health_of(row) == health_of(service.health())
        assert row.last_skip_reason is SkipReason.DATABASE_UNAVAILABLE
        assert row.last_error == "lock connection lost"
        outcomes = [(run.outcome, run.error) for run in row.runs]
        assert outcomes == [("success", None), ("failed", "lock connection lost")]


async def ticked(client: Client) -> TickOutcome | None:
    """Once the pool has connected again."""
    outcome = await client.tick("app")
    return None if outcome is TickOutcome.SKIPPED else outcome


async def test_a_service_runs_for_one_open_client_at_a_time(dsn: str) -> None:
    config = app(lambda: 1)
    async with Client(dsn, config) as one, Client(dsn, config) as other:
        assert await one.tick("app") is TickOutcome.SUCCESS
        with pytest.raises(ConfigError, match="tick 'app' belongs to another client"):
            await other.tick("app")
        await one.close()
        assert await other.tick("app") is TickOutcome.SUCCESS


async def handled_elsewhere() -> None:
    await handle_pass_result(component_logger("app"), None, 2**70, None, "things")


@pytest.mark.parametrize("work", [lambda: 2**63, handled_elsewhere])
async def test_a_count_that_the_table_cannot_keep_is_a_failure_there_too(
    dsn: str, work: Callable[[], Any]
) -> None:
    async with Client(dsn, config := app(work)) as client:
        assert await client.tick("app") is TickOutcome.FAILED
        row = await row_of(client)
    assert health_of(row) == health_of(service_of(config).health())
    assert row.last_error == "ValueError: work must return a count of 64 bits"
    assert row.holder is None


async def test_an_endless_patience_with_silent_workers_hinders_no_tick(dsn: str) -> None:
    config = Config(worker_lost_after=timedelta(days=3_000))
    async with Client(dsn, config) as client:
        assert await client.tick("expire") is TickOutcome.SUCCESS
