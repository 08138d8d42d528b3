"""What the loops of one worker share: its identity, its slots, its counters and its wake-ups."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from delta_cli.engine.config import Config
from delta_cli.engine.controller import Controllers
from delta_cli.engine.database import Database
from delta_cli.engine.slots import Slots


@dataclass(slots=True)
class WorkerCounts:
    """What this worker has done since it started."""

    synced: int = 0
    failed: int = 0
    deleted: int = 0
    lost: int = 0  # finished too late: the claim was somebody else's by then


@dataclass(slots=True)
class Worker:
    """One worker process as its loops see it. Everything here belongs to one event loop."""

    database: Database
    config: Config
    controllers: Controllers
    namespaces: Sequence[str] | None
    slots: Slots
    id: int = 0
    given_up: int = 0  # the id under which the fleet has given this worker up
    draining: bool = False
    starved: bool = False  # rows are due, but claims wait for slots or for the completer
    owes: bool = False  # the control waits for claims to be heard of, or for works to end
    counts: WorkerCounts = field(default_factory=WorkerCounts)
    last_error: str | None = None
    last_claim: float | None = None  # time.monotonic()
    beaten: float | None = None  # time.monotonic() of the last heartbeat that was recorded
    reconnected: float | None = None  # time.monotonic() when an outage ended
    hinted: set[tuple[str, str]] = field(default_factory=set)  # lanes that were told to be due
    work_wake: asyncio.Event = field(default_factory=asyncio.Event)
    inform_wake: asyncio.Event = field(default_factory=asyncio.Event)
    control_wake: asyncio.Event = field(default_factory=asyncio.Event)
    rebalance_wake: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)  # the last claim found nothing due

    @property
    def kinds(self) -> list[str]:
        """The kinds that this worker works."""
        return list(self.controllers)

    @property
    def is_given_up(self) -> bool:
        """Whether its claims are others' by now, and it has no other id yet to go on under."""
        return self.given_up == self.id != 0

    @property
    def just_reconnected(self) -> bool:
        """Whether an outage ended so recently that others may not have had time to say so."""
        return _is_younger(self.reconnected, self.config.worker_lost_after)

    @property
    def may_judge(self) -> bool:
        """Whether this worker may tell who is lost.

        Not after an outage: whoever comes back first would find all others silent.
        """
        beats = _is_younger(self.beaten, 2 * self.config.heartbeat_interval)
        return beats and not self.just_reconnected


def _is_younger(moment: float | None, age: timedelta) -> bool:
    return moment is not None and time.monotonic() - moment < age.total_seconds()


async def wait_for_wake(wake: asyncio.Event, timeout_s: float) -> None:
    """Until woken, or for the given time."""
    try:
        async with asyncio.timeout(timeout_s):
            await wake.wait()
    except TimeoutError:
        return
    wake.clear()
