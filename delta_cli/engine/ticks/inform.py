"""Queues an inform run for each kind whose interval has passed."""

from delta_cli.engine.config import Config
from delta_cli.engine.database import Database
from delta_cli.engine.store import maintenance


async def inform(database: Database, config: Config) -> int:
    """Queue the runs that are due now. Returns how many."""
    async with database.connection() as connection:
        return await maintenance.queue_due_informs(connection, jitter=config.resource_inform_jitter)
