"""Examines a Delta from the connection to the resources; each finding says what to do about it.

What a fact means is decided by functions without I/O; `examine` asks for the facts.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import psycopg
from psycopg import sql

from delta_cli.engine import schema as migrations
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.dsn import mask_dsn, mask_secrets
from delta_cli.engine.errors import DeltaError
from delta_cli.engine.model.pause import PauseScope
from delta_cli.engine.store import doctor as store
from delta_cli.engine.store import events
from delta_cli.engine.store.doctor import (
    IndexFacts,
    InformerFacts,
    PauseFacts,
    ServerFacts,
    StuckFacts,
    TableFacts,
    TickFacts,
    WorkerFacts,
)

OLDEST_SERVER: Final = 14
_ECHO_TIMEOUT_S: Final = 3.0
_CLOCK_TOLERANCE_S: Final = 5.0
_FEW_CONNECTIONS: Final = 15
_LONG_TRANSACTION_S: Final = 3_600.0
_MANY_DEAD: Final = 50_000
#: An entry of Delta's indexes takes some 100 bytes when its pages are half full.
_BLOATED_ENTRY_BYTES: Final = 600
_LARGE_INDEX_BYTES: Final = 64 * 1024**2
_LONG_DUE_S: Final = 600.0
#: As far as resources are counted.
_MANY: Final = 1_000
#: A pause that is older, and has something waiting behind it, may have been forgotten.
_OLD_PAUSE_S: Final = 86_400.0


class Verdict(StrEnum):
    """What an examination found."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One examined thing. `fix` says what to do; None where nothing needs doing."""

    name: str
    verdict: Verdict
    detail: str
    fix: str | None = None


async def examine(database: Database) -> AsyncIterator[Finding]:
    """Examine one thing after another; what stands on a broken one is left out.

    `database` need not be open. Raises nothing for what is wrong with it: that is a finding.
    """
    try:
        connection = await database.connect()
    except DeltaError as error:
        yield Finding("connection", Verdict.PROBLEM, error.message, error.hint)
        return
    async with connection:
        yield Finding("connection", Verdict.OK, mask_dsn(database.dsn) or "as PG* variables say")
        facts, skew_s = await _ask_server(connection)
        yield of_version(facts)
        yield of_durability(facts)
        yield of_clock(skew_s)
        yield of_connections(facts)
        yield of_transactions(facts)
        yield of_pooler(is_pooled=database.is_pooled)
        found = await _schema(connection, database.schema)
        yield found
        if found.verdict is Verdict.PROBLEM:
            return
        for name, examination in _EXAMINATIONS.items():
            yield await _safely(name, examination, connection, database)


async def _ask_server(connection: Connection) -> tuple[ServerFacts, float]:
    began = time.time()
    facts = await store.server(connection)
    return facts, facts.clock - (began + time.time()) / 2


async def _schema(connection: Connection, schema: str) -> Finding:
    try:
        await migrations.require_current(connection, schema=schema)
    except DeltaError as error:
        return Finding("schema", Verdict.PROBLEM, error.message, error.hint)
    count = len(migrations.shipped_migrations())
    return Finding("schema", Verdict.OK, f"{schema}: all {count} migrations are applied")


Examination = Callable[[Connection, Database], Awaitable[Finding]]


async def _safely(
    name: str, examination: Examination, connection: Connection, database: Database
) -> Finding:
    """An examination that the database refuses is a finding too."""
    try:
        return await examination(connection, database)
    except psycopg.Error as error:
        detail = " ".join(mask_secrets(str(error)).split())
        return Finding(name, Verdict.PROBLEM, detail, "give the role the rights that it lacks")


async def _rights(connection: Connection, database: Database) -> Finding:
    return of_rights(await store.rights_missing(connection, database.schema))


async def _listen(connection: Connection, database: Database) -> Finding:
    if database.is_pooled:
        return Finding(
            "listen",
            Verdict.WARNING,
            "not tried: behind a pooler LISTEN hears nothing, and Delta polls",
            "set Config(direct_dsn=...) to the server itself",
        )
    channel = f"{database.schema}.doctor"
    await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
    began = time.monotonic()
    await events.notify(connection, "doctor", "")
    async for _ in connection.notifies(timeout=_ECHO_TIMEOUT_S, stop_after=1):
        lag_ms = (time.monotonic() - began) * 1000
        return Finding("listen", Verdict.OK, f"a hint came back after {lag_ms:.1f} ms")
    return Finding(
        "listen",
        Verdict.PROBLEM,
        f"no hint came back within {_ECHO_TIMEOUT_S:g} s",
        "connect to the server itself, or set Config(poll_only=True)",
    )


