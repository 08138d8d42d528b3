"""Returns what died with its owner: lost workers' claims, overdue leases, stuck inform runs.

It also adopts what was informed at the very moment when the first controller of its kind came.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from delta_cli.engine.config import Config
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.hints import WORK
from delta_cli.engine.store import maintenance
from delta_cli.engine.ticks.base import PassPlace, component_logger
from delta_cli.engine.ticks.passes import counted_pass
from delta_cli.engine.ticks.service import PromptTickService, TickService

log = component_logger("rescue")
BATCH: Final = 500
COUNT_KEY: Final = "rescued"


def rescue_service(place: PassPlace) -> TickService:
    """At once at the start, but not by a worker that just came back from an outage."""
    return PromptTickService(
        "rescue",
        place.config.rescue_interval,
        counted_pass(
            "rescue",
            partial(rescue, place.database, place.config, may_judge=place.may_judge),
            COUNT_KEY,
            on_moved=partial(place.wake, WORK),
        ),
        should_run=place.may_judge,
    )


async def rescue(
    database: Database, config: Config, *, may_judge: Callable[[], bool] = lambda: True
) -> int:
    """Rescue everything that is overdue now. Returns how many resources and runs."""
    async with database.connection() as connection:
        # Asked again: where commits stood still, this pass has waited for its beginning as long as
        # the others for their heartbeats.
        if may_judge():
            await _mark_lost(connection, config)
        rescued = await maintenance.rescue_inform_runs(connection)
        while count := await maintenance.rescue_resources(connection, batch=BATCH):
            rescued += count
        while count := await maintenance.adopt(connection, batch=BATCH):
            rescued += count
    return rescued


async def _mark_lost(connection: Connection, config: Config) -> None:
    lost = await maintenance.mark_lost_workers(connection, lost_after=config.worker_lost_after)
    if lost:
        log.warning("workers lost", extra={"workers": lost})
