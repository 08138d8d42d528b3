"""How each outcome changes a service's health. A skip counts as neither success nor failure.

`at` is None while nobody can tell the time: the database is away, and has been from the start.
"""

from dataclasses import replace
from datetime import datetime

from delta_cli.engine.model.tick import SkipReason, WorkerHealth


def after_start(health: WorkerHealth, at: datetime) -> WorkerHealth:
    """A run has begun."""
    return replace(health, last_start=at)


def after_success(
    health: WorkerHealth,
    at: datetime | None,
    *,
    count: int | None,
    count_key: str | None,
    duration_ms: float,
) -> WorkerHealth:
    """A run has succeeded: failures are counted anew."""
    return replace(
        health,
        last_success=at or health.last_success,
        consecutive_failures=0,
        last_count=count,
        count_key=count_key or health.count_key,
        last_duration_ms=duration_ms,
    )


def after_failure(
    health: WorkerHealth, at: datetime | None, error: str, *, duration_ms: float | None = None
) -> WorkerHealth:
    """A tick has failed, in its run or before it could begin (without a duration)."""
    return replace(
        health,
        last_failure=at or health.last_failure,
        last_error=error,
        consecutive_failures=health.consecutive_failures + 1,
        last_duration_ms=health.last_duration_ms if duration_ms is None else duration_ms,
    )


def after_skip(health: WorkerHealth, at: datetime | None, reason: SkipReason) -> WorkerHealth:
    """A tick did not run."""
    return replace(health, last_skip=at or health.last_skip, last_skip_reason=reason)