async def _tables(connection: Connection, database: Database) -> Finding:
    return of_tables(await store.tables(connection, database.schema))


async def _indexes(connection: Connection, database: Database) -> Finding:
    return of_indexes(await store.indexes(connection, database.schema), database.schema)


async def _workers(connection: Connection, _: Database) -> Finding:
    return of_workers(
        await store.workers(connection),
        await store.stuck(connection),
        await store.ticks(connection),
    )


async def _pauses(connection: Connection, _: Database) -> Finding:
    return of_pauses(await store.pauses(connection))


async def _ticks(connection: Connection, _: Database) -> Finding:
    return of_ticks(await store.ticks(connection), await store.workers(connection))


async def _informers(connection: Connection, _: Database) -> Finding:
    return of_informers(await store.informers(connection))


async def _resources(connection: Connection, _: Database) -> Finding:
    return of_resources(await store.stuck(connection))


_EXAMINATIONS: Final[dict[str, Examination]] = {
    "rights": _rights,
    "listen": _listen,
    "dead rows": _tables,
    "indexes": _indexes,
    "workers": _workers,
    "pauses": _pauses,
    "ticks": _ticks,
    "informers": _informers,
    "resources": _resources,
}


# What the facts mean


def of_version(facts: ServerFacts) -> Finding:
    """Whether this Delta knows the server's major version."""
    detail = f"PostgreSQL {facts.version}"
    if facts.version_num < OLDEST_SERVER * 10_000:
        fix = f"upgrade to PostgreSQL {OLDEST_SERVER} or newer"
        return Finding("server", Verdict.PROBLEM, f"{detail} is too old", fix)
    if facts.is_standby:
        fix = "connect to the primary (target_session_attrs=read-write)"
        return Finding("server", Verdict.PROBLEM, f"{detail}, a standby that cannot write", fix)
    return Finding("server", Verdict.OK, detail)


def of_durability(facts: ServerFacts) -> Finding:
    """Whether what is committed survives a crash; the fence of completions stands on it."""
    if not facts.fsync:
        fix = "set fsync = on and restart the server"
        return Finding("durability", Verdict.PROBLEM, "fsync is off", fix)
    if facts.synchronous_commit == "off":
        return Finding(
            "durability",
            Verdict.WARNING,
            "synchronous_commit is off: a crash of the server may forget a claim, "
            "and give its term to another",
            "set synchronous_commit = on for Delta's role",
        )
    if not facts.autovacuum:
        fix = "set autovacuum = on"
        return Finding("durability", Verdict.WARNING, "autovacuum is off: tables will swell", fix)
    return Finding("durability", Verdict.OK, "commits reach the disk, autovacuum is on")


def of_clock(skew_s: float) -> Finding:
    """How far this machine's clock is from the server's, which is the one that decides."""
    detail = f"this machine is {abs(skew_s):.1f} s {'behind' if skew_s > 0 else 'ahead'}"
    if abs(skew_s) <= _CLOCK_TOLERANCE_S:
        return Finding("clock", Verdict.OK, detail)
    fix = "set the clock by NTP; Delta decides by the server's, but logs will not line up"
    return Finding("clock", Verdict.WARNING, detail, fix)


def of_connections(facts: ServerFacts) -> Finding:
    """How many connections are left for workers."""
    left = facts.most_connections - facts.connections
    detail = f"{facts.connections} of {facts.most_connections} are used"
    if left >= _FEW_CONNECTIONS:
        return Finding("connections", Verdict.OK, detail)
    verdict = Verdict.WARNING if left > 1 else Verdict.PROBLEM
    return Finding("connections", verdict, detail, "raise max_connections, or put a pooler between")


def of_transactions(facts: ServerFacts) -> Finding:
    """Whether a forgotten transaction keeps dead rows from being removed."""
    oldest_s = facts.oldest_transaction_s or 0.0
    if oldest_s < _LONG_TRANSACTION_S:
        return Finding("transactions", Verdict.OK, "none is open for long")
    return Finding(
        "transactions",
        Verdict.WARNING,
        f"one is open for {oldest_s / 60:.0f} minutes: no row that died since can be removed",
        "find it in pg_stat_activity by xact_start, and end it",
    )


