"""Services that no client has attached: all of a tick but the fleet."""

import asyncio
import inspect
import logging
import threading
from datetime import timedelta
from typing import Any, NoReturn

import psycopg
import pytest

from delta_cli import (
    ConfigError,
    SkipReason,
    TickOutcome,
    TickService,
    WorkerHealth,
    component_logger,
)
from delta_cli.engine.ticks import service as service_module
from delta_cli.engine.ticks.calling import call
from tests.support.engine import seconds
from tests.support.waiting import eventually

HOUR = timedelta(hours=1)


def fail() -> NoReturn:
    raise ValueError("no")


async def nothing() -> None:
    pass


async def test_a_tick_runs_its_work_and_counts_what_it_returns() -> None:
    async def work() -> int:
        return 3

    service = TickService("app", HOUR, work)
    assert service.health() == WorkerHealth()
    assert await service.tick() is TickOutcome.SUCCESS
    health = service.health()
    assert health.last_count == 3
    assert health.last_success is not None
    assert health.last_start is not None
    assert health.last_success >= health.last_start
    assert (health.consecutive_failures, health.last_failure, health.last_skip) == (0, None, None)


async def test_work_that_is_no_coroutine_function_runs_in_a_thread() -> None:
    threads: list[int] = []
    service = TickService("app", HOUR, lambda: threads.append(threading.get_ident()))
    assert await service.tick() is TickOutcome.SUCCESS
    assert threads != [threading.get_ident()]
    assert service.health().last_count is None


async def test_failures_are_counted_until_a_success() -> None:
    errors = [ValueError("one"), KeyError("two"), None]

    async def work() -> None:
        if error := errors.pop(0):
            raise error

    service = TickService("app", HOUR, work)
    assert await service.tick() is TickOutcome.FAILED
    assert service.health().last_error == "ValueError: one"
    assert service.health().consecutive_failures == 1
    assert await service.tick(force=True) is TickOutcome.FAILED
    assert service.health().consecutive_failures == 2
    assert await service.tick(force=True) is TickOutcome.SUCCESS
    health = service.health()
    assert health.consecutive_failures == 0
    # What went wrong last is still told.
    assert health.last_error == "KeyError: 'two'"
    assert health.last_failure is not None


async def test_a_tick_that_is_not_due_is_skipped_unless_it_is_forced() -> None:
    service = TickService("app", HOUR, nothing)
    assert await service.tick() is TickOutcome.SUCCESS
    before = service.health()
    assert await service.tick() is TickOutcome.SKIPPED
    health = service.health()
    assert health.last_skip_reason is SkipReason.NOT_DUE
    assert health.last_success == before.last_success
    assert health.consecutive_failures == 0
    assert await service.tick(force=True) is TickOutcome.SUCCESS


async def test_a_tick_that_is_switched_off_is_skipped() -> None:
    ran: list[int] = []
    service = TickService("app", HOUR, lambda: ran.append(1), should_run=lambda: False)
    assert await service.tick(force=True) is TickOutcome.SKIPPED
    assert service.health().last_skip_reason is SkipReason.SWITCHED_OFF
    assert ran == []


async def test_whether_to_run_may_be_asked_of_a_coroutine_function() -> None:
    answers = [False, True]

    async def should_run() -> bool:
        return answers.pop(0)

    service = TickService("app", HOUR, nothing, should_run=should_run)
    assert await service.tick() is TickOutcome.SKIPPED
    assert await service.tick() is TickOutcome.SUCCESS


async def test_should_run_that_raises_is_a_failure_that_names_it() -> None:
    ran: list[int] = []
    service = TickService("app", HOUR, lambda: ran.append(1), should_run=fail)
    assert await service.tick() is TickOutcome.FAILED
    assert "should_run raised ValueError: no" in (service.health().last_error or "")
    assert service.health().consecutive_failures == 1
    assert ran == []


@pytest.mark.parametrize("value", ["3", 3.0, True, [1]])
async def test_work_that_returns_another_type_fails_and_names_it(value: Any) -> None:
    service = TickService("app", HOUR, lambda: value)
    assert await service.tick() is TickOutcome.FAILED
    error = service.health().last_error or ""
    assert error == f"TypeError: work must return an int or None, not {type(value).__name__}"


async def test_startup_runs_once_before_the_first_work() -> None:
    order: list[str] = []
    service = TickService(
        "app", HOUR, lambda: order.append("work"), startup=lambda: order.append("startup")
    )
    await service.tick()
    await service.tick(force=True)
    assert order == ["startup", "work", "work"]


async def test_startup_that_fails_fails_the_tick_and_is_tried_again() -> None:
    order, errors = [], [ValueError("not yet"), None]

    async def startup() -> None:
        order.append("startup")
        if error := errors.pop(0):
            raise error

    service = TickService("app", HOUR, lambda: order.append("work"), startup=startup)
    assert await service.tick() is TickOutcome.FAILED
    assert "startup raised ValueError: not yet" in (service.health().last_error or "")
    assert await service.tick(force=True) is TickOutcome.SUCCESS
    assert order == ["startup", "startup", "work"]


