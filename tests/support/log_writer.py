"""A process that writes events as workers do: `python -m tests.support.log_writer DSN SEED`.

It claims and completes batches of random sizes with the engine's own statements until it is killed,
and dawdles and rolls back at random before it commits.
"""

import asyncio
import random
import sys
from datetime import timedelta
from typing import Any

from delta_cli import EventCategory, Resource, ResourceState
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.hints import EVENT
from delta_cli.engine.states import Landing
from delta_cli.engine.store import events, work
from delta_cli.engine.store.work import LaneSlots, Outcome, Written

KINDS = ("even", "odd")
LEASES_S: dict[str, float | None] = dict.fromkeys(KINDS, 3_600.0)
#: Due again at once, so that few resources make many events.
AGAIN = Landing(ResourceState.FAILED, attempt=0, due_in=timedelta(0))
CATEGORIES = (EventCategory.OBJECT_SYNCED, EventCategory.OBJECT_FAILED)
LARGEST_BATCH = 400  # of each kind
#: The name of its connection, also behind a pooler.
NAME = "log writer"


class ChangedMind(Exception):
    """Rolls a transaction back."""


async def write_batch(connection: Connection, chance: random.Random) -> int:
    """Claim and complete some. Returns how many events that makes."""
    lanes = [LaneSlots(kind, "default", chance.randint(1, LARGEST_BATCH)) for kind in KINDS]
    claimed = await work.claim(connection, lanes, worker_id=1, leases_s=LEASES_S)
    outcomes = [outcome(resource, chance) for resource in claimed]
    while outcomes:
        # A row that another's claim holds for the moment is left out, and tried again.
        written = await completed(connection, outcomes, chance)
        outcomes = [one for one in outcomes if one.claim.id not in written]
    await events.notify(connection, EVENT, "")
    return len(claimed)


async def completed(
    connection: Connection, outcomes: list[Outcome], chance: random.Random
) -> Written:
    """Try once. Returns the resources that are done: none when it is rolled back."""
    how = chance.random()
    if how < 0.7:
        return await work.complete_around(connection, outcomes)
    try:
        async with connection.transaction():
            written = await work.complete_around(connection, outcomes)
            # Now and then so long that others commit meanwhile, and readers read, if they could.
            await asyncio.sleep(0.3 if how > 0.98 else chance.random() * 0.02)
            if how < 0.8:
                raise ChangedMind
    except ChangedMind:
        return {}
    return written


def outcome(resource: Resource[Any], chance: random.Random) -> Outcome:
    category = chance.choice(CATEGORIES)
    return Outcome(resource, AGAIN, category, 0.1)


async def write(dsn: str, seed: int) -> None:
    chance = random.Random(seed)
    async with await Database(dsn, application_name=NAME).connect() as connection:
        while True:
            await write_batch(connection, chance)
            await asyncio.sleep(chance.choice((0, 0.01, 0.05, 0.1)))


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], int(sys.argv[2])))