def of_pooler(*, is_pooled: bool) -> Finding:
    """Whether a pooler stands between."""
    if is_pooled:
        detail = "a pooler stands between: Delta keeps nothing in sessions, and polls"
        return Finding("pooler", Verdict.OK, detail)
    return Finding("pooler", Verdict.OK, "connected to the server itself")


def of_rights(missing: Sequence[str]) -> Finding:
    """Whether the role may read and write all tables."""
    if not missing:
        return Finding("rights", Verdict.OK, "all tables can be read and written")
    names = ", ".join(missing)
    fix = f"grant select, insert, update, delete on {names}"
    return Finding("rights", Verdict.PROBLEM, f"rights are missing on {names}", fix)


def of_tables(tables: Sequence[TableFacts]) -> Finding:
    """Whether a table carries more dead rows than living ones."""
    swollen = [one for one in tables if one.dead > max(_MANY_DEAD, one.live)]
    if not swollen:
        dead = sum(one.dead for one in tables)
        return Finding("dead rows", Verdict.OK, f"{dead:,} in all tables")
    detail = ", ".join(f"{one.name} has {one.dead:,} beside {one.live:,} live" for one in swollen)
    fix = f"vacuum {swollen[0].name}; is autovacuum held up by a long transaction?"
    return Finding("dead rows", Verdict.WARNING, detail, fix)


def of_indexes(indexes: Sequence[IndexFacts], schema: str) -> Finding:
    """Whether an index is far larger than its entries need."""
    bloated = [
        one
        for one in indexes
        if one.bytes > _LARGE_INDEX_BYTES and one.bytes > one.entries * _BLOATED_ENTRY_BYTES
    ]
    if not bloated:
        total = sum(one.bytes for one in indexes)
        return Finding("indexes", Verdict.OK, f"{total / 1024**2:,.0f} MB in all")
    detail = ", ".join(f"{one.name} takes {one.bytes / 1024**2:,.0f} MB" for one in bloated)
    fix = f"reindex index concurrently {schema}.{bloated[0].name}"
    return Finding("indexes", Verdict.WARNING, detail, fix)


def of_workers(workers: WorkerFacts, stuck: StuckFacts, ticks: Sequence[TickFacts] = ()) -> Finding:
    """Whether somebody works, and nobody was lost."""
    detail = f"{workers.running} running"
    if workers.paused:
        detail = f"{detail}, {workers.paused} of them paused"
    if workers.running == 0 and stuck.longest_due_s is not None:
        fix = "start one: delta run"
        return Finding("workers", Verdict.PROBLEM, "none runs, and resources are due", fix)
    if workers.running == 0 and stuck.held_back:
        detail = f"none runs, and {_waiting(stuck.held_back)} behind pauses"
        return Finding("workers", Verdict.WARNING, detail, "start one: delta run")
    if workers.running == 0 and any(one.is_overdue for one in ticks):
        detail = "none runs, and ticks are overdue"
        return Finding("workers", Verdict.WARNING, detail, "start one: delta run")
    if workers.running == workers.paused and stuck.longest_due_s is not None:
        fix = "let one go on: delta resume worker ID"
        return Finding("workers", Verdict.PROBLEM, f"{detail}, and resources are due", fix)
    if workers.silent:
        fix = "are they frozen? the next rescue gives them up"
        return Finding("workers", Verdict.WARNING, f"{detail}, {workers.silent} silent", fix)
    if workers.lost:
        fix = "look at their logs: delta workers --all"
        return Finding(
            "workers", Verdict.WARNING, f"{detail}, {workers.lost} lost within a day", fix
        )
    return Finding("workers", Verdict.OK, detail)


def of_pauses(pauses: Sequence[PauseFacts]) -> Finding:
    """What is held back, and whether that may have been forgotten.

    A pause without an end, or from before yesterday, is a warning while something waits behind it.
    """
    if not pauses:
        return Finding("pauses", Verdict.OK, "nothing is paused")
    detail = "; ".join(_told(one) for one in pauses)
    forgotten = [
        one
        for one in pauses
        if one.waiting and (one.pause.until is None or one.age_s > _OLD_PAUSE_S)
    ]
    if not forgotten:
        return Finding("pauses", Verdict.OK, detail)
    names = ", ".join(f"delta resume {one.pause.scope} {one.pause.name}" for one in forgotten)
    return Finding("pauses", Verdict.WARNING, detail, f"if it is over: {names}")


