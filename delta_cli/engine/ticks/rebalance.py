"""Shares the limits of the fleet among its workers.

It only ever grants slots that are granted to nobody. A worker that has more than its fair part is
told so, and gives the rest back itself as its works end; a later pass grants them elsewhere.
"""

from functools import partial
from typing import Final

from delta_cli.engine.database import Connection, Database
from delta_cli.engine.fleet import Share, plan
from delta_cli.engine.hints import CONTROL
from delta_cli.engine.slots import Scope
from delta_cli.engine.store import events, quota
from delta_cli.engine.ticks.base import PassPlace
from delta_cli.engine.ticks.passes import counted_pass
from delta_cli.engine.ticks.service import PromptTickService, TickService

NAME: Final = "rebalance"
COUNT_KEY: Final = "slots_moved"


def rebalance_service(place: PassPlace) -> TickService:
    """Every `rebalance_interval`; a worker forces one whenever its own part has moved."""
    work = counted_pass(
        NAME,
        partial(rebalance, place.database, notify=place.config.notify),
        COUNT_KEY,
        manager=QuotaGauges(place.database),
    )
    return PromptTickService(NAME, place.config.rebalance_interval, work)


async def rebalance(database: Database, *, notify: bool = True) -> int:
    """Share all limits afresh. Returns how many slots were granted.

    `notify`: wake the workers that this concerns, which else find it within a second.
    """
    async with database.transaction() as connection:
        await quota.begin_pass(connection)
        await quota.sync(connection)
        await quota.forget_left(connection)
        shares = await _share(connection)
    if shares and notify:
        async with database.connection() as connection:
            await events.notify(connection, CONTROL, "")
    return sum(share.raised for _, share in shares)


async def _share(connection: Connection) -> list[tuple[Scope, Share]]:
    shares = [
        (one.scope, share)
        for one in await quota.quotas(connection)
        for share in plan(one.slot_limit, one.available, one.members)
    ]
    if shares:
        await quota.grant(connection, shares)
    return shares


class QuotaGauges:
    """The gauges of all quotas: limit, granted, used and how many workers share each."""

    def __init__(self, database: Database) -> None:
        self._database: Database = database

    async def update_quota_metrics(self) -> None:
        """Refresh them now."""
        async with self._database.transaction() as connection:
            await quota.begin_pass(connection)
            await quota.refresh_gauges(connection)
