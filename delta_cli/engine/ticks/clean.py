"""Removes what is past its retention: resources, events, ended workers and inform runs.

And what has lost its meaning: pauses whose end has passed, and cancels of claims that are gone.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from delta_cli.engine.config import Config
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.store import maintenance, ticks
from delta_cli.engine.ticks.base import PassPlace
from delta_cli.engine.ticks.passes import counted_pass
from delta_cli.engine.ticks.service import TickService

BATCH: Final = 1_000
COUNT_KEY: Final = "cleaned"


def clean_service(place: PassPlace) -> TickService:
    """Every `cleaner_interval`; the retentions of namespaces are read afresh by each pass."""
    work = counted_pass("clean", partial(clean, place.database, place.config), COUNT_KEY)
    return TickService("clean", place.config.cleaner_interval, work)


async def clean(database: Database, config: Config) -> int:
    """Clean for at most `cleaner_timeout`; what is left waits for the next pass.

    A batch of each sort in turn, so that a backlog of one keeps none of the others waiting.
    """
    cleaned = 0
    async with database.connection() as connection:
        left = _batches(connection, config)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(config.cleaner_timeout.total_seconds()):
                while left:
                    for one_batch in tuple(left):
                        count = await one_batch()
                        cleaned += count
                        if not count:
                            left.remove(one_batch)
    return cleaned


def _batches(connection: Connection, config: Config) -> list[Callable[[], Awaitable[int]]]:
    retention = config.event_retention_period
    return [
        partial(
            maintenance.clean_resources,
            connection,
            batch=BATCH,
            synced=config.synced_resource_retention_period,
            degraded=config.degraded_resource_retention_period,
            deleted=config.deleted_resource_retention_period,
        ),
        partial(maintenance.clean_events, connection, batch=BATCH, retention=retention),
        partial(maintenance.clean_workers, connection, batch=BATCH, retention=retention),
        partial(maintenance.clean_inform_runs, connection, batch=BATCH, retention=retention),
        partial(ticks.clean_pauses, connection, batch=BATCH),
        partial(ticks.clean_cancels, connection, batch=BATCH),
    ]
