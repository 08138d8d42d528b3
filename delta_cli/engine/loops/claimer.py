"""Claims due rows whenever there are free slots, and hands them to the executor."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from delta_cli.engine.config import limit_or_none
from delta_cli.engine.database import Connection, LastingConnection, while_away
from delta_cli.engine.loops.base import Worker, wait_for_wake
from delta_cli.engine.resource import Resource
from delta_cli.engine.slots import Lane
from delta_cli.engine.store import work
from delta_cli.engine.store.work import ClaimKey, LaneSlots
from delta_cli.engine.store.work import Lane as DueLane

#: Rows of one claim, at most: enough to drown the round trip and the wait for the disk.
CLAIM_BATCH: Final = 1_000
#: Finished works that may wait for the completer before claims pause.
_MOST_BACKLOG: Final = 2 * CLAIM_BATCH
#: Slots that come free within this time are claimed for together.
_GATHER_S: Final = 0.002

#: When to look at all lanes again after a claim that emptied its lanes.
_LOOK_AGAIN_S: Final = 0.02
#: How long claims may go on in lanes that stay full without a look at the others.
_FULL_LANES_SUFFICE_S: Final = 0.1
#: How long claims may follow hints only.
_HINTS_SUFFICE_S: Final = 0.25


class Claimer:
    """Looks which lanes are due, claims within their free slots, and sleeps until woken or due."""

    def __init__(
        self,
        worker: Worker,
        *,
        submit: Callable[[Sequence[Resource[Any]]], None],
        backlog: Callable[[], int],
        known: Callable[[], set[ClaimKey]],
        unwritten: Callable[[], list[Lane]],
    ) -> None:
        self._worker: Worker = worker
        self._submit: Callable[[Sequence[Resource[Any]]], None] = submit
        self._backlog: Callable[[], int] = backlog
        self._known: Callable[[], set[ClaimKey]] = known
        self._unwritten: Callable[[], list[Lane]] = unwritten
        self._connection: LastingConnection = LastingConnection(worker.database)
        self._hungry: list[Lane] = []  # lanes with more due rows than were claimed
        self._looked: float = 0.0  # time.monotonic() of the last look at all lanes
        self._unheard: bool = False  # a claim broke off: it may have been committed all the same
        self._leases_s: dict[str, float | None] = {
            kind: self._lease_of(kind) for kind in worker.controllers
        }

    async def run(self) -> None:
        """Claim until the worker drains."""
        try:
            while not self._worker.draining:
                await self._claim_and_rest()
        finally:
            await self._connection.close()

    async def _claim_and_rest(self) -> None:
        worker = self._worker
        if self._backlog() > _MOST_BACKLOG:
            worker.starved = True
            await wait_for_wake(worker.work_wake, self._poll_s)
            return
        wait_s = await while_away("claimer", self.claim_once)
        if wait_s > 0 and not worker.draining:
            await wait_for_wake(worker.work_wake, wait_s)
            if worker.starved:
                await asyncio.sleep(_GATHER_S)

    async def settle(self) -> None:
        """Give back what a claim took that was not heard of."""
        try:
            while self._unheard:
                await while_away("claimer", self._settle_once)
        finally:
            await self._connection.close()

    async def _settle_once(self) -> None:
        async with self._connection.use() as connection:
            await self._hear(connection)
        if self._unheard:  # somebody holds such a row
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def claim_once(self) -> float:
        """Claim one batch. Returns how long there is nothing to do unless woken, in seconds."""
        worker = self._worker
        if worker.is_given_up:
            return self._poll_s
        async with self._connection.use() as connection:
            await self._hear(connection)
            if not self._follow_hints() and self._must_look():
                lanes = await work.due_lanes(
                    connection, worker.kinds, worker.namespaces, worker_id=worker.id
                )
                self._hungry = [(lane.kind, lane.namespace) for lane in lanes if lane.due_in <= 0]
                self._looked = time.monotonic()
                if not self._hungry:
                    return self._rest(lanes)
            unwritten = self._unwritten() if worker.slots.has_fleet_limits else ()
            shares = worker.slots.allocate(self._hungry, CLAIM_BATCH, unwritten)
            worker.starved = not shares
            if not shares or worker.draining or worker.is_given_up:
                return self._poll_s
            worker_id, unheard = worker.id, self._unheard
            self._unheard = True
            worker.slots.reserve(shares)
            claimed = await work.claim(
                connection,
                [LaneSlots(kind, name, slots) for (kind, name), slots in shares.items()],
                worker_id=worker_id,
                leases_s=self._leases_s,
            )
            self._unheard = unheard
        worker.last_claim = time.monotonic()
        # At once, so that nothing that was claimed is ever left out of what is held.
        worker.slots.settle(shares)
        if worker.owes:
            worker.control_wake.set()
        if worker.is_given_up or worker.id != worker_id:
            return 0.0  # these claims are for the rescue
        if claimed:
            worker.idle.clear()
            self._submit(claimed)
            # Let works start before the next claim: it may be a long wait for the database.
            await asyncio.sleep(0)
        # A lane that gave all that was asked for has more, as has one that was asked for nothing
        # since it has its share in work; the others were emptied.
        taken = Counter((claim.kind, claim.namespace) for claim in claimed)
        self._hungry = [lane for lane in self._hungry if taken[lane] == shares.get(lane, 0)]
        return 0.0 if self._hungry else _LOOK_AGAIN_S

    async def _hear(self, connection: Connection) -> None:
        """Give back what a claim took that was not heard of, when the server makes it no more."""
        if not self._unheard:
            return
        worker = self._worker
        left = await work.release_others(connection, self._known, worker_id=worker.id)
        self._unheard = left > 0
        if not self._unheard:
            worker.slots.settle_all()

    def _follow_hints(self) -> bool:
        """Whether to claim from lanes that hints named, without a look at all the others first.

        Not for long: hints about some lanes must not keep the others waiting.
        """
        hinted, self._worker.hinted = self._worker.hinted, set()
        if not hinted or time.monotonic() - self._looked > _HINTS_SUFFICE_S:
            return False
        self._hungry = [*{*self._hungry, *hinted}]
        return True

    def _must_look(self) -> bool:
        return not self._hungry or time.monotonic() - self._looked > _FULL_LANES_SUFFICE_S

    def _rest(self, lanes: list[DueLane]) -> float:
        self._worker.starved = False
        self._worker.idle.set()
        upcoming = [lane.due_in for lane in lanes if lane.due_in > 0]
        return min([self._poll_s, *(max(due_in, _GATHER_S) for due_in in upcoming)])

    @property
    def _poll_s(self) -> float:
        config = self._worker.config
        # Without LISTEN, polling is all there is.
        return min(config.poll_interval.total_seconds(), 0.25 if config.poll_only else 60.0)

    def _lease_of(self, kind: str) -> float | None:
        config = self._worker.config
        settings = self._worker.controllers.object_type(kind).settings
        timeout = limit_or_none(settings.work_timeout, config.resource_work_timeout)
        return None if timeout is None else (timeout + config.lease_grace).total_seconds()
