"""Read the ordered log, and wake its readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from delta_cli.engine.database import Connection
from delta_cli.engine.model import Event
from delta_cli.engine.queries import event as queries
from delta_cli.engine.statements import Statement, Steps
from delta_cli.engine.store import rows


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; None means any."""

    categories: Sequence[str] | None = None
    kinds: Sequence[str] | None = None
    namespaces: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Events in order, and the id of the oldest that the log held then (0: not known)."""

    events: Sequence[Event] = ()
    oldest: int = 0


async def page(connection: Connection, chosen: EventFilter, *, after_id: int, limit: int) -> Page:
    """The next events beyond a cursor."""
    cursor = await connection.execute(
        queries.PAGE,
        {
            "after_id": after_id,
            "categories": _list(chosen.categories),
            "kinds": _list(chosen.kinds),
            "namespaces": _list(chosen.namespaces),
            "limit": limit,
        },
        binary=True,
    )
    found = await cursor.fetchall()
    return Page([rows.event(row[:-1]) for row in found], found[0][-1]) if found else Page()


async def bounds(connection: Connection) -> tuple[int, int]:
    """The newest id and the oldest that is still there; 0 when the log is empty."""
    row = await (await connection.execute(queries.BOUNDS)).fetchone()
    return (row[0], row[1]) if row else (0, 0)


async def id_before(connection: Connection, at: datetime) -> int:
    """The cursor from which a reader misses nothing since `at`."""
    row = await (await connection.execute(queries.BEFORE, {"at": at})).fetchone()
    return row[0] if row else 0


async def notify(connection: Connection, channel: str, payload: str) -> None:
    """Send a hint, in a transaction of its own."""
    await connection.execute(queries.NOTIFY, {"channel": channel, "payload": payload})


def notify_steps(channel: str, payloads: Sequence[str]) -> Steps[None]:
    """Send hints with the transaction that they tell of."""
    for payload in payloads:
        yield Statement(queries.NOTIFY_WITHIN, {"channel": channel, "payload": payload})


def _list(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)
