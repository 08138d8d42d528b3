"""Returns what died with its owner: lost workers' claims, overdue leases, stuck inform runs.

It also adopts what was informed at the very moment when the first controller of its kind came.
"""

import logging
from typing import Final

from delta_cli.engine.config import Config
from delta_cli.engine.database import Database
from delta_cli.engine.store import maintenance

log = logging.getLogger(__name__)
BATCH: Final = 500


async def rescue(database: Database, config: Config) -> int:
    """Rescue everything that is overdue now. Returns how many resources and runs."""
    async with database.connection() as connection:
        lost = await maintenance.mark_lost_workers(connection, lost_after=config.worker_lost_after)
        if lost:
            log.warning("workers lost", extra={"component": "rescue", "workers": lost})
        rescued = await maintenance.rescue_inform_runs(connection)
        while count := await maintenance.rescue_resources(connection, batch=BATCH):
            rescued += count
        while count := await maintenance.adopt(connection, batch=BATCH):
            rescued += count
    return rescued
