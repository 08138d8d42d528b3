"""Named cursors of the log."""

from datetime import datetime

from psycopg.rows import class_row

from delta_cli.engine.database import Connection
from delta_cli.engine.errors import NotFound
from delta_cli.engine.model.event import SubscriptionRow
from delta_cli.engine.queries import subscription as queries


async def open_cursor(
    connection: Connection, name: str, position: int, *, anew: bool
) -> tuple[int, datetime]:
    """Where a name goes on: at `position` if it is new, or set `anew`; and since when it exists."""
    parameters = {"name": name, "position": position, "anew": anew}
    row = await (await connection.execute(queries.OPEN, parameters)).fetchone()
    assert row is not None
    return row[0], row[1]


async def acknowledge(connection: Connection, name: str, position: int, *, since: datetime) -> None:
    """All up to an id is handled, unless the name was set anew after `since`.

    Raises NotFound when the name has been removed.
    """
    parameters = {"name": name, "position": position, "since": since}
    if await (await connection.execute(queries.ACKNOWLEDGE, parameters)).fetchone() is None:
        raise _not_found(name)


async def subscriptions(connection: Connection) -> list[SubscriptionRow]:
    """All names."""
    async with connection.cursor(row_factory=class_row(SubscriptionRow)) as cursor:
        await cursor.execute(queries.LIST)
        return await cursor.fetchall()


async def remove(connection: Connection, name: str) -> None:
    """Forget a name. Raises NotFound."""
    if await (await connection.execute(queries.REMOVE, {"name": name})).fetchone() is None:
        raise _not_found(name)


def _not_found(name: str) -> NotFound:
    return NotFound(
        f"there is no subscription {name!r}",
        hint="a name is made when somebody subscribes with it, and goes when it is removed",
    )
