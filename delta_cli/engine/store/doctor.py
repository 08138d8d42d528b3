"""Reads what `delta doctor` judges; decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from delta_cli.engine.database import Connection
from delta_cli.engine.model.fleet import SILENT_BEATS
from delta_cli.engine.model.pause import Pause, PauseScope
from delta_cli.engine.queries import doctor as queries


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server as a session finds it. `clock`: seconds of its epoch; sizes are counts."""

    version_num: int
    version: str
    fsync: bool
    synchronous_commit: str
    autovacuum: bool
    is_standby: bool
    clock: float
    most_connections: int
    connections: int
    oldest_transaction_s: float | None


@dataclass(frozen=True, slots=True)
class TableFacts:
    """Live and dead rows of one table."""

    name: str
    live: int
    dead: int
    vacuumed_at: datetime | None


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """The size of one index, and for how many entries."""

    name: str
    bytes: int
    entries: int


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """How many workers run, are silent, or were lost within a day; `paused` of those that run."""

    running: int
    silent: int
    lost: int
    paused: int = 0


@dataclass(frozen=True, slots=True)
class TickFacts:
    """A tick that fails or is overdue."""

    name: str
    is_overdue: bool
    consecutive_failures: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class InformerFacts:
    """A kind whose informer fails, or whose last run had `refused` objects, as its `error` says."""

    kind: str
    consecutive_failures: int
    refused: int
    error: str | None


@dataclass(frozen=True, slots=True)
class StuckFacts:
    """Resources that do not move. `held_back`, due behind pauses, and `degraded` end at 1,000."""

    overdue_leases: int
    longest_due_s: float | None
    degraded: int
    held_back: int = 0


@dataclass(frozen=True, slots=True)
class PauseFacts:
    """A pause, how old it is, and how much is due behind it, counted up to 1,000."""

    pause: Pause
    age_s: float
    waiting: int


async def server(connection: Connection) -> ServerFacts:
    """The server's version, settings, clock and connections."""
    async with connection.cursor(row_factory=class_row(ServerFacts)) as cursor:
        await cursor.execute(queries.SERVER)
        return (await cursor.fetchall())[0]


async def rights_missing(connection: Connection, schema: str) -> list[str]:
    """The tables on which the role lacks a right."""
    cursor = await connection.execute(queries.RIGHTS_MISSING, {"schema": schema})
    return [row[0] for row in await cursor.fetchall()]


async def tables(connection: Connection, schema: str) -> Sequence[TableFacts]:
    """Delta's tables, most dead rows first."""
    async with connection.cursor(row_factory=class_row(TableFacts)) as cursor:
        await cursor.execute(queries.TABLES, {"schema": schema})
        return await cursor.fetchall()


async def indexes(connection: Connection, schema: str) -> Sequence[IndexFacts]:
    """Delta's indexes, the largest first."""
    async with connection.cursor(row_factory=class_row(IndexFacts)) as cursor:
        await cursor.execute(queries.INDEXES, {"schema": schema})
        return await cursor.fetchall()


async def workers(connection: Connection) -> WorkerFacts:
    """How the fleet is."""
    async with connection.cursor(row_factory=class_row(WorkerFacts)) as cursor:
        await cursor.execute(queries.WORKERS, {"silent_beats": SILENT_BEATS})
        return (await cursor.fetchall())[0]


async def ticks(connection: Connection) -> Sequence[TickFacts]:
    """The ticks that give cause for concern."""
    async with connection.cursor(row_factory=class_row(TickFacts)) as cursor:
        await cursor.execute(queries.TICKS)
        return await cursor.fetchall()


async def informers(connection: Connection) -> Sequence[InformerFacts]:
    """The informers that give cause for concern."""
    async with connection.cursor(row_factory=class_row(InformerFacts)) as cursor:
        await cursor.execute(queries.INFORMERS)
        return await cursor.fetchall()


async def pauses(connection: Connection) -> Sequence[PauseFacts]:
    """What is paused now."""
    cursor = await connection.execute(queries.PAUSES)
    return [
        PauseFacts(Pause(PauseScope(scope), *rest), age_s, waiting)
        for scope, *rest, age_s, waiting in await cursor.fetchall()
    ]


async def stuck(connection: Connection) -> StuckFacts:
    """The resources that do not move."""
    async with connection.cursor(row_factory=class_row(StuckFacts)) as cursor:
        await cursor.execute(queries.STUCK)
        return (await cursor.fetchall())[0]
