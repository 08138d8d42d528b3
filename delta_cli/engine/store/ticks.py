"""Ticks: how one stands, its runs from begin to finish, and all of them with their last runs."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg.rows import dict_row

from delta_cli.engine.database import Connection
from delta_cli.engine.model.tick import SkipReason, TickOutcome, TickRow, TickRun
from delta_cli.engine.queries import controller as controller_queries
from delta_cli.engine.queries import tick as queries


@dataclass(frozen=True, slots=True)
class TickSettings:
    """What a process says of a tick when it registers it."""

    name: str
    interval_s: float
    lock_id: int


@dataclass(frozen=True, slots=True)
class TickStanding:
    """How a tick stands, and when. `due_in_s` None: it has never run."""

    due_in_s: float | None
    lock_id: int
    paused: bool
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BegunRun:
    """A run that has begun: the key of its row, and the database's time."""

    id: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What became of a run. `duration_ms` None where it is not known."""

    outcome: TickOutcome
    duration_ms: float | None = None
    count: int | None = None
    count_key: str | None = None
    error: str | None = None
    skip_reason: SkipReason | None = None


async def register(connection: Connection, settings: TickSettings, *, replace: bool) -> None:
    """Make a tick known. `replace`: with these settings, whatever others said of it."""
    query = queries.REGISTER if replace else queries.REGISTER_NEW
    await connection.execute(
        query,
        {
            "name": settings.name,
            "interval_s": settings.interval_s,
            "lock_id": settings.lock_id,
        },
    )


async def ask(connection: Connection, name: str) -> TickStanding | None:
    """How a tick stands; None when it is not known."""
    cursor = await connection.execute(queries.ASK, {"name": name})
    row = await cursor.fetchone()
    return None if row is None else TickStanding(*row)


async def begin(
    connection: Connection, name: str, *, run_id: str, holder: str, forced: bool
) -> BegunRun | None:
    """Begin a run, holding the tick's lock; None when it is not due."""
    cursor = await connection.execute(
        queries.BEGIN, {"name": name, "run_id": run_id, "holder": holder, "forced": forced}
    )
    row = await cursor.fetchone()
    return None if row is None else BegunRun(*row)


async def finish(connection: Connection, run: BegunRun, end: RunEnd) -> datetime | None:
    """Close a run. Returns when; None when another holder has closed it by now."""
    cursor = await connection.execute(
        queries.FINISH,
        {
            "id": run.id,
            "outcome": end.outcome.value,
            "duration_ms": end.duration_ms,
            "count": end.count,
            "count_key": end.count_key,
            "error": end.error,
            "skip_reason": end.skip_reason,
        },
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def skip(connection: Connection, name: str, reason: SkipReason) -> datetime | None:
    """Keep that a tick did not begin. Returns when; None when that was said a moment ago."""
    cursor = await connection.execute(queries.SKIP, {"name": name, "reason": reason.value})
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def fail(connection: Connection, name: str, error: str) -> datetime | None:
    """Keep that a tick failed before it began. Returns when."""
    cursor = await connection.execute(queries.FAIL, {"name": name, "error": error})
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def list_ticks(
    connection: Connection, expected: Iterable[TickSettings] = ()
) -> list[TickRow]:
    """Every tick by name, each with its last runs, the newest first.

    Those of `expected` that no process has registered yet are listed as what has never run.
    """
    runs: dict[str, list[TickRun]] = defaultdict(list)
    cursor = await connection.execute(queries.RUNS)
    for name, run_id, outcome, *rest in await cursor.fetchall():
        known = None if outcome is None else TickOutcome(outcome)
        runs[name].append(TickRun(run_id, known, *rest))
    async with connection.cursor(row_factory=dict_row) as rows:
        await rows.execute(queries.LIST)
        found = [_tick_row(row, tuple(runs[row["name"]])) for row in await rows.fetchall()]
    names = {row.name for row in found}
    unknown = [_never_run(settings) for settings in expected if settings.name not in names]
    return sorted([*found, *unknown], key=lambda row: row.name) if unknown else found


async def row_of(connection: Connection, settings: TickSettings) -> TickRow:
    """One tick with its last runs; one that nobody has made known yet as it would be."""
    rows = await list_ticks(connection, [settings])
    return next(row for row in rows if row.name == settings.name)


def _never_run(settings: TickSettings) -> TickRow:
    return TickRow(
        name=settings.name,
        interval_s=settings.interval_s,
        lock_id=settings.lock_id,
        enabled=True,
        last_start=None,
        last_success=None,
        last_failure=None,
        last_error=None,
        consecutive_failures=0,
        last_skip=None,
        last_skip_reason=None,
        last_count=None,
        count_key=None,
        last_duration_ms=None,
        next_due=None,
        holder=None,
        paused=False,  # only what is registered can be
    )


def _tick_row(row: dict[str, object], runs: tuple[TickRun, ...]) -> TickRow:
    reason = row["last_skip_reason"]
    known = None if reason is None else SkipReason(str(reason))
    return TickRow(**row | {"last_skip_reason": known, "runs": runs})  # pyright: ignore[reportArgumentType]


async def known_kinds(connection: Connection) -> list[str]:
    """Every kind that has ever had a controller."""
    cursor = await connection.execute(controller_queries.KINDS)
    return [row[0] for row in await cursor.fetchall()]


async def clean_pauses(connection: Connection, *, batch: int) -> int:
    """Remove pauses whose end has passed, or whose worker is gone."""
    return await _count(connection, queries.CLEAN_PAUSES, batch)


async def clean_cancels(connection: Connection, *, batch: int) -> int:
    """Remove requests to cancel claims that are gone."""
    return await _count(connection, queries.CLEAN_CANCELS, batch)


async def _count(connection: Connection, query: LiteralString, batch: int) -> int:
    row = await (await connection.execute(query, {"batch": batch})).fetchone()
    return row[0] if row else 0
