"""Workers of a limited kind come, claim, end, drain, sleep and die in any order, against Postgres.

After each step no more is pending under a grant than it gives, and no more is granted than the
limit; when nothing changes any more, every slot is granted fairly within a few passes. More
examples: `MODEL_EXAMPLES=500 pytest tests/model/test_rebalance_model.py`.
"""

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, Final, LiteralString, TypeVar, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from delta_cli.engine.database import Connection, Database
from delta_cli.engine.fleet import Member, fair_targets
from delta_cli.engine.store import maintenance, workers
from delta_cli.engine.ticks.rebalance import rebalance
from tests.support.fleet import LIMIT_KIND, RESOURCES, Hand

Result = TypeVar("Result")

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "20"))
PHASES = [Phase.generate, *([Phase.shrink] if "MODEL_SHRINK" in os.environ else [])]
#: A worker gives back at its look what the pass before took away; the pass after grants it.
PASSES_TO_REST: Final = 3
RESET: Final[tuple[LiteralString, ...]] = (
    "truncate delta_resource, delta_event, delta_grant, delta_quota",
    "delete from delta_worker",
    "delete from delta_namespace",
    "delete from delta_controller",
    "insert into delta_namespace (name) values ('default')",
)
USE: Final[LiteralString] = """
select
    coalesce(sum(granted), 0)::int,
    coalesce(bool_or(pending > granted), false),
    (
        select count(*)
        from delta_resource
        where lease_until is not null
        and worker_id <> all(array(select worker_id from delta_grant))
    )::int
from (
    select
        granted,
        (
            select count(*)
            from delta_resource
            where lease_until is not null and worker_id = delta_grant.worker_id
        ) as pending
    from delta_grant
) as own
"""

whose = st.integers(0, 9)
counts = st.integers(1, 4)
limits = st.one_of([st.integers(1, 8)] * 5 + [st.none()])