def _told(one: PauseFacts) -> str:
    if not one.waiting:
        return one.pause.told
    waiting = "it is due" if one.pause.scope is PauseScope.TICK else _waiting(one.waiting)
    return f"{one.pause.told} ({waiting})"


def _waiting(resources: int) -> str:
    if resources >= _MANY:
        return f"{_MANY:,} due resources or more wait"
    return "1 due resource waits" if resources == 1 else f"{resources} due resources wait"


def of_ticks(ticks: Sequence[TickFacts], workers: WorkerFacts) -> Finding:
    """Whether the periodic services are run, and succeed.

    That none is run without a worker is a finding about workers, and told there.
    """
    failing = [one for one in ticks if one.consecutive_failures]
    if failing:
        worst = max(failing, key=lambda one: one.consecutive_failures)
        detail = f"{worst.name} failed {worst.consecutive_failures} times: {worst.last_error}"
        return Finding("ticks", Verdict.PROBLEM, detail, f"delta tick {worst.name}")
    overdue = ", ".join(one.name for one in ticks if one.is_overdue)
    if overdue and workers.running:
        fix = "delta tick shows who holds them"
        return Finding("ticks", Verdict.PROBLEM, f"overdue although workers run: {overdue}", fix)
    if overdue:
        return Finding("ticks", Verdict.OK, f"overdue, since no worker runs: {overdue}")
    return Finding("ticks", Verdict.OK, "all run in time")


def of_informers(informers: Sequence[InformerFacts]) -> Finding:
    """Whether listings succeed, and all that they report is stored.

    As long as one object is refused, each run lists again from the watermark that it stays at.
    """
    if not informers:
        return Finding("informers", Verdict.OK, "none fails, nothing was refused")
    detail = "; ".join(_of_informer(one) for one in informers)
    look = ", ".join(f"delta informs {one.kind}" for one in informers)
    if any(one.refused for one in informers):
        fix = (
            "mend what is refused, or leave it out of inform(): until then each run lists again "
            f"from the same watermark; {look}"
        )
    else:
        fix = f"mend inform(), or what it lists from: {look}"
    return Finding("informers", Verdict.WARNING, detail, fix)


def _of_informer(one: InformerFacts) -> str:
    if not one.consecutive_failures:
        return f"{one.kind}: {one.error}"
    times = "once" if one.consecutive_failures == 1 else f"{one.consecutive_failures} times"
    return f"{one.kind} failed {times}: {one.error}"


def of_resources(stuck: StuckFacts) -> Finding:
    """Whether resources move; beside it, how many a pause holds back."""
    held_back = f"; {_waiting(stuck.held_back)} behind pauses" if stuck.held_back else ""
    if stuck.overdue_leases:
        detail = (
            f"{stuck.overdue_leases} claims outlived their lease by more than a minute{held_back}"
        )
        return Finding("resources", Verdict.PROBLEM, detail, "delta tick rescue")
    if stuck.longest_due_s is not None and stuck.longest_due_s > _LONG_DUE_S:
        detail = f"one has been due for {stuck.longest_due_s / 60:.0f} minutes{held_back}"
        fix = "start more workers, or raise parallelism"
        return Finding("resources", Verdict.WARNING, detail, fix)
    if stuck.degraded:
        some = f"{_MANY:,} or more" if stuck.degraded >= _MANY else str(stuck.degraded)
        fix = "delta list --state degraded; then delta retry"
        return Finding("resources", Verdict.WARNING, f"{some} are degraded{held_back}", fix)
    return Finding("resources", Verdict.OK, f"none is stuck{held_back}")


async def all_findings(database: Database, *, within_s: float = 30.0) -> list[Finding]:
    """All findings; what takes longer than `within_s` in all is a finding as well."""
    findings: list[Finding] = []
    try:
        async with asyncio.timeout(within_s):
            async for finding in examine(database):
                findings.append(finding)  # noqa: PERF401 - what was found before the time ran out stays
    except TimeoutError:
        fix = "is the server overloaded? look at pg_stat_activity"
        findings.append(Finding("time", Verdict.PROBLEM, f"not done within {within_s:g} s", fix))
    return findings
