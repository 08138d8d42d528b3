"""Reads the whole system as one snapshot, a bounded piece of each table at a time."""

import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from delta_cli.dash.counting import Counts
from delta_cli.dash.snapshot import KindCounts, Snapshot
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.model.fleet import WorkerRow
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store import namespaces, overview, pauses, read, registry, runs, ticks
from delta_cli.engine.store.overview import LaneDue, LanePending
from delta_cli.engine.store.ticks import TickSettings

_DUE_CAP: Final = 1_000
_RUNS: Final = 200
_ENDED: Final = timedelta(minutes=10)
_FIRST_ROUND_S: Final = 0.25


class Tables:
    """What all tables say; the counts of a large one are kept from look to look."""

    def __init__(
        self, database: Database, counts: Counts, *, known_ticks: Sequence[TickSettings]
    ) -> None:
        self._database: Database = database
        self._counts: Counts = counts
        self._known_ticks: Sequence[TickSettings] = known_ticks

    async def snapshot(self) -> Snapshot:
        """The whole system now."""
        async with self._database.connection() as connection:
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
                ticks=await ticks.list_ticks(connection, self._known_ticks),
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
            one for one in found if one.is_there or one.heartbeat_age_s < _ENDED.total_seconds()
        ]


def _kind_counts(
    kind: str, states: dict[ResourceState, int], due: dict[tuple[str, str], LaneDue]
) -> KindCounts:
    lanes = [lane for (of, _), lane in due.items() if of == kind]
    oldest = min((lane.oldest for lane in lanes if lane.oldest is not None), default=None)
    return KindCounts(kind, states, sum(lane.due for lane in lanes), oldest)
