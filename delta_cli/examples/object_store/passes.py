"""The ticks of the store: each pass goes once through all objects, a page of resources at a time.

What a pass cannot do does not keep it from the rest; at the end it fails, and names the objects.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Final

from delta_cli import (
    ConnectionFailed,
    QuotaMetricsRefresher,
    ResourceFilter,
    ResourceState,
    TickService,
    client_from_context,
    component_logger,
    handle_pass_result,
)
from delta_cli.examples.object_store.catalogue import StoredObject
from delta_cli.examples.object_store.placing import Fill, are_level
from delta_cli.examples.object_store.store import Done, ObjectStore, ShortOfCopies

#: A pass ends after so many changes; the next goes on where there is still something to do.
MOST_CHANGES: Final = 1_000
_MOST_TOLD: Final = 10

log = component_logger("object_store")


class Gauges(QuotaMetricsRefresher):
    """How full each backend was when a pass of this process measured it last."""

    def __init__(self, store: ObjectStore) -> None:
        self._store: ObjectStore = store
        self.fills: Sequence[Fill] = ()

    async def update_quota_metrics(self) -> None:
        """Measure all backends."""
        self.fills = await asyncio.to_thread(self._store.fills)


class Passes:
    """Replicate, trim and spread, as functions for `TickService`.

    `margin` is how far the levels of two backends may be apart, as a part of 1.
    """

    def __init__(self, store: ObjectStore, gauges: Gauges, margin: float) -> None:
        self._store: ObjectStore = store
        self._gauges: Gauges = gauges
        self._margin: float = margin

    def services(self, interval: timedelta) -> list[TickService]:
        """One tick for each pass."""
        return [
            TickService("replicate", interval, self.replicate),
            TickService("trim", interval, self.trim),
            TickService("spread", interval, self.spread),
        ]

    async def replicate(self) -> None:
        """Bring every object to its number of copies."""
        await self._go_through(self._store.bring, "copies_made")

    async def trim(self) -> None:
        """Remove the copies above it."""
        await self._go_through(self._store.trim, "copies_removed")

    async def spread(self) -> None:
        """Move copies from full to empty backends until these are level."""
        await self._go_through(self._spread_one, "copies_moved")

    def _spread_one(self, name: str) -> Done | None:
        if are_level(self._store.fills(), self._margin):
            return None
        return self._store.spread(name, self._margin)

    async def _go_through(self, step: Callable[[str], Done | None], count_key: str) -> None:
        """Do one step for each object, in a thread, until one says None: there is no more to do."""
        count = 0
        problems: list[str] = []
        error: Exception | None = None
        try:
            async for name in _names():
                done = await asyncio.to_thread(_attempt, step, name)
                if done is None:
                    break
                count += done.count
                if done.problem is not None:
                    log.warning("object not right", extra={"object_id": name, "why": done.problem})
                    problems.append(done.problem)
                if count >= MOST_CHANGES:
                    break
        except ConnectionFailed as away:
            error = away
        if problems:
            error = ShortOfCopies(_told(problems))
            # What was done has filled and emptied backends all the same.
            await self._gauges.update_quota_metrics()
        await handle_pass_result(log, self._gauges, count, error, count_key)


def _attempt(step: Callable[[str], Done | None], name: str) -> Done | None:
    try:
        return step(name)
    except OSError as error:
        return Done(problem=f"{name}: {error}")


async def _names() -> AsyncIterator[str]:
    """The objects that Delta knows, but for those that are gone."""
    states = [state for state in ResourceState if state is not ResourceState.DELETED]
    chosen = ResourceFilter(kind=StoredObject.kind, states=states)
    async for row in client_from_context().resources(chosen):
        yield row.object_id


def _told(problems: Sequence[str]) -> str:
    more = len(problems) - _MOST_TOLD
    told = " | ".join(problems[:_MOST_TOLD])
    return told if more <= 0 else f"{told} | and {more} more"
