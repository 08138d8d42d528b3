"""Reads lists of resources, and single ones with all that is known of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from delta_cli.dash.store.reasons import reason_of
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.errors import NotFound
from delta_cli.engine.model.event import Event
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.statements import run_steps
from delta_cli.engine.store import events, overview, read
from delta_cli.engine.store.overview import Line, Wanted

#: Lines of a list at most; what does not fit is told.
LINES: Final = 500
_LOOK: Final = 20_000
_LOOKS: Final = 5
_TIMELINE: Final = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Lines of a list. `is_all` False: there are more, or the search went only so far."""

    lines: Sequence[Line] = ()
    is_all: bool = True
    looked: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """The ids of a page in its order, and how far the search went."""

    ids: Sequence[int]
    is_all: bool
    looked: int


class Resources:
    """Looks at a bounded part of the resources, however many there are."""

    def __init__(self, database: Database) -> None:
        self._database: Database = database

    def reason(self, error: Exception) -> str:
        """Why a read failed, without secrets."""
        return reason_of(error, self._database)

    async def page(self, wanted: Wanted) -> Page:
        """The resources that a list shows, from at most some 100,000 rows looked at."""
        async with self._database.connection() as connection:
            found = await _search(connection, wanted)
            places = {number: place for place, number in enumerate(found.ids)}
            lines = await overview.lines(connection, found.ids)
            lines = sorted(lines, key=lambda line: places[line.id])
            if wanted.text is not None:
                known = {line.id for line in lines}
                lines += await _exactly(connection, wanted, wanted.text, known)
        return Page(lines, found.is_all, found.looked)

    async def find(self, kind: str | None, object_id: str) -> list[Line]:
        """The resources that `kind/id` may mean."""
        async with self._database.connection() as connection:
            return await overview.find(connection, object_id, kind=kind)

    async def resource(self, line: Line) -> tuple[ResourceRow | None]:
        """One resource with its object; with None when it is gone."""
        async with self._database.connection() as connection:
            return (await _row(connection, line),)

    async def timeline(self, resource_id: int) -> list[Event]:
        """The last events of one resource, the newest last. May look through much of the log."""
        async with self._database.connection() as connection:
            return await events.timeline(connection, resource_id, limit=_TIMELINE)

    async def as_seen(self, lines: Sequence[Line]) -> list[ResourceRow]:
        """Those of the resources that still stand as they were shown."""
        rows: list[ResourceRow] = []
        async with self._database.connection() as connection:
            for line in lines:
                row = await _row(connection, line)
                if row is not None and stands_as_shown(row, line):
                    rows.append(row)
        return rows


async def _search(connection: Connection, wanted: Wanted) -> _Found:
    """From the end of the table on, until there are enough or it was long enough."""
    ids: list[int] = []
    looked, before_id = 0, overview.NO_END
    for _ in range(_LOOKS):
        batch = await overview.candidates(
            connection, wanted, before_id=before_id, look=_LOOK, limit=LINES + 1 - len(ids)
        )
        ids += batch.ids
        looked += batch.looked
        before_id = batch.lowest
        if len(ids) > LINES or before_id == 0:
            break
    is_all = len(ids) <= LINES and before_id == 0 and looked < _LOOK * _LOOKS
    return _Found(ids[:LINES], is_all, looked)


async def _exactly(
    connection: Connection, wanted: Wanted, text: str, known: set[int]
) -> list[Line]:
    """Resources whose whole id is the text: the key leads there, however large the table."""
    found = await overview.find(connection, text, kind=wanted.kind, namespace=wanted.namespace)
    states = wanted.states
    return [line for line in found if line.id not in known and (not states or line.state in states)]


async def _row(connection: Connection, line: Line) -> ResourceRow | None:
    steps = read.get_steps(line.kind, line.namespace, line.object_id)
    try:
        return await run_steps(connection, steps)
    except NotFound:
        return None


def stands_as_shown(row: ResourceRow, line: Line) -> bool:
    """Whether a resource has not changed since it was shown."""
    return (row.id, row.state, row.attempt, row.generation) == (
        line.id,
        line.state,
        line.attempt,
        line.generation,
    )
