"""Periodic services: how a tick ended, how a service has fared, and what the fleet knows of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TickOutcome(StrEnum):
    """How one tick ended. A skip is never a failure."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"


class SkipReason(StrEnum):
    """Why a tick did not run its work."""

    LOCK_BUSY = "lock busy"
    NOT_DUE = "not due"
    SWITCHED_OFF = "switched off"
    PAUSED = "paused"
    DATABASE_UNAVAILABLE = "database unavailable"


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """How one periodic service has fared. `consecutive_failures` is zero again after a success."""

    last_start: datetime | None = None
    last_success: datetime | None = None
    last_failure: datetime | None = None
    last_error: str | None = None
    consecutive_failures: int = 0
    last_skip: datetime | None = None
    last_skip_reason: SkipReason | None = None
    last_count: int | None = None
    count_key: str | None = None
    last_duration_ms: float | None = None


@dataclass(frozen=True, slots=True)
class TickRun:
    """A row of `delta_tick_run`: one run of a tick's work. `outcome` None while it runs."""

    run_id: str
    outcome: TickOutcome | None
    holder: str
    started_at: datetime
    finished_at: datetime | None
    duration_ms: float | None
    count: int | None
    count_key: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class TickRow:
    """A row of `delta_tick`: one periodic service as the fleet knows it, its last runs first."""

    name: str
    interval_s: float
    lock_id: int
    enabled: bool
    last_start: datetime | None
    last_success: datetime | None
    last_failure: datetime | None
    last_error: str | None
    consecutive_failures: int
    last_skip: datetime | None
    last_skip_reason: SkipReason | None
    last_count: int | None
    count_key: str | None
    last_duration_ms: float | None
    next_due: datetime | None
    holder: str | None
    paused: bool
    runs: Sequence[TickRun] = ()
