"""The dashboard's own reader of tables, and the only doer of its actions; the log is the feed's."""

from datetime import timedelta
from typing import Final

from delta_cli.dash.counting import Counts
from delta_cli.dash.store.changes import Changes, Report
from delta_cli.dash.store.reasons import NO_ANSWER_S, reason_of
from delta_cli.dash.store.resources import LINES, Page, Resources
from delta_cli.dash.store.tables import Tables
from delta_cli.engine.client import Client
from delta_cli.engine.database import Database
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.store import overview

__all__ = [
    "LINES",
    "NO_ANSWER_S",
    "Changes",
    "DashStore",
    "Page",
    "Report",
    "Resources",
    "Tables",
    "reason_of",
]

_AWAY_AFTER: Final = timedelta(seconds=2)


class DashStore:
    """Reads over connections of its own, which give up soon when the server is away."""

    def __init__(self, client: Client, counts: Counts | None = None) -> None:
        self.database: Database = Database(
            client.database.dsn,
            schema=client.config.schema,
            application_name="delta dash",
            max_connections=4,
            connect_timeout=_AWAY_AFTER,
        )
        self.tables: Tables = Tables(
            self.database, counts or Counts(), known_ticks=client.built_in_ticks
        )
        self.resources: Resources = Resources(self.database)
        self.changes: Changes = Changes(client, self.resources)

    async def open(self) -> None:
        """Open the pool. Raises ConnectionFailed."""
        await self.database.open()

    async def close(self) -> None:
        """Close every connection."""
        await self.database.close()

    async def require_read_only(self) -> None:
        """Prove that sessions change nothing. Raises ConfigError where they could."""
        async with self.database.connection() as connection:
            if not await overview.is_read_only(connection):
                raise ConfigError(
                    "the connection string's own options leave the sessions writable",
                    hint="add to them: -c default_transaction_read_only=on",
                )
