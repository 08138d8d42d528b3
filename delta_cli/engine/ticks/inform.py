"""Queues an inform run for each kind whose interval has passed."""

from datetime import timedelta
from functools import partial
from typing import Final

from delta_cli.engine.config import Config
from delta_cli.engine.database import Database
from delta_cli.engine.hints import INFORM
from delta_cli.engine.store import maintenance
from delta_cli.engine.ticks.base import PassPlace
from delta_cli.engine.ticks.passes import counted_pass
from delta_cli.engine.ticks.service import PromptTickService, TickService

NAME: Final = "inform"
COUNT_KEY: Final = "runs_queued"
_LONGEST_INTERVAL: Final = timedelta(seconds=5)


def inform_service(place: PassPlace) -> TickService:
    """At once at the start, then often enough that no run is late by more than its jitter."""
    config = place.config
    jitter = config.resource_inform_jitter or timedelta(seconds=1)
    work = counted_pass(
        NAME,
        partial(inform, place.database, config),
        COUNT_KEY,
        on_moved=partial(place.wake, INFORM),
    )
    interval = min(config.maintenance_interval, jitter, _LONGEST_INTERVAL)
    return PromptTickService(NAME, interval, work)


async def inform(database: Database, config: Config) -> int:
    """Queue the runs that are due now. Returns how many."""
    async with database.connection() as connection:
        return await maintenance.queue_due_informs(connection, jitter=config.resource_inform_jitter)
