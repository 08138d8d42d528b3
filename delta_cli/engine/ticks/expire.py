"""Makes resources due that were synced longer ago than the TTL of their namespace."""

from functools import partial
from typing import Final

from delta_cli.engine.database import Database
from delta_cli.engine.hints import WORK
from delta_cli.engine.store import maintenance
from delta_cli.engine.ticks.base import PassPlace
from delta_cli.engine.ticks.passes import counted_pass
from delta_cli.engine.ticks.service import TickService

BATCH: Final = 1_000
COUNT_KEY: Final = "expired"


def expire_service(place: PassPlace) -> TickService:
    """Every `maintenance_interval`; the TTLs are read afresh by each pass."""
    work = counted_pass(
        "expire",
        partial(expire, place.database),
        COUNT_KEY,
        on_moved=partial(place.wake, WORK),
    )
    return TickService("expire", place.config.maintenance_interval, work)


async def expire(database: Database) -> int:
    """Expire everything that is past its TTL now. Returns how many resources."""
    expired = 0
    async with database.connection() as connection:
        while count := await maintenance.expire_resources(connection, batch=BATCH):
            expired += count
    return expired
