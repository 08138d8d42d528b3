import logging
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from delta_cli import (
    SkipReason,
    TickOutcome,
    TickService,
    component_logger,
    handle_pass_result,
)
from delta_cli.engine.ticks.passes import PASS_COMPLETED, PASS_FAILED, QUOTA_REFRESH_FAILED

HOUR = timedelta(hours=1)
LOG = component_logger("app")


class Gauges:
    """Refreshes nothing, and says how often it was asked to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.refreshed = 0
        self._error = error

    def update_quota_metrics(self) -> None:
        self.refreshed += 1
        if self._error is not None:
            raise self._error


class AsyncGauges(Gauges):
    async def update_quota_metrics(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().update_quota_metrics()


def test_the_messages_are_the_ones_that_are_searched_for() -> None:
    assert (PASS_FAILED, PASS_COMPLETED) == ("pass failed", "pass completed")
    assert QUOTA_REFRESH_FAILED == "quota metrics refresh failed after pass"


@pytest.mark.parametrize("count", [0, 2])
async def test_a_count_above_zero_is_logged_with_its_key(
    count: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await handle_pass_result(LOG, None, count, None, "things")
    said = [(record.message, vars(record)["things"]) for record in caplog.records]
    assert said == ([("pass completed", 2)] if count else [])


@pytest.mark.parametrize("gauges", [Gauges(), AsyncGauges()])
async def test_the_gauges_are_refreshed_after_a_pass(gauges: Gauges) -> None:
    await handle_pass_result(LOG, gauges, 1, None, "things")
    await handle_pass_result(LOG, gauges, 0, None, "things")
    assert gauges.refreshed == 2


@pytest.mark.parametrize("kind", [Gauges, AsyncGauges])
async def test_gauges_that_cannot_be_refreshed_are_only_warned_of(
    kind: type[Gauges], caplog: pytest.LogCaptureFixture
) -> None:
    await handle_pass_result(LOG, kind(RuntimeError("no")), 0, None, "things")
    (record,) = caplog.records
    assert (record.levelname, record.message) == ("WARNING", QUOTA_REFRESH_FAILED)
    assert vars(record)["error"] == "RuntimeError: no"


async def test_an_error_is_raised_and_nothing_refreshed() -> None:
    gauges = Gauges()
    with pytest.raises(ValueError, match="no"):
        await handle_pass_result(LOG, gauges, 0, ValueError("no"), "things")
    assert gauges.refreshed == 0


def service_with(*result: Any) -> TickService:
    async def work() -> None:
        count, error = result
        await handle_pass_result(LOG, None, count, error, "things")

    return TickService("app", HOUR, work)


async def test_the_run_takes_over_the_count_and_its_key() -> None:
    service = service_with(4, None)
    assert await service.tick() is TickOutcome.SUCCESS
    assert (service.health().last_count, service.health().count_key) == (4, "things")


async def test_an_unavailable_database_is_no_failure_but_the_run_is_skipped() -> None:
    service = service_with(0, psycopg.OperationalError("away"))
    assert await service.tick() is TickOutcome.SKIPPED
    assert service.health().last_skip_reason is SkipReason.DATABASE_UNAVAILABLE
    assert service.health().consecutive_failures == 0
    assert service.health().last_success is None


async def test_a_statement_that_takes_too_long_is_a_failure() -> None:
    error = psycopg.errors.QueryCanceled("canceling statement due to statement timeout")
    service = service_with(0, error)
    assert await service.tick() is TickOutcome.FAILED
    assert service.health().last_error == f"QueryCanceled: {error}"


async def test_another_error_is_seen_by_health() -> None:
    service = service_with(0, ValueError("no"))
    assert await service.tick() is TickOutcome.FAILED
    assert service.health().last_error == "ValueError: no"
