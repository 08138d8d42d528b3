"""A named cursor: how far a subscription has come, kept in the database and written merged."""

import time
from datetime import UTC, datetime
from typing import Final

from delta_cli.engine.database import Database
from delta_cli.engine.store import subscriptions

_WRITE_EVERY_S: Final = 1.0


class NamedCursor:
    """Remembers what was handled, and writes it at most every second unless told to write now."""

    def __init__(self, database: Database, name: str) -> None:
        self.name: str = name
        #: All up to this id is handled.
        self.handled: int = 0
        self._database: Database = database
        self._since: datetime = datetime.min.replace(tzinfo=UTC)  # when the name was set
        self._written: int = 0
        self._written_at: float = 0.0  # time.monotonic()

    async def open(self, position: int, *, anew: bool) -> int:
        """Where to go on; at `position` if the name is new or set `anew`."""
        async with self._database.connection() as connection:
            stored, self._since = await subscriptions.open_cursor(
                connection, self.name, position, anew=anew
            )
        self.handled = self._written = stored
        return stored

    def due_in(self) -> float | None:
        """Seconds until something should be written; None when all is."""
        if self.handled <= self._written:
            return None
        return max(0.0, self._written_at + _WRITE_EVERY_S - time.monotonic())

    async def write(self) -> None:
        """Write what is not written yet. Raises NotFound when the name has been removed."""
        handled = self.handled
        if handled <= self._written:
            return
        async with self._database.connection() as connection:
            await subscriptions.acknowledge(connection, self.name, handled, since=self._since)
        self._written, self._written_at = handled, time.monotonic()
