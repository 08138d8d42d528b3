"""The dashboard's only reader of tables: snapshots, lists, single resources, and the actions."""

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from delta_cli.dash.actions import Plan, Thing
from delta_cli.dash.counting import Counts
from delta_cli.dash.snapshot import KindCounts, Snapshot
from delta_cli.engine.client import Client
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.errors import ConfigError, NotFound, StateConflict
from delta_cli.engine.model import Event, ResourceRow, TickOutcome, WorkerRow
from delta_cli.engine.statements import run_steps
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store import (
    events,
    namespaces,
    overview,
    pauses,
    read,
    registry,
    repair,
    runs,
    ticks,
)
from delta_cli.engine.store.overview import LaneDue, LanePending, Line, Wanted

#: Lines of a list at most; what does not fit is told.
LINES: Final = 500
_LOOK: Final = 20_000
_LOOKS: Final = 5
_DUE_CAP: Final = 1_000
_RUNS: Final = 200
_TIMELINE: Final = 100
_ENDED: Final = timedelta(minutes=10)
_FIRST_ROUND_S: Final = 0.25
_REPAIRS: Final = {
    "invalidate": repair.INVALIDATE,
    "retry": repair.RETRY,
    "delete": repair.DELETE,
}
_AWAY_AFTER: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Page:
    """Lines of a list. `is_all` False: there are more, or the search went only so far."""

    lines: Sequence[Line] = ()
    is_all: bool = True
    looked: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What an action did: rows changed, and rows left alone because they had changed by then."""

    done: int
    stale: int
    words: str = ""
    is_ok: bool = True


class DashStore:
    """Reads over connections of its own, which give up soon when the server is away."""

    def __init__(self, client: Client, counts: Counts | None = None) -> None:
        self.client: Client = client
        self.database: Database = Database(
            client.database.dsn,
            schema=client.config.schema,
            application_name="delta dash",
            max_connections=4,
            connect_timeout=_AWAY_AFTER,
        )
        self._counts: Counts = counts or Counts()

    async def open(self) -> None:
        """Open the pool. Raises ConnectionFailed."""
        await self.database.open()

    async def close(self) -> None:
        """Close every connection."""
        await self.database.close()

    async def require_read_only(self) -> None:
        """Prove that sessions change nothing. Raises ConfigError where they could."""
        async with self.database.connection() as connection:
            if not await overview.is_read_only(connection):
                raise ConfigError(
                    "the connection string's own options leave the sessions writable",
                    hint="add to them: -c default_transaction_read_only=on",
                )

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        async with self.database.connection() as connection:
            yield connection

    # Watching

    async def snapshot(self) -> Snapshot:
        """The whole system now."""
        async with self._connection() as connection:
            at = await read.now(connection)
            await self._count(connection)
            due = await overview.due(connection, cap=_DUE_CAP)
            pending = await overview.pending(connection)
            return Snapshot(
                at=at,
                kinds=self._kinds(due, pending),
                counts_age_s=self._counts.age_s(time.monotonic()),
                counted=self._counts.is_complete,
                pending=pending,
                due=due,
                workers=await self._workers(connection),
                grants=await overview.grants(connection),
                ticks=await ticks.list_ticks(connection),
                controllers=await registry.list_controllers(connection),
                namespaces=await namespaces.list_namespaces(connection),
                runs=await runs.list_runs(connection, None, limit=_RUNS),
                pauses=await pauses.in_force(connection),
            )

    async def _count(self, connection: Connection) -> None:
        """One stretch; of the first round as many as fit into a moment."""
        begin = time.monotonic()
        while True:
            after_id, until_id = self._counts.next_stretch
            chunk = await overview.count_chunk(
                connection, after_id=after_id, until_id=until_id, limit=self._counts.look
            )
            self._counts.take(chunk, time.monotonic())
            if self._counts.is_complete or time.monotonic() - begin > _FIRST_ROUND_S:
                return

    def _kinds(
        self, due: dict[tuple[str, str], LaneDue], pending: Sequence[LanePending]
    ) -> list[KindCounts]:
        states: dict[str, dict[ResourceState, int]] = defaultdict(dict)
        for (kind, _, state), number in self._counts.totals.items():
            states[kind][state] = states[kind].get(state, 0) + number
        for of in states.values():
            of.pop(ResourceState.PENDING, None)
        for lane in pending:  # counted anew each time, by its index
            of = states[lane.kind]
            of[ResourceState.PENDING] = of.get(ResourceState.PENDING, 0) + lane.resources
        return [_kind_counts(kind, states[kind], due) for kind in sorted(states)]

    async def _workers(self, connection: Connection) -> list[WorkerRow]:
        """Those that are there, and those that ended a moment ago: a lost one is worth seeing."""
        found = await read.workers(connection, ended=True)
        return [
            one
            for one in found
            if one.state in ("running", "draining") or one.heartbeat_age_s < _ENDED.total_seconds()
        ]

    # Looking at resources

    async def page(self, wanted: Wanted) -> Page:
        """The resources that a list shows, from at most some 100,000 rows looked at."""
        ids: list[int] = []
        looked, before_id = 0, overview.NO_END
        async with self._connection() as connection:
            for _ in range(_LOOKS):
                batch = await overview.candidates(
                    connection,
                    wanted,
                    before_id=before_id,
                    look=_LOOK,
                    limit=LINES + 1 - len(ids),
                )
                ids += batch.ids
                looked += batch.looked
                before_id = batch.lowest
                if len(ids) > LINES or before_id == 0:
                    break
            found = await overview.lines(connection, ids[:LINES])
            places = {number: place for place, number in enumerate(ids)}
            lines = sorted(found, key=lambda line: places[line.id])
            if wanted.text is not None:
                lines += await self._exactly(connection, wanted, {line.id for line in lines})
        is_all = len(ids) <= LINES and before_id == 0 and looked < _LOOK * _LOOKS
        return Page(lines, is_all, looked)

    async def _exactly(self, connection: Connection, wanted: Wanted, known: set[int]) -> list[Line]:
        """Resources whose whole id is the text: the key leads there, however large the table."""
        assert wanted.text is not None
        found = await overview.find(
            connection, wanted.text, kind=wanted.kind, namespace=wanted.namespace
        )
        states = wanted.states
        return [
            line for line in found if line.id not in known and (not states or line.state in states)
        ]

    async def find(self, kind: str | None, object_id: str) -> list[Line]:
        """The resources that `kind/id` may mean."""
        async with self._connection() as connection:
            return await overview.find(connection, object_id, kind=kind)

    async def resource(self, line: Line) -> ResourceRow | None:
        """One resource with its object; None when it is gone."""
        steps = read.get_steps(line.kind, line.namespace, line.object_id)
        async with self._connection() as connection:
            try:
                return await run_steps(connection, steps)
            except NotFound:
                return None

    async def timeline(self, resource_id: int) -> list[Event]:
        """The last events of one resource, the newest last. May look through much of the log."""
        async with self._connection() as connection:
            return await events.timeline(connection, resource_id, limit=_TIMELINE)

    async def as_seen(self, lines: Sequence[Line]) -> list[ResourceRow]:
        """Those of the resources that still stand as they were shown."""
        rows: list[ResourceRow] = []
        async with self._connection() as connection:
            for line in lines:
                try:
                    row = await run_steps(
                        connection, read.get_steps(line.kind, line.namespace, line.object_id)
                    )
                except NotFound:
                    continue
                if stands_as_shown(row, line):
                    rows.append(row)
        return rows

    # Changing

    async def perform(self, plan: Plan, *, actor: str) -> Report:
        """Do what was confirmed, to rows that still stand as they were shown and no others.

        Raises DeltaError for what is refused as a whole.
        """
        if plan.thing is not None:
            return await self._perform_on(plan.verb, plan.thing, actor)
        if plan.verb == "cancel":
            return await self._cancel(plan.lines, actor)
        rows = await self.as_seen(plan.lines)
        done = await self.client.repair_many(_REPAIRS[plan.verb], rows, actor=actor)
        return Report(len(done), len(plan.lines) - len(done))

    async def _cancel(self, lines: Sequence[Line], actor: str) -> Report:
        done = 0
        for row in await self.as_seen(lines):
            try:
                await self.client.control.cancel(
                    row.kind, row.object_id, namespace=row.namespace, actor=actor
                )
            except (NotFound, StateConflict):
                continue
            done += 1
        return Report(done, len(lines) - done)

    async def _perform_on(self, verb: str, thing: Thing, actor: str) -> Report:
        match verb:
            case "tick":
                outcome = await self.client.tick(thing.name)
                return Report(1, 0, words=outcome.value, is_ok=outcome is TickOutcome.SUCCESS)
            case "pause":
                await self.client.control.pause(thing.scope, thing.name, actor=actor)
            case _:
                await self.client.control.resume(thing.scope, thing.name)
        return Report(1, 0)


def stands_as_shown(row: ResourceRow, line: Line) -> bool:
    """Whether a resource has not changed since it was shown."""
    return (row.id, row.state, row.attempt, row.generation) == (
        line.id,
        line.state,
        line.attempt,
        line.generation,
    )


def _kind_counts(
    kind: str, states: dict[ResourceState, int], due: dict[tuple[str, str], LaneDue]
) -> KindCounts:
    lanes = [lane for (of, _), lane in due.items() if of == kind]
    oldest = min((lane.oldest for lane in lanes if lane.oldest is not None), default=None)
    return KindCounts(kind, states, sum(lane.due for lane in lanes), oldest)
