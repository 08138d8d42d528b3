"""Workers that a test drives by hand: their claims, works, outcomes and looks at the limits."""

from dataclasses import dataclass, field
from typing import Any, LiteralString

from delta_cli import Resource
from delta_cli.engine.controller import Controllers
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.loops.base import Worker
from delta_cli.engine.loops.control import Control
from delta_cli.engine.model.event import EventCategory
from delta_cli.engine.slots import Lane, Slots
from delta_cli.engine.states import landing_after_success
from delta_cli.engine.store import work, workers
from delta_cli.engine.store.cancels import Cancel
from delta_cli.engine.store.work import LaneSlots, Outcome
from delta_cli.engine.store.workers import WorkerIdentity
from tests.support.engine import Stage, item_controller, quick_config

LANE: Lane = ("item", "default")

LIMIT_KIND: LiteralString = """
insert into delta_controller (kind, parallelism, fleet_parallelism) values ('item', 10, %s)
on conflict (kind) do update set fleet_parallelism = excluded.fleet_parallelism
"""
LIMIT_NAMESPACE: LiteralString = """
insert into delta_namespace (name, max_workers, fleet_max_workers) values ('default', %s, %s)
on conflict (name) do update
set max_workers = excluded.max_workers, fleet_max_workers = excluded.fleet_max_workers
"""
RESOURCES: LiteralString = """
insert into delta_resource (namespace, kind, object_id, state, max_attempts, due_at, object, hash)
select %s, 'item', 'item-' || i, 'scheduled', 10, now(), '{}', ''
from generate_series(1, %s) as i
"""


@dataclass
class Hand:
    """One worker of the kind `item`. `working`: claimed; `ended`: not written yet."""

    worker: Worker
    working: list[Resource[Any]] = field(default_factory=list)
    ended: list[Resource[Any]] = field(default_factory=list)
    cancels: list[Cancel] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.control = Control(self.worker, unwritten=self.lanes, on_cancel=self.cancels.append)

    @classmethod
    async def join(cls, database: Database, parallelism: int = 10) -> "Hand":
        controller = item_controller(Stage().work)
        hand = cls(
            Worker(
                database=database,
                config=quick_config(controller),
                controllers=Controllers([controller]),
                namespaces=None,
                slots=Slots({"item": parallelism}),
            )
        )
        async with database.transaction() as connection:
            hand.worker.id = await workers.register(connection, identity(parallelism))
            await hand.control.enroll(connection, hand.worker.id)
        return hand

    @property
    def id(self) -> int:
        return self.worker.id

    def lanes(self) -> list[Lane]:
        return [(one.kind, one.namespace) for one in self.ended]

    async def claim(self, connection: Connection, *, most: int = 100, lane: Lane = LANE) -> int:
        """As the claimer does it. Returns how many."""
        slots = self.worker.slots
        shares = slots.allocate([lane], most, self.lanes())
        slots.reserve(shares)
        claimed = await self.claim_blindly(connection, shares.get(lane, 0), lane)
        slots.settle(shares)
        slots.take((one.kind, one.namespace) for one in claimed)
        self.working += claimed
        return len(claimed)

    async def claim_blindly(
        self, connection: Connection, slots: int, lane: Lane = LANE
    ) -> list[Resource[Any]]:
        """Claim without a look at the limits here."""
        lanes = [LaneSlots(*lane, slots)]
        return await work.claim(connection, lanes, worker_id=self.id, leases_s={})

    def end(self, count: int = 1) -> None:
        """Let works end; their outcomes are not written yet."""
        ended, self.working = self.working[:count], self.working[count:]
        for one in ended:
            self.worker.slots.free(one.kind, one.namespace)
        self.ended += ended

    async def write(self, connection: Connection) -> None:
        """Write all outcomes."""
        ended = [
            Outcome(one, landing_after_success(), EventCategory.OBJECT_SYNCED, 1.0)
            for one in self.ended
        ]
        if ended:
            await work.complete(connection, ended)
        self.ended.clear()

    async def finish(self, connection: Connection, count: int = 1) -> None:
        """Let works end and write their outcomes."""
        self.end(count)
        await self.write(connection)


def identity(capacity: int) -> WorkerIdentity:
    return WorkerIdentity(
        host="here",
        pid=1,
        version="1",
        kinds=["item"],
        namespaces=None,
        capacity=capacity,
        heartbeat_interval_s=5.0,
    )