@pytest.mark.parametrize("is_async", [True, False])
async def test_on_error_is_given_the_error(is_async: bool) -> None:
    told: list[BaseException] = []

    async def on_error(error: BaseException) -> None:
        told.append(error)

    service = TickService("app", HOUR, fail, on_error=on_error if is_async else told.append)
    assert await service.tick() is TickOutcome.FAILED
    (error,) = told
    assert isinstance(error, ValueError)


async def test_an_error_of_on_error_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    def on_error(error: BaseException) -> None:
        raise RuntimeError("worse")

    service = TickService("app", HOUR, fail, on_error=on_error)
    assert await service.tick() is TickOutcome.FAILED
    assert service.health().last_error == "ValueError: no"
    assert service.health().consecutive_failures == 1
    assert [record.message for record in caplog.records] == ["pass failed", "on_error failed"]


async def test_an_unavailable_database_is_a_skip(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        raise psycopg.OperationalError("server closed the connection")

    told: list[BaseException] = []
    service = TickService("app", HOUR, work, on_error=told.append)
    assert await service.tick() is TickOutcome.SKIPPED
    health = service.health()
    assert health.last_skip_reason is SkipReason.DATABASE_UNAVAILABLE
    assert (health.consecutive_failures, health.last_failure) == (0, None)
    assert told == []


@pytest.mark.parametrize(
    "error", [SystemExit(3), StopIteration(), asyncio.CancelledError(), GeneratorExit()]
)
@pytest.mark.parametrize("is_async", [True, False])
async def test_work_that_wants_to_end_more_than_itself_only_fails(
    error: BaseException, is_async: bool
) -> None:
    def work() -> None:
        raise error

    async def work_async() -> None:
        work()

    service = TickService("app", HOUR, work_async if is_async else work)
    assert await service.tick() is TickOutcome.FAILED
    assert service.health().consecutive_failures == 1


@pytest.mark.parametrize("is_async", [True, False])
async def test_what_closes_coroutines_fails_the_tick_and_says_so(is_async: bool) -> None:
    def leave() -> None:
        raise GeneratorExit

    async def leave_async() -> None:
        leave()

    function = leave_async if is_async else leave
    for field in ("work", "should_run", "startup", "on_error"):
        work = fail if field == "on_error" else nothing
        functions: dict[str, Any] = {"work": work, field: function}
        service = TickService("app", HOUR, **functions)
        assert await service.tick() is TickOutcome.FAILED
        told = "no" if field == "on_error" else "GeneratorExit was raised"
        assert (service.health().last_error or "").endswith(told)


async def test_a_call_that_is_closed_is_not_taken_for_one_that_raised() -> None:
    calling = call(asyncio.Event().wait)

    async def begin() -> None:
        calling.send(None)

    await asyncio.create_task(begin())
    calling.close()  # raises nothing
    assert inspect.getcoroutinestate(calling) == inspect.CORO_CLOSED


async def cancelled() -> NoReturn:
    raise asyncio.CancelledError


@pytest.mark.parametrize("field", ["should_run", "startup"])
async def test_a_function_that_is_cancelled_from_within_fails_the_tick_alone(field: str) -> None:
    functions: dict[str, Any] = {field: cancelled}
    service = TickService("app", HOUR, nothing, **functions)
    assert await service.tick() is TickOutcome.FAILED
    assert service.health().last_error == f"RuntimeError: {field} was cancelled from within"


async def test_on_error_that_is_cancelled_from_within_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = TickService("app", HOUR, fail, on_error=lambda _: cancelled())
    assert await service.tick() is TickOutcome.FAILED
    assert [record.message for record in caplog.records] == ["pass failed", "on_error failed"]


async def test_a_service_never_runs_two_at_a_time() -> None:
    open_gate, running = asyncio.Event(), 0

    async def work() -> None:
        nonlocal running
        running += 1
        await open_gate.wait()

    service = TickService("app", HOUR, work)
    first = asyncio.create_task(service.tick())
    await eventually(lambda: running == 1)
    assert await service.tick(force=True) is TickOutcome.SKIPPED
    assert service.health().last_skip_reason is SkipReason.LOCK_BUSY
    open_gate.set()
    assert await first is TickOutcome.SUCCESS
    assert running == 1


async def test_a_run_that_overruns_its_interval_is_logged_and_none_runs_beside_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    running, most, runs = 0, 0, 0

    async def work() -> None:
        nonlocal running, most, runs
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running, runs = running - 1, runs + 1

    service = TickService("slow", seconds(0.01), work)
    ticking = asyncio.create_task(service.run())
    await eventually(lambda: runs >= 3)
    ticking.cancel()
    await asyncio.wait([ticking])
    assert most == 1
    overrun = [one for one in caplog.records if one.message == "tick overruns its interval"]
    assert overrun
    assert vars(overrun[0])["component"] == "slow"
    assert vars(overrun[0])["duration_ms"] >= 10
    assert len(overrun) <= runs + 1


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_run_that_hangs_is_logged_while_it_does(
    caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    gate, thread_gate = asyncio.Event(), threading.Event()
    service = TickService("stuck", seconds(0.01), gate.wait if is_async else thread_gate.wait)
    ticking = asyncio.create_task(service.tick())
    await eventually(lambda: "tick overruns its interval" in caplog.messages)
    assert not ticking.done()
    gate.set()
    thread_gate.set()
    await ticking
    assert caplog.messages.count("tick overruns its interval") == 1


async def test_a_failed_tick_does_not_end_the_service() -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        raise ValueError("again")

    service = TickService("app", seconds(0.01), work)
    ticking = asyncio.create_task(service.run())
    await eventually(lambda: runs >= 3)
    assert not ticking.done()
    ticking.cancel()
    await asyncio.wait([ticking])


async def test_the_first_tick_waits_for_a_part_of_half_the_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(least: float, most: float) -> float:
        drawn.append((least, most))
        return most

    monkeypatch.setattr(service_module.random, "uniform", uniform)
    assert service_module.jitter_s(timedelta(minutes=1)) == 30
    assert drawn == [(0, 30)]
    # A service that would wait for half an hour has not run.
    service = TickService("app", HOUR, nothing)
    ticking = asyncio.create_task(service.run())
    await eventually(lambda: len(drawn) == 2)
    assert drawn[1] == (0, 1800)
    assert service.health() == WorkerHealth()
    ticking.cancel()
    await asyncio.wait([ticking])


async def test_each_record_of_a_run_carries_its_component_and_one_run_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = component_logger("app")
    caplog.set_level(logging.INFO)

    async def work() -> None:
        log.info("one", extra={"more": 1})
        await asyncio.to_thread(log.info, "two")

    service = TickService("app", HOUR, work)
    log.info("outside")
    await service.tick()
    await service.tick(force=True)
    outside, *inside = [vars(record) for record in caplog.records]
    assert outside["component"] == "app"
    assert "run_id" not in outside
    ids = [record["run_id"] for record in inside]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert inside[0]["more"] == 1


async def test_failures_go_to_the_logger_that_was_given(caplog: pytest.LogCaptureFixture) -> None:
    service = TickService("app", HOUR, fail, logger=logging.getLogger("mine"))
    await service.tick()
    (record,) = caplog.records
    assert (record.name, record.message) == ("mine", "pass failed")
    assert vars(record)["component"] == "app"
    assert record.exc_info is not None


BAD: list[tuple[dict[str, Any], str]] = [
    ({"interval": timedelta(0)}, "interval of tick 'app' must be longer than zero"),
    ({"interval": timedelta(seconds=-1)}, "got -1 s"),
    ({"interval": 5}, "interval of tick 'app' must be a timedelta, got 5"),
    ({"interval": timedelta.max}, "at most 36500 days"),
    ({"name": ""}, "name of a tick must have 1 to 127 printable characters, got 0"),
    ({"name": "n" * 128}, "got 128: 'nnnn"),
    ({"name": "a\nb"}, r"got 3: 'a\\nb'"),
    ({"name": 7}, "name of a tick must be text, got 7"),
    ({"lock_id": 2**63}, "lock_id of tick 'app' must be a 64-bit integer, got 9223372036854775808"),
    ({"lock_id": -(2**63) - 1}, "lock_id of tick 'app' must be a 64-bit integer"),
    ({"lock_id": "1"}, "lock_id of tick 'app' must be a 64-bit integer, got '1'"),
    ({"lock_id": True}, "lock_id of tick 'app' must be a 64-bit integer, got True"),
    ({"work": 3}, "work of tick 'app' must be callable, got 3"),
    ({"should_run": True}, "should_run of tick 'app' must be callable, got True"),
    ({"startup": "x"}, "startup of tick 'app' must be callable, got 'x'"),
    ({"on_error": 1}, "on_error of tick 'app' must be callable, got 1"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD)
def test_a_service_refuses_what_it_cannot_use(wrong: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"name": "app", "interval": HOUR, "work": nothing}
    with pytest.raises(ConfigError, match=message):
        TickService(**given | wrong)


def test_a_service_tells_its_name_its_interval_and_a_stable_lock() -> None:
    service = TickService("app", HOUR, nothing)
    assert (service.name, service.interval) == ("app", HOUR)
    # Other processes and later versions must come to the same.
    assert service.lock_id == 8314673211773385
    assert service.lock_id != TickService("other", HOUR, nothing).lock_id
    assert service.lock_id_in("other") != service.lock_id
    assert TickService("app", HOUR, nothing, lock_id=-5).lock_id == -5
