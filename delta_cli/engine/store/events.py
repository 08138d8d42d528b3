"""Read the ordered log, and wake its readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from delta_cli.engine.database import Connection
from delta_cli.engine.model.event import Event
from delta_cli.engine.queries import event as queries
from delta_cli.engine.statements import Statement, Steps
from delta_cli.engine.store import rows

#: Planned each time (0.4 ms), for the log as it is: a plan that is kept from when it was small
#: would read all of it for each page.
_PREPARE: Final = False
#: Ids that one statement looks through at most: some milliseconds, whatever its plan.
_STRETCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; None means any."""

    categories: Sequence[str] | None = None
    kinds: Sequence[str] | None = None
    namespaces: Sequence[str] | None = None
    object_ids: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """The newest id of the log, and the oldest that is still there."""

    newest: int
    oldest: int


@dataclass(frozen=True, slots=True)
class Page:
    """Events in order, and the bounds of the log then (None: it was empty).

    `cut`: retention has cut the log up to this id. `reached`: all up to this id was looked through,
    if the page is not full.
    """

    events: Sequence[Event]
    bounds: Bounds | None
    cut: int
    reached: int


async def page(connection: Connection, chosen: EventFilter, *, after_id: int, limit: int) -> Page:
    """The next events beyond a cursor; perhaps none yet where `chosen` lets few through."""
    cursor = await connection.execute(
        queries.PAGE,
        {
            "after_id": after_id,
            "categories": _list(chosen.categories),
            "kinds": _list(chosen.kinds),
            "namespaces": _list(chosen.namespaces),
            "object_ids": _list(chosen.object_ids),
            "limit": limit,
            "stretch": _STRETCH,
        },
        prepare=_PREPARE,
        binary=True,
    )
    found = await cursor.fetchall()
    *nothing, newest, oldest, cut, reached = found[0]
    if newest is None:
        return Page([], None, cut, 0)
    page_events = [] if nothing[0] is None else list(map(rows.event, found))
    return Page(page_events, Bounds(newest, oldest), cut, reached)


async def bounds(connection: Connection) -> Bounds:
    """Where the log begins and ends. An empty one begins with 1, whoever writes it first."""
    row = await (await connection.execute(queries.BOUNDS, prepare=_PREPARE)).fetchone()
    newest, oldest = row or (0, None)
    return Bounds(newest, 1 if oldest is None else oldest)


async def id_before(connection: Connection, at: datetime) -> int | None:
    """The cursor from which a reader misses nothing since `at`; None when the log is empty."""
    cursor = await connection.execute(queries.BEFORE, {"at": at}, prepare=_PREPARE)
    row = await cursor.fetchone()
    return row[0] if row else None


#: How many of the newest ids of the log are looked through for the events of one resource.
TIMELINE_DEPTH = 3_000_000


async def timeline(connection: Connection, resource_id: int, *, limit: int) -> list[Event]:
    """The last events of one resource, the newest last."""
    cursor = await connection.execute(
        queries.TIMELINE,
        {"resource_id": resource_id, "depth": TIMELINE_DEPTH, "limit": limit},
        prepare=_PREPARE,
        binary=True,
    )
    return [rows.event(row) for row in reversed(await cursor.fetchall())]


async def notify(connection: Connection, channel: str, payload: str) -> None:
    """Send a hint, in a transaction of its own."""
    await connection.execute(queries.NOTIFY, {"channel": channel, "payload": payload})


def notify_steps(channel: str, payloads: Sequence[str]) -> Steps[None]:
    """Send hints with the transaction that they tell of."""
    for payload in payloads:
        yield Statement(queries.NOTIFY_WITHIN, {"channel": channel, "payload": payload})


def _list(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)
