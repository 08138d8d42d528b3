"""Waits through the log of events until a resource is in a state, without asking its row again."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

from delta_cli.engine.database import AWAY, while_away
from delta_cli.engine.errors import ConfigError, StateConflict, WaitTimeout
from delta_cli.engine.events import Subscription
from delta_cli.engine.model.event import Event
from delta_cli.engine.model.inform import InformResult
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.states import ResourceState

#: The states that an event tells of whenever a resource enters them. Into the others a resource
#: goes unlogged, and out of them again before anybody could look.
AWAITABLE: Final = (
    ResourceState.SYNCED,
    ResourceState.FAILED,
    ResourceState.DEGRADED,
    ResourceState.DELETED,
)

AwaitedState: TypeAlias = ResourceState | str | Collection[ResourceState | str]


def awaited_states(state: AwaitedState) -> frozenset[ResourceState]:
    """The states that are asked for. Raises ConfigError for one that cannot be waited for."""
    given = [state] if isinstance(state, str) else list(state)
    known = {one.value: one for one in AWAITABLE}
    for one in given:
        if one not in known:
            raise ConfigError(
                f"no event tells when a resource becomes {str(one)!r}, so it cannot be waited for",
                hint=f"states to wait for: {', '.join(AWAITABLE)}",
            )
    if not given:
        raise ConfigError(
            "there is no state to wait for", hint=f"give one or more of {', '.join(AWAITABLE)}"
        )
    return frozenset(known[str(one)] for one in given)


def key_of(
    resource: ResourceRow | InformResult | str, object_id: str | None, namespace: str
) -> tuple[str, str, str]:
    """The kind, object id and namespace of a row, or as they are given. Raises ConfigError."""
    row = resource.row if isinstance(resource, InformResult) else resource
    if isinstance(row, ResourceRow):
        return row.kind, row.object_id, row.namespace
    if object_id is None:
        raise ConfigError(
            f"kind {row!r} alone names no resource", hint="give the object's id beside it"
        )
    return row, object_id, namespace


@dataclass(frozen=True, slots=True)
class Wait:
    """One resource and the states that are waited for.

    `look` reads the row and raises NotFound; `subscribe` follows the resource's events from now.
    """

    states: frozenset[ResourceState]
    look: Callable[[], Awaitable[ResourceRow]]
    subscribe: Callable[[], Subscription]

    async def run(self, timeout: timedelta | None) -> ResourceRow:
        """The row, once one of the states was reached. Raises StateConflict and WaitTimeout."""
        seen = await self.look()
        if self._is_over(seen, seen.state):
            return seen
        deadline = asyncio.timeout(None if timeout is None else max(0.0, timeout.total_seconds()))
        try:
            async with deadline:
                return await self._follow()
        except TimeoutError:
            if not deadline.expired():
                raise
        raise await self._too_late(seen, timeout)

    async def _look(self) -> ResourceRow:
        return await while_away("wait", self.look)

    async def _follow(self) -> ResourceRow:
        async with self.subscribe() as events:
            # Again, now that the log is followed: what happened since the first look is either
            # seen here or told by an event.
            row = await self._look()
            if self._is_over(row, row.state):
                return row
            async for event in events:
                # What a gap has cut is made up for by another look.
                state = event.state if isinstance(event, Event) else (await self._look()).state
                if self._is_over(row, state):
                    return await self._look()
        raise StateConflict(f"{_name(row)}: the client was closed amid the wait")

    def _is_over(self, row: ResourceRow, state: ResourceState) -> bool:
        """Whether the state is one of those. Raises StateConflict where none can follow."""
        if state in self.states:
            return True
        ends = (ResourceState.DEGRADED, ResourceState.DELETED)
        # What is degraded may still be deleted by an operator.
        if state in ends and ResourceState.DELETED not in self.states:
            raise StateConflict(
                f"{_name(row)} is {state}: it does not become {self._told()} by itself",
                hint="see its errors with: delta get; work it again with: delta retry",
            )
        return False

    async def _too_late(self, seen: ResourceRow, timeout: timedelta | None) -> WaitTimeout:
        try:
            seen, when = await self.look(), "is"
        except AWAY:
            when = "was, when the database was last there,"
        return WaitTimeout(
            f"{_name(seen)} {when} {seen.state}, and was not {self._told()} within {timeout}",
            hint="is a worker of its kind running? see: delta status",
        )

    def _told(self) -> str:
        return " or ".join(state.value for state in AWAITABLE if state in self.states)


def _name(row: ResourceRow) -> str:
    return f"{row.kind}/{row.object_id}"
