"""Writes outcomes in batches: the next flush begins when the last is done, so load makes the batch.

Outcomes are kept while the database is away. What the database then no longer takes belongs to
somebody else: its term has moved on.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Final

import psycopg

from delta_cli.engine.database import (
    AWAY,
    Connection,
    LastingConnection,
    is_unconnected,
    while_away,
)
from delta_cli.engine.dsn import mask_secrets
from delta_cli.engine.hints import EVENT, HintSender
from delta_cli.engine.loops.base import Worker
from delta_cli.engine.model.event import EventCategory
from delta_cli.engine.slots import Lane
from delta_cli.engine.states import Landing, ResourceState
from delta_cli.engine.store import work
from delta_cli.engine.store.work import ClaimKey, Outcome, Written
from delta_cli.engine.telling import Facts, name_in

log = logging.getLogger(__name__)

_BATCH: Final = 1_000
#: How long a row that somebody else holds is left alone before it is tried again.
_HELD_WAIT_S: Final = 0.05
#: How long after the last such row batches are written around what is held.
_AROUND_S: Final = 1.0
_MOST_MESSAGE: Final = 4096


class Completer:
    """Takes outcomes from the executor and lands them in the database."""

    def __init__(self, worker: Worker, hints: HintSender) -> None:
        self._worker: Worker = worker
        self._hints: HintSender = hints
        self._connection: LastingConnection = LastingConnection(worker.database)
        self._waiting: list[Outcome] = []
        self._held: list[Outcome] = []
        self._try_held_at: float = 0.0  # time.monotonic()
        self._around_until: float = 0.0  # time.monotonic()
        self._flushing: list[Outcome] = []
        self._unheard: set[ClaimKey] = set()  # a flush of them broke off: it may be committed
        self._wake: asyncio.Event = asyncio.Event()
        self._empty: asyncio.Event = asyncio.Event()
        self._empty.set()

    @property
    def backlog(self) -> int:
        """Outcomes that are not written yet."""
        return len(self._waiting) + len(self._held) + len(self._flushing)

    @property
    def lanes(self) -> list[Lane]:
        """The lane of each outcome that is not written yet."""
        unwritten = (*self._waiting, *self._held, *self._flushing)
        return [(outcome.claim.kind, outcome.claim.namespace) for outcome in unwritten]

    @property
    def claims(self) -> set[ClaimKey]:
        """The claims whose outcomes are not written yet."""
        return _keys((*self._waiting, *self._held, *self._flushing))

    def put(self, outcome: Outcome) -> None:
        """Take one outcome."""
        self._waiting.append(outcome)
        self._empty.clear()
        if not self._wake.is_set():
            self._wake.set()

    def forget(self) -> None:
        """Drop what is not written: the worker was given up, its claims are others' by now."""
        self._waiting.clear()
        self._held.clear()
        self._unheard.clear()
        if not self._flushing:
            self._empty.set()

    async def flushed(self) -> None:
        """Until everything that was put is written."""
        await self._empty.wait()

    async def run(self) -> None:
        """Write until cancelled."""
        try:
            while True:
                await self._wait()
                batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                if batch:  # else woken for what an earlier flush has taken along
                    await self._write_batch(self._newest(batch))
        finally:
            await self._connection.close()

    async def _write_batch(self, batch: list[Outcome]) -> None:
        self._flushing = batch
        await self._write(batch)
        self._flushing = []
        if not self.backlog:
            self._empty.set()
        if self._worker.starved:
            self._worker.work_wake.set()
        if self._worker.owes:
            self._worker.control_wake.set()

    async def _wait(self) -> None:
        """Until there may be something to write. Held outcomes are tried again also under load."""
        if not self._waiting:
            wait_s = max(0.0, self._try_held_at - time.monotonic()) if self._held else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
        self._wake.clear()
        if self._held and time.monotonic() >= self._try_held_at:
            self._waiting, self._held = self._held + self._waiting, []

    def _newest(self, batch: list[Outcome]) -> list[Outcome]:
        """Without what has a newer claim beside it: a write answers in ids, not in terms."""
        if len({outcome.claim.id for outcome in batch}) == len(batch):
            return batch
        terms: dict[int, int] = {}
        for claim in (outcome.claim for outcome in batch):
            terms[claim.id] = max(claim.term, terms.get(claim.id, 0))
        newest: list[Outcome] = []
        for outcome in batch:
            if outcome.claim.term == terms[outcome.claim.id]:
                newest.append(outcome)
            else:
                self._drop(outcome, "finished too late")
        return newest

    async def _write(self, batch: list[Outcome]) -> None:
        try:
            await while_away("completer", lambda: self._flush(batch))
        except psycopg.Error as error:
            await self._write_apart(batch, error)

    async def _flush(self, batch: list[Outcome]) -> None:
        async with self._connection.use() as connection:
            written, held = await self._heard(connection, batch)
        self._hints.send(EVENT)
        # Sooner than the claimer would look by itself: a short retry, or a newer object.
        poll_s = self._worker.config.poll_interval.total_seconds()
        if any(due_in is not None and due_in < poll_s for due_in in written.values()):
            self._worker.work_wake.set()
        if held:
            self._around_until = time.monotonic() + _AROUND_S
            if not self._held:
                self._try_held_at = time.monotonic() + _HELD_WAIT_S
        for outcome in batch:
            if outcome.claim.id in written:
                self._count(outcome)
            elif outcome.claim.id in held:
                self._held.append(outcome)
            elif (outcome.claim.id, outcome.claim.term) in self._unheard:
                self._count(outcome)  # written, most likely
            else:
                self._drop(outcome, "finished too late")
        if self._unheard:
            self._unheard -= _keys(batch)

    async def _heard(
        self, connection: Connection, batch: list[Outcome]
    ) -> tuple[Written, set[int]]:
        """Write a batch. Returns what was written, and the ids of what somebody holds."""
        try:
            written = await self._complete(connection, batch)
            left_out = [one.claim for one in batch if one.claim.id not in written]
            held = await work.still_held(connection, left_out) if left_out else set[int]()
        except AWAY as error:
            if is_unconnected(error):
                self._unheard |= _keys(batch)
            raise
        return written, held

    async def _complete(self, connection: Connection, batch: list[Outcome]) -> Written:
        """Write a batch; while somebody holds rows of ours, around such rows."""
        if time.monotonic() >= self._around_until:
            with contextlib.suppress(psycopg.errors.LockNotAvailable):
                return await work.complete(connection, batch)
        return await work.complete_around(connection, batch)

    async def _write_apart(self, batch: list[Outcome], error: psycopg.Error) -> None:
        """One outcome that the database refuses must not keep the others from being written."""
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._write(batch[:middle])
            await self._write(batch[middle:])
            return
        (outcome,) = batch
        log.error(
            "outcome refused: %s",
            Facts(_name(outcome), mask_secrets(str(error))),
            extra={
                "component": "completer",
                "id": outcome.claim.id,
                "error": mask_secrets(str(error)),
            },
        )
        # The outcome's own error may be all that is refused.
        landings = [outcome.landing] if outcome.error is not None else []
        degraded = Landing(ResourceState.DEGRADED, attempt=outcome.landing.attempt)
        for landing in (*landings, degraded):
            instead = _refused(outcome, landing, error, self._worker.id)
            with contextlib.suppress(psycopg.Error):
                await while_away("completer", partial(self._flush, [instead]))
                return
        self._drop(outcome, "refused")

    def _drop(self, outcome: Outcome, reason: str) -> None:
        self._worker.counts.lost += 1
        fields = {"id": outcome.claim.id, "term": outcome.claim.term, "reason": reason}
        facts = Facts(_name(outcome), reason)
        log.warning("outcome dropped: %s", facts, extra={"component": "completer"} | fields)

    def _count(self, outcome: Outcome) -> None:
        counts = self._worker.counts
        match outcome.category:
            case EventCategory.OBJECT_SYNCED:
                counts.synced += 1
            case EventCategory.OBJECT_DELETED:
                counts.deleted += 1
            case EventCategory.OBJECT_FAILED:
                counts.failed += 1
            case _:
                pass


def _keys(outcomes: Iterable[Outcome]) -> set[ClaimKey]:
    return {(outcome.claim.id, outcome.claim.term) for outcome in outcomes}


def _name(outcome: Outcome) -> str:
    claim = outcome.claim
    return name_in(claim.namespace, claim.kind, claim.object_id)


def _refused(outcome: Outcome, landing: Landing, refusal: psycopg.Error, worker_id: int) -> Outcome:
    """What is written instead of an outcome that the database refuses."""
    error = json.dumps(
        {
            "attempt": outcome.landing.attempt,
            "error": type(refusal).__name__,
            "message": mask_secrets(f"outcome refused: {refusal}")[:_MOST_MESSAGE],
            "worker_id": worker_id,
        }
    )
    return replace(outcome, landing=landing, category=EventCategory.OBJECT_FAILED, error=error)
