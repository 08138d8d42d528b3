"""Keeps a worker in step with what is set while it runs: limits, its grants, cancels of its works.

What a worker may use of the fleet's slots is lowered here first and in the database after, and
raised in the opposite order: so no use ever passes its grant.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from delta_cli.engine.database import Connection, while_away
from delta_cli.engine.loops.base import Worker, wait_for_wake
from delta_cli.engine.slots import Lane, Scope
from delta_cli.engine.store import cancels, quota
from delta_cli.engine.store.cancels import Cancel
from delta_cli.engine.store.quota import Grant, Report, Standing

_LONGEST_INTERVAL_S: Final = 1.0
#: Slots that come free within this time are given back together.
_GATHER_S: Final = 0.02


class Control:
    """Looks every `poll_interval`, at least every second, and at once when woken.

    `unwritten`: the lanes of the works whose outcomes are not written yet.
    """

    def __init__(
        self,
        worker: Worker,
        *,
        unwritten: Callable[[], list[Lane]],
        on_cancel: Callable[[Cancel], None],
    ) -> None:
        self._worker: Worker = worker
        self._unwritten: Callable[[], list[Lane]] = unwritten
        self._on_cancel: Callable[[Cancel], None] = on_cancel
        self._slot_limits: dict[Scope, int | None] = {}  # those of the fleet, as last seen
        self._looking: asyncio.Lock = asyncio.Lock()
        self._heeded: set[Cancel] = set()  # and perhaps still asked for

    async def run(self) -> None:
        """Look until cancelled."""
        interval = self._worker.config.poll_interval.total_seconds()
        while True:
            await wait_for_wake(self._worker.control_wake, min(interval, _LONGEST_INTERVAL_S))
            await while_away("control", self.look)
            await asyncio.sleep(_GATHER_S)

    async def look(self) -> None:
        """Follow what is set now, tell what is used, and cancel what is to be cancelled."""
        worker = self._worker
        async with self._looking, worker.database.connection() as connection:
            if worker.is_given_up:
                return  # what is pending under it is not known here any more
            of_fleet = await self._follow_limits(connection, worker.id)
            await self._tell(connection, of_fleet)
            await self._heed_cancels(connection)

    async def _heed_cancels(self, connection: Connection) -> None:
        """Cancel each once, and say so after: an answer that is lost must not lose a request."""
        asked = await cancels.asked(connection, self._worker.id)
        for cancel in asked:
            if cancel not in self._heeded:
                self._on_cancel(cancel)
        self._heeded = set(asked)
        if asked:
            await cancels.forget(connection, asked)
            self._heeded.clear()

    async def enroll(self, connection: Connection, worker_id: int) -> None:
        """Take part in the limits of the fleet from the beginning, with nothing granted yet."""
        capacity_of = self._worker.slots.capacity_of
        of_fleet = await self._follow_limits(connection, worker_id)
        self._slot_limits = {one.scope: one.slot_limit for one in of_fleet}
        parts = [Report(one.scope, capacity_of(one.scope), used=0, kept=0) for one in of_fleet]
        if parts:
            await quota.enroll(connection, worker_id, parts)
            self._worker.rebalance_wake.set()

    @asynccontextmanager
    async def suspended(self) -> AsyncIterator[None]:
        """Claim and give back nothing of the fleet, until the worker has another id.

        Meanwhile its claims are forgotten here; in the database they are pending for a while.
        """
        self._worker.given_up = self._worker.id
        async with self._looking:
            self._worker.slots.close_fleet()
            yield

    async def _follow_limits(self, connection: Connection, worker_id: int) -> list[Standing]:
        """Keep to the limits that are set now. Returns those of the fleet."""
        worker = self._worker
        standings = await quota.standing(connection, worker_id, worker.kinds, worker.namespaces)
        of_fleet = [one for one in standings if one.grant or one.slot_limit is not None]
        max_workers = {
            one.scope[1]: one.max_workers for one in standings if one.max_workers is not None
        }
        fleet = {
            one.scope: 0 if one.grant is None else min(self._target(one.grant), one.grant.granted)
            for one in of_fleet
        }
        if worker.slots.limit(max_workers, fleet):
            worker.work_wake.set()
        return of_fleet

    async def _tell(self, connection: Connection, of_fleet: Sequence[Standing]) -> None:
        """Write what is new of what is used and kept. Rather seldom is there anything."""
        worker = self._worker
        reports = self._reports(of_fleet)
        # A claim on its way was allowed what there was before the limit. With no grant it gets
        # nothing; under one that was made for all that it may take, it would get more than is left.
        new = [
            report
            for report, grant in reports
            if grant is None and not worker.slots.is_claiming(report.scope)
        ]
        if new:
            await quota.enroll(connection, worker.id, new)
        changed = [
            (report, grant) for report, grant in reports if grant and _differs(report, grant)
        ]
        if changed and not await quota.report(connection, worker.id, changed):
            worker.control_wake.set()  # look again
        slot_limits = {one.scope: one.slot_limit for one in of_fleet}
        lifted = None in slot_limits.values()
        moved = any(grant is None or _moves_slots(report, grant) for report, grant in reports)
        if moved or lifted or slot_limits != self._slot_limits:
            worker.rebalance_wake.set()
        self._slot_limits = slot_limits

    def _reports(self, of_fleet: Sequence[Standing]) -> list[tuple[Report, Grant | None]]:
        worker = self._worker
        worker.owes = False
        if not of_fleet:
            return []
        held = worker.slots.held(self._unwritten())
        reports: list[tuple[Report, Grant | None]] = []
        for one in of_fleet:
            used, capacity = held[one.scope], worker.slots.capacity_of(one.scope)
            kept = used
            if one.grant is None:
                worker.owes |= worker.slots.is_claiming(one.scope)
            else:
                target = self._target(one.grant)
                kept = min(one.grant.granted, max(target, used))
                worker.owes |= kept > target
            capacity = 0 if worker.draining else capacity
            reports.append((Report(one.scope, capacity, used, kept), one.grant))
        return reports

    def _target(self, grant: Grant) -> int:
        return 0 if self._worker.draining else grant.target


def _differs(report: Report, grant: Grant) -> bool:
    return grant != Grant(report.capacity, grant.target, report.kept, report.used)


def _moves_slots(report: Report, grant: Grant) -> bool:
    """Whether others may get more by it, or this worker."""
    return report.kept < grant.granted or report.capacity != grant.capacity
