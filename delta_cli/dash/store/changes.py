"""Does what was confirmed, to what still stands as it was shown."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from delta_cli.dash.actions import Plan, Thing
from delta_cli.dash.store.resources import Resources
from delta_cli.engine.client import Client
from delta_cli.engine.errors import NotFound, StateConflict
from delta_cli.engine.model.tick import TickOutcome
from delta_cli.engine.store import repair
from delta_cli.engine.store.overview import Line
from delta_cli.engine.tick_names import known_ticks

_REPAIRS: Final = {
    "invalidate": repair.INVALIDATE,
    "retry": repair.RETRY,
    "delete": repair.DELETE,
}


@dataclass(frozen=True, slots=True)
class Report:
    """What an action did: rows changed, and rows left alone because they had changed by then."""

    done: int
    stale: int
    words: str = ""
    is_ok: bool = True


class Changes:
    """Acts through the client, as the command line does."""

    def __init__(self, client: Client, resources: Resources) -> None:
        self._client: Client = client
        self._resources: Resources = resources

    @property
    def ticks(self) -> Collection[str]:
        """The names of the ticks that can be forced here."""
        return known_ticks(self._client.config.ticks)

    async def perform(self, plan: Plan, *, actor: str) -> Report:
        """Do what was confirmed, to rows that still stand as they were shown and no others.

        Raises DeltaError for what is refused as a whole.
        """
        if plan.thing is not None:
            return await self._perform_on(plan.verb, plan.thing, actor)
        if plan.verb == "cancel":
            return await self._cancel(plan.lines, actor)
        rows = await self._resources.as_seen(plan.lines)
        done = await self._client.repair_many(_REPAIRS[plan.verb], rows, actor=actor)
        return Report(len(done), len(plan.lines) - len(done))

    async def _cancel(self, lines: Sequence[Line], actor: str) -> Report:
        done = 0
        for row in await self._resources.as_seen(lines):
            try:
                await self._client.control.cancel(
                    row.kind, row.object_id, namespace=row.namespace, actor=actor
                )
            except (NotFound, StateConflict):
                continue
            done += 1
        return Report(done, len(lines) - done)

    async def _tick(self, name: str, actor: str) -> Report:
        outcome = await self._client.tick(name, actor=actor)
        if outcome is TickOutcome.SUCCESS:
            return Report(1, 0, words=outcome.value)
        words = outcome.value
        if outcome is TickOutcome.SKIPPED:
            words += f": {(await self._client.tick_standing(name)).last_skip_reason}"
        return Report(0, 0, words=words, is_ok=False)

    async def _perform_on(self, verb: str, thing: Thing, actor: str) -> Report:
        match verb:
            case "tick":
                return await self._tick(thing.name, actor)
            case "pause":
                await self._client.control.pause(thing.scope, thing.name, actor=actor)
            case _:
                await self._client.control.resume(thing.scope, thing.name)
        return Report(1, 0)
