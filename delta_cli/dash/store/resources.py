"""Reads lists of resources, and single ones with all that is known of them."""

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from delta_cli.dash.store.reasons import reason_of
from delta_cli.dash.store.searching import Search
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.errors import NotFound
from delta_cli.engine.model.event import Event
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.statements import run_steps
from delta_cli.engine.store import events, overview, read
from delta_cli.engine.store.overview import Line, Wanted

#: Lines of a list at most; what does not fit is told.
LINES: Final = 500
_TIMELINE: Final = 100
_MOST_FOUND: Final = 10
#: How often a search that goes on tells what it has found.
_TELL_EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Page:
    """Lines of a list. `is_all` False: there are more, or the search goes on.

    `looked`: how many rows were looked at by now, the newest first. `is_over`: the search is, or
    one before it was, whose lines are shown where this one has not come to yet.
    """

    lines: Sequence[Line] = ()
    is_all: bool = True
    looked: int = 0
    is_over: bool = True


class Resources:
    """Looks at a bounded part of the resources, however many there are."""

    def __init__(self, database: Database) -> None:
        self._database: Database = database

    def reason(self, error: Exception) -> str:
        """Why a read failed, without secrets."""
        return reason_of(error, self._database)

    async def pages(self, wanted: Wanted, known: Page | None = None) -> AsyncGenerator[Page]:
        """The resources that a list shows, at first what is found soon, then ever more of them.

        `known`: what was found before. What the search has not come to yet is shown of that.
        """
        search, told_at = Search(wanted, LINES), -inf
        while not search.is_over:
            page = None
            async with self._database.connection() as connection:
                await search.look(connection)
                if search.is_over or time.monotonic() - told_at > _TELL_EVERY_S:
                    page = await _page(connection, search, known)
            if page is not None:
                yield page
                told_at = time.monotonic()

    async def find(self, kind: str | None, object_id: str) -> list[Line]:
        """The resources that `kind/id` may mean, or may become: some whose id begins so."""
        found: list[Line] = []
        async with self._database.connection() as connection:
            longer = await overview.ids_beginning(connection, object_id, kind=kind)
            for one in dict.fromkeys([object_id, *longer]):
                if len(found) >= _MOST_FOUND:
                    break
                found += await overview.find(connection, one, kind=kind)
        return found[:_MOST_FOUND]

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


async def _page(connection: Connection, search: Search, known: Page | None) -> Page:
    """What was found, and what is known and still wanted where the search is under way."""
    wanted, ids = search.wanted, search.ids
    if known is not None and not search.is_over:
        ids = [*dict.fromkeys([*ids, *(line.id for line in known.lines)])]
    places = {number: place for place, number in enumerate(ids)}
    found = await overview.lines(connection, ids)
    lines = sorted(found, key=lambda line: places[line.id])
    if wanted.text is not None:
        lines += await _exactly(connection, wanted, wanted.text, set(ids))
    lines = [line for line in lines if _is_still_wanted(line, wanted)]
    page = Page(lines[:LINES], search.is_all, search.looked, search.is_over)
    if known is None or search.is_over:
        return page
    is_all, looked = known.is_all and len(lines) <= LINES, max(known.looked, search.looked)
    return replace(page, is_all=is_all, looked=looked, is_over=known.is_over)


def _is_still_wanted(line: Line, wanted: Wanted) -> bool:
    """Whether a line is what was asked for by what may have changed since it was found."""
    is_of_worker = wanted.worker_id is None or line.worker_id == wanted.worker_id
    return is_of_worker and (wanted.states is None or line.state in wanted.states)


async def _exactly(
    connection: Connection, wanted: Wanted, text: str, known: set[int]
) -> list[Line]:
    """Resources whose whole id is the text: the key leads there, however large the table."""
    found = await overview.find(connection, text, kind=wanted.kind, namespace=wanted.namespace)
    return [line for line in found if line.id not in known]


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
