"""Makes resources due that were synced longer ago than the TTL of their namespace."""

from typing import Final

from delta_cli.engine.database import Database
from delta_cli.engine.store import maintenance

BATCH: Final = 1_000


async def expire(database: Database) -> int:
    """Expire everything that is past its TTL now. Returns how many resources."""
    expired = 0
    async with database.connection() as connection:
        while count := await maintenance.expire_resources(connection, batch=BATCH):
            expired += count
    return expired