class Machine(RuleBasedStateMachine):
    """Workers driven by hand. `alive` are the fleet's; `asleep` were given up and know nothing."""

    def __init__(self, runner: asyncio.Runner, database: Database, connection: Connection) -> None:
        super().__init__()
        self.runner = runner
        self.database = database
        self.connection = connection
        self.alive: list[Hand] = []
        self.asleep: list[Hand] = []
        self.limit: int | None = None
        self.excess = 0  # a limit that was set or lowered may be passed by what was there before

    @initialize(limit=limits, parallelism=st.lists(st.integers(3, 6), min_size=1, max_size=3))
    def begin(self, limit: int | None, parallelism: list[int]) -> None:
        self._run(self._reset())
        self.set_limit(limit)
        for each in parallelism:
            self.join(each)
        self.share()
        self.everybody_claims()

    # What the workers do

    @precondition(lambda self: len(self.alive) < 4)
    @rule(parallelism=st.integers(3, 6))
    def join(self, parallelism: int) -> None:
        self.alive.append(self._run(Hand.join(self.database, parallelism)))

    @rule(which=whose)
    def look(self, which: int) -> None:
        if hand := self._any(which):
            self._run(hand.control.look())

    @rule(which=whose, most=counts)
    def claim(self, which: int, most: int) -> None:
        if hand := self._any(which):
            self._run(hand.claim(self.connection, most=most))

    @rule()
    def everybody_claims(self) -> None:
        for hand in self.alive:
            self._run(hand.control.look())
            self._run(hand.claim(self.connection))

    @rule()
    def everybody_looks(self) -> None:
        for hand in self.alive + self.asleep:
            self._run(hand.control.look())

    @rule(which=whose, count=counts)
    def end_works(self, which: int, count: int) -> None:
        if hand := self._any(which):
            hand.end(count)

    @rule(which=whose)
    def write_outcomes(self, which: int) -> None:
        if hand := self._any(which):
            self._run(hand.write(self.connection))

    @rule()
    def finish_everything(self) -> None:
        for hand in self.alive:
            self._run(self._finish(hand))

    @precondition(lambda self: self.alive)
    @rule(which=whose)
    def drain(self, which: int) -> None:
        self.alive[which % len(self.alive)].worker.draining = True

    @precondition(lambda self: any(hand.worker.draining for hand in self.alive))
    @rule()
    def leave(self) -> None:
        hand = next(hand for hand in self.alive if hand.worker.draining)
        self._run(self._finish(hand))
        self._run(workers.stop(self.connection, hand.id))
        self.alive.remove(hand)

    @precondition(lambda self: self.alive)
    @rule(which=whose)
    def fall_asleep(self, which: int) -> None:
        hand = self.alive.pop(which % len(self.alive))
        self._run(self._do("update delta_worker set state = 'lost' where id = %s", hand.id))
        self.asleep.append(hand)

    @precondition(lambda self: len(self.alive) > 1)
    @rule(which=whose)
    def oversleep(self, which: int) -> None:
        """All that it had goes to the others, and then it goes on as if nothing had been."""
        self.fall_asleep(which)
        self.rescue()
        self.share_and_claim()
        self._run(self._finish(self.asleep[-1]))
        self._run(self.asleep[-1].claim(self.connection))

    # What the fleet does

    @rule()
    def rescue(self) -> None:
        self._run(maintenance.rescue_resources(self.connection, batch=100))

    @rule()
    def share(self) -> None:
        self._run(rebalance(self.database, notify=False))

    @precondition(lambda self: self.alive)
    @rule(which=whose, limit=st.integers(1, 8))
    def limit_appears_while_one_sleeps(self, which: int, limit: int) -> None:
        self.set_limit(None)
        self.share_and_claim()
        self.fall_asleep(which)
        self.set_limit(limit)
        self.everybody_looks()
        self.share()

    @rule()
    def share_and_claim(self) -> None:
        self.share()
        self.everybody_claims()

    @rule(limit=limits)
    def set_limit(self, limit: int | None) -> None:
        self.limit = limit
        self._run(self._do(LIMIT_KIND, limit))
        granted, _, ungranted = self._use()
        self.excess = 0 if limit is None else max(0, granted + ungranted - limit)

    # What holds

    @invariant()
    def no_use_passes_its_grant_and_all_grants_the_limit(self) -> None:
        if self.limit is None:
            return
        granted, passed, ungranted = self._use()
        assert not passed
        # What is over the limit since it was set only ever shrinks.
        excess = max(0, granted + ungranted - self.limit)
        assert excess <= self.excess
        self.excess = excess

    def teardown(self) -> None:
        if self.limit is not None and self.alive:
            self._come_to_rest()

    def _come_to_rest(self) -> None:
        for hand in self.alive:
            hand.worker.draining = False
            self._run(self._finish(hand))
        self.rescue()
        for _ in range(PASSES_TO_REST):
            for hand in self.alive:
                self._run(hand.control.look())
            self.share()
        assert self.limit is not None
        capacities = [hand.worker.slots.capacity for hand in self.alive]
        fair = fair_targets(
            self.limit, [Member(number, each, 0) for number, each in enumerate(capacities)]
        )
        rows = self._run(self._rows("select granted from delta_grant order by granted"))
        assert [granted for (granted,) in rows] == sorted(fair.values())
        for hand in self.alive:
            self._run(hand.control.look())
            self._run(hand.claim(self.connection))
        assert sum(len(hand.working) for hand in self.alive) == sum(fair.values())

    # Odds and ends

    def _any(self, which: int) -> Hand | None:
        hands = self.alive + self.asleep
        return hands[which % len(hands)] if hands else None

    def _use(self) -> tuple[int, bool, int]:
        """All that is granted; whether any use passes its grant; what is pending without one."""
        return cast("tuple[int, bool, int]", self._run(self._rows(USE))[0])

    async def _finish(self, hand: Hand) -> None:
        await hand.finish(self.connection, len(hand.working))

    async def _reset(self) -> None:
        for statement in RESET:
            await self.connection.execute(statement)
        await self.connection.execute(RESOURCES, ["default", 200])

    async def _rows(self, query: LiteralString) -> list[tuple[Any, ...]]:
        return await (await self.connection.execute(query)).fetchall()

    async def _do(self, query: LiteralString, value: int | None) -> None:
        await self.connection.execute(query, [value])

    def _run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(coroutine)


@pytest.mark.timeout(max(120, 4 * EXAMPLES))
def test_no_slot_of_a_limit_is_used_twice_or_lost_whatever_the_fleet_does(dsn: str) -> None:
    with asyncio.Runner() as runner:
        database = Database(dsn)
        runner.run(database.open())
        connection = runner.run(database.connect())
        try:
            run_state_machine_as_test(
                cast("type[RuleBasedStateMachine]", lambda: Machine(runner, database, connection)),
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=30,
                    deadline=None,
                    database=None,
                    derandomize="CI" in os.environ,
                    suppress_health_check=[HealthCheck.too_slow],
                    phases=PHASES,
                ),
            )
        finally:
            runner.run(connection.close())
            runner.run(database.close())
