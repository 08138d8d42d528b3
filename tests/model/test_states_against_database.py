"""Drives the database through the store in random order, with the table of states beside it.

After each step every row, every event and every transition must be what the table says. To run more
than the usual number of examples: `MODEL_EXAMPLES=2000 pytest tests/model`. A failure is printed as
it was found; to have it made short, which takes minutes: `MODEL_SHRINK=1`.
"""

import asyncio
import json
import os
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final, LiteralString, TypeVar, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from delta_cli.engine.controller import Controller, Controllers
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.model.event import EventCategory
from delta_cli.engine.objects import encode_raw
from delta_cli.engine.resource import Resource
from delta_cli.engine.settings import InformOpts, NamespaceConfig
from delta_cli.engine.statements import run_steps
from delta_cli.engine.states import (
    TRANSITIONS,
    Landing,
    Trigger,
    landing_after_delete,
    landing_after_failure,
    landing_after_snooze,
    landing_after_success,
)
from delta_cli.engine.states import ResourceState as S
from delta_cli.engine.store import maintenance, registry, repair, work, workers
from delta_cli.engine.store.inform import Candidate, Expectation, InformPolicy, inform_batch
from delta_cli.engine.store.work import LaneSlots, Outcome
from tests.model.reference import (
    NAMESPACE_WITH_TTL,
    NAMESPACE_WITHOUT_TTL,
    Claim,
    Desired,
    Due,
    Ending,
    Event,
    Key,
    Reference,
    Repairs,
    counted,
)

Result = TypeVar("Result")
Seen = set[tuple[S, Trigger, S]]

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "100"))
PHASES = [Phase.generate, *([Phase.shrink] if "MODEL_SHRINK" in os.environ else [])]
HOUR = timedelta(hours=1)
NAMESPACES = (NAMESPACE_WITH_TTL, NAMESPACE_WITHOUT_TTL)
KEYS = [Key(namespace, name) for namespace in NAMESPACES for name in ("ann", "bob")]

ROWS = """
select
    namespace, object_id, id, state::text, object, max_attempts, priority,
    case when due_at is null then 'never' when due_at <= now() then 'now' else 'later' end as due,
    generation, synced_generation, term, attempt, sync_count, worker_id, last_synced_object,
    claimed_object, errors, lease_until::text, synced_at, attempted_at, updated_at, due_at, hash,
    tags, ctid::text, xmin::text
from delta_resource
"""
RESET: Final[tuple[LiteralString, ...]] = (
    "delete from delta_resource",
    "delete from delta_event",
    "delete from delta_controller",
    "delete from delta_worker",
)
EVENTS = """
select
    id, category::text, namespace, object_id, state::text, attempt, generation, sync_count,
    worker_id, error, actor
from delta_event
where id > %s
order by id
"""


@dataclass
class Person:
    id: str
    kind: ClassVar[str] = "person"


class PersonController(Controller[Person]):
    async def work(self, resource: Resource[Person]) -> None:
        raise AssertionError("nothing works here but the machine")


@dataclass(frozen=True)
class Informed:
    """One object of an inform."""

    key: Key
    desired: Desired
    max_attempts: int
    priority: int

    def candidate(self, *, guarded: bool) -> Candidate:
        encoded = encode_raw(
            "person",
            self.key.object_id,
            {"version": self.desired.version, "text": self.desired.text},
            InformOpts(namespace=self.key.namespace, priority=self.priority),
        )
        version = self.desired.version
        return Candidate(
            encoded,
            max_attempts=self.max_attempts,
            compare=(lambda stored: version - json.loads(stored)["version"]) if guarded else None,
        )


desired = st.builds(Desired, st.integers(1, 3), st.sampled_from(["a", "b"]))
informed = st.builds(
    Informed, st.sampled_from(KEYS), desired, st.integers(1, 3), st.sampled_from([1, 2, 4])
)
endings = st.sampled_from([Ending.SUCCESS, Ending.SUCCESS, *Ending])
informs = st.lists(informed, min_size=1, max_size=4)
some_keys = st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True)


def chosen_of_each_key(batch: list[Informed], *, guarded: bool) -> tuple[list[int], list[str]]:
    """The positions that count, and what becomes of the others: the newest, else the last, wins."""
    chosen: dict[Key, int] = {}
    outcomes = ["unchanged"] * len(batch)
    for position, one in enumerate(batch):
        earlier = chosen.get(one.key)
        if guarded and earlier is not None and one.desired.version < batch[earlier].desired.version:
            outcomes[position] = "stale"
        else:
            chosen[one.key] = position
    return list(chosen.values()), outcomes


class Machine(RuleBasedStateMachine):
    """The store's functions as rules, and what the reference says of each as checks."""

    def __init__(self, runner: asyncio.Runner, connection: Connection, seen: Seen) -> None:
        super().__init__()
        self.runner = runner
        self.connection = connection
        self.seen = seen
        self.reference = Reference()
        self.claims: list[Claim] = []  # also those that are somebody else's by now
        self.workers: list[int] = []
        self.last_event = 0
        self.stored: dict[Key, dict[str, Any]] = {}

    # Steps

    @initialize(controlled=st.sampled_from([True, True, True, False]), first=informs)
    def begin(self, controlled: bool, first: list[Informed]) -> None:
        self._run(self._reset())
        self.workers = [self._run(self._worker()) for _ in range(2)]
        if controlled:
            self.register()
        self.inform(first, False, False, False, False)

    @precondition(lambda self: not self.reference.controlled)
    @rule()
    def register(self) -> None:
        controllers = Controllers([PersonController()])
        self.reference.begin_step()
        self.reference.register()
        adopted = self._run(
            registry.register_controllers(self.connection, controllers, default_interval=HOUR)
        )
        assert adopted == len(self.reference.triggers)
        self._check()

    @rule(
        batch=informs,
        by_informer=st.booleans(),
        process_existing=st.booleans(),
        expect=st.sampled_from(["new", "mixed", "unchanged"]),
        guarded=st.booleans(),
    )
    def inform(
        self,
        batch: list[Informed],
        by_informer: bool,
        process_existing: bool,
        expect: Expectation,
        guarded: bool,
    ) -> None:
        policy = InformPolicy(
            revive=not by_informer, process_existing=process_existing, expect=expect
        )
        candidates = [one.candidate(guarded=guarded) for one in batch]
        outcomes = self._run(run_steps(self.connection, inform_batch(candidates, policy)))
        ids = self._ids()
        self.reference.begin_step()
        chosen, expected = chosen_of_each_key(batch, guarded=guarded)
        for position in chosen:
            one = batch[position]
            expected[position] = self.reference.inform(
                one.key,
                ids.get(one.key),
                one.desired,
                max_attempts=one.max_attempts,
                priority=one.priority,
                revive=not by_informer,
                process_existing=process_existing,
                guarded=guarded,
            )
        assert outcomes == expected
        self._check()

    @precondition(lambda self: self.reference.is_due())
    @rule(
        slots=st.dictionaries(st.sampled_from(NAMESPACES), st.integers(1, 3), min_size=1),
        worker=st.integers(0, 1),
    )
    def claim(self, slots: dict[str, int], worker: int) -> None:
        # Rows that were informed together are due at one instant; let the newest be most overdue.
        self._execute(
            "update delta_resource set due_at = now() - id * interval '1 ms' where due_at <= now()"
        )
        self._look()
        lanes = [LaneSlots("person", namespace, count) for namespace, count in slots.items()]
        worker_id = self.workers[worker]
        leases_s = {"person": 60.0 if worker else None}
        claimed = self._run(
            work.claim(self.connection, lanes, worker_id=worker_id, leases_s=leases_s)
        )
        by_key = {Key(one.namespace, one.object_id): one for one in claimed}
        assert sorted(by_key) == sorted(
            key
            for namespace, count in slots.items()
            for key in self.reference.first_due(namespace)[:count]
        )
        self.reference.begin_step()
        for key, resource in sorted(by_key.items()):
            claim = self.reference.claim(key, worker_id)
            assert (resource.id, resource.term, resource.generation, resource.attempt) == (
                claim.id,
                claim.term,
                claim.generation,
                claim.attempt,
            )
            self.claims.append(claim)
        self._check()

    @precondition(lambda self: self.reference.is_due())
    @rule(
        ending=endings,
        meanwhile=st.lists(informed, max_size=2),
        worker=st.integers(0, 1),
    )
    def work(self, ending: Ending, meanwhile: list[Informed], worker: int) -> None:
        """All that is due, from claim to completion, some of it informed meanwhile."""
        known = len(self.claims)
        self.claim(dict.fromkeys(NAMESPACES, 3), worker)
        if meanwhile:
            self.inform(meanwhile, False, False, False, False)
        self._complete(dict.fromkeys(self.claims[known:], ending))

    @precondition(lambda self: self.claims)
    @rule(chosen=st.lists(st.tuples(st.integers(0, 9), endings), min_size=1, max_size=3))
    def complete(self, chosen: list[tuple[int, Ending]]) -> None:
        """Complete some of the newest claims, whether they still stand or not."""
        self._complete({self._claim(index): ending for index, ending in chosen})

    def _complete(self, endings: dict[Claim, Ending]) -> None:
        outcomes = [_outcome(claim, ending) for claim, ending in endings.items()]
        held = self._run(work.still_held(self.connection, [outcome.claim for outcome in outcomes]))
        assert held == {claim.id for claim in endings if self.reference.is_held(claim)}
        written = set(self._run(work.complete(self.connection, outcomes)))
        self.reference.begin_step()
        expected = {
            claim.id for claim, ending in endings.items() if self.reference.complete(claim, ending)
        }
        assert written == expected
        self._check()

    @precondition(lambda self: self._pending())
    @rule(indexes=st.lists(st.integers(0, 9), min_size=1, max_size=2))
    def hard_stop(self, indexes: list[int]) -> None:
        claims = {self._claim(index) for index in indexes}
        released = self._run(work.release(self.connection, [_resource(one) for one in claims]))
        self.reference.begin_step()
        assert len(released) == self.reference.release(claims)
        self._check()

    @precondition(lambda self: self._pending())
    @rule(index=st.integers(0, 3))
    def lose_a_lease(self, index: int) -> None:
        pending = self._pending()
        key = pending[index % len(pending)]
        self._execute(
            "update delta_resource set lease_until = now() where id = %s",
            [self.reference.rows[key].id],
        )
        self.reference.rows[key].overdue = True
        self._look()
        self._rescue()

    @precondition(lambda self: self._pending())
    @rule(worker=st.integers(0, 1))
    def lose_a_worker(self, worker: int) -> None:
        lost = self.workers[worker]
        self._execute("update delta_worker set heartbeat_at = '-infinity' where id = %s", [lost])
        # None is silent for longer than the server has run.
        short = timedelta(microseconds=1)
        assert self._run(maintenance.mark_lost_workers(self.connection, lost_after=short)) == [lost]
        self.reference.lost_workers.add(lost)
        self.workers[worker] = self._run(self._worker())
        self._rescue()

    def _rescue(self) -> None:
        rescued = self._run(maintenance.rescue_resources(self.connection, batch=10))
        self.reference.begin_step()
        assert rescued == self.reference.rescue()
        self._check()

    @precondition(lambda self: self.reference.has(S.SCHEDULED, S.FAILED))
    @rule()
    def retries_become_due(self) -> None:
        self._execute("update delta_resource set due_at = now() where due_at > now()")
        for row in self.reference.rows.values():
            row.due = Due.NOW if row.due is Due.LATER else row.due
        self._look()

    @precondition(lambda self: self.reference.has(S.SYNCED))
    @rule(keys=some_keys)
    def expire(self, keys: list[Key]) -> None:
        self._age(keys)
        expired = self._run(maintenance.expire_resources(self.connection, batch=10))
        self.reference.begin_step()
        assert expired == self.reference.expire()
        self._check()

    @precondition(lambda self: self.reference.has(S.SYNCED, S.DEGRADED, S.DELETED))
    @rule(keys=some_keys)
    def clean(self, keys: list[Key]) -> None:
        self._age(keys)
        cleaned = self._run(
            maintenance.clean_resources(
                self.connection, batch=10, synced=HOUR, degraded=HOUR, deleted=HOUR
            )
        )
        self.reference.begin_step()
        assert cleaned == self.reference.clean()
        self._check()

    def _age(self, keys: list[Key]) -> None:
        rows = [self.reference.rows[key] for key in keys if key in self.reference.rows]
        self._execute(
            "update delta_resource set updated_at = updated_at - interval '2 hours' "
            "where id = any(%s)",
            [[row.id for row in rows]],
        )
        for row in rows:
            row.aged = True
        self._look()

    @rule(keys=some_keys, what=st.sampled_from(Repairs), actor=st.sampled_from([None, "ops"]))
    def repair(self, keys: list[Key], what: Repairs, actor: str | None) -> None:
        self._repair(keys, what, actor)

    @precondition(lambda self: self.reference.has(S.SYNCED, S.DEGRADED, S.DELETED))
    @rule(what=st.sampled_from(Repairs))
    def repair_what_has_ended(self, what: Repairs) -> None:
        rows = self.reference.rows.items()
        ended = (S.SYNCED, S.DEGRADED, S.DELETED)
        self._repair([key for key, row in rows if row.state in ended], what, None)

    def _repair(self, keys: list[Key], what: Repairs, actor: str | None) -> None:
        by_id = {self.reference.rows[key].id: key for key in keys if key in self.reference.rows}
        steps = repair.apply_repair(_REPAIRS[what], list(by_id), actor=actor)
        repaired = self._run(run_steps(self.connection, steps))
        self.reference.begin_step()
        assert {by_id[one] for one in repaired} == self.reference.repair(keys, what, actor)
        self._check()

    # Checks

    def _check(self) -> None:
        before = self.stored
        self._look()
        for key, row in self.stored.items():
            trigger = self.reference.triggers.get(key)
            if key not in before:
                assert row["state"] in (S.SCHEDULED, S.UNKNOWN)
            elif trigger is None:
                assert row == before[key], f"{key} was written for nothing"
            else:
                step = (S(before[key]["state"]), trigger, S(row["state"]))
                assert step in TRANSITIONS
                self.seen.add(step)
        assert before.keys() - self.stored.keys() == self.reference.removed
        self._check_events()

    def _look(self) -> None:
        """Read every row and hold it against the reference."""
        self.stored = self._run(self._rows())
        assert self.stored.keys() == self.reference.rows.keys()
        for key, expected in self.reference.rows.items():
            row = self.stored[key]
            last_synced = expected.last_synced
            drifted = last_synced is not None and last_synced != expected.object
            assert {
                "id": row["id"],
                "state": row["state"],
                "object": row["object"],
                "max_attempts": row["max_attempts"],
                "priority": row["priority"],
                "due": row["due"],
                "generation": row["generation"],
                "synced_generation": row["synced_generation"],
                "term": row["term"],
                "attempt": row["attempt"],
                "sync_count": row["sync_count"],
                "worker": row["worker_id"],
                "last_synced": row["last_synced_object"],
                "claimed": row["claimed_object"],
                "errors": [(error["attempt"], error["error"]) for error in row["errors"]],
            } == {
                "id": expected.id,
                "state": expected.state,
                "object": _json(expected.object),
                "max_attempts": expected.max_attempts,
                "priority": expected.priority,
                "due": expected.due,
                "generation": expected.generation,
                "synced_generation": expected.synced_generation,
                "term": expected.term,
                "attempt": expected.attempt,
                "sync_count": expected.sync_count,
                "worker": expected.worker,
                "last_synced": _json(last_synced) if drifted else None,
                "claimed": _json(expected.claimed),
                "errors": expected.errors,
            }, key
            encoded = Informed(key, expected.object, 1, 1).candidate(guarded=False).encoded
            assert row["hash"] == encoded.hash
            assert (row["synced_at"] is not None) == (expected.sync_count > 0)
            assert (row["lease_until"] is not None) == (expected.state is S.PENDING)

    def _check_events(self) -> None:
        written = self._run(self._events())
        self.last_event = max((event_id for event_id, _ in written), default=self.last_event)
        assert counted(event for _, event in written) == counted(self.reference.events)

    # The database

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    def _execute(self, query: LiteralString, parameters: list[Any] | None = None) -> None:
        self._run(self.connection.execute(query, parameters))

    def _claim(self, index: int) -> Claim:
        """One of the newest claims."""
        return self.claims[-1 - index % len(self.claims)]

    def _pending(self) -> list[Key]:
        rows = self.reference.rows.items()
        return sorted(key for key, row in rows if row.state is S.PENDING)

    def _ids(self) -> dict[Key, int]:
        return {key: row["id"] for key, row in self._run(self._rows()).items()}

    async def _rows(self) -> dict[Key, dict[str, Any]]:
        cursor = await self.connection.execute(ROWS)
        assert cursor.description is not None
        names = [column.name for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
        # A row that is only due by now was not written.
        return {Key(row["namespace"], row["object_id"]): row for row in rows}

    async def _events(self) -> list[tuple[int, Event]]:
        cursor = await self.connection.execute(EVENTS, [self.last_event])
        return [
            (event_id, Event(category, Key(namespace, name), S(state), *rest))
            for event_id, category, namespace, name, state, *rest in await cursor.fetchall()
        ]

    async def _reset(self) -> None:
        for query in RESET:
            await self.connection.execute(query)
        with_ttl = NamespaceConfig(expiry_ttl=HOUR)
        await registry.register_namespace(self.connection, NAMESPACE_WITH_TTL, with_ttl)
        await registry.register_namespace(self.connection, NAMESPACE_WITHOUT_TTL, NamespaceConfig())

    async def _worker(self) -> int:
        worker = await workers.register(
            self.connection, workers.WorkerIdentity("host", 1, "1", ["person"], None, 10, 5.0)
        )
        await self.connection.execute(
            "update delta_worker set heartbeat_at = 'infinity' where id = %s", [worker]
        )
        return worker


_REPAIRS = {
    Repairs.INVALIDATE: repair.INVALIDATE,
    Repairs.RETRY: repair.RETRY,
    Repairs.DELETE: repair.DELETE,
}


def _json(value: Desired | None) -> Any:
    return None if value is None else {"version": value.version, "text": value.text}


def _resource(claim: Claim) -> Resource[Any]:
    resource = Resource.__new__(Resource)
    resource.id, resource.term = claim.id, claim.term
    resource.generation = claim.generation
    return resource


def _outcome(claim: Claim, ending: Ending) -> Outcome:
    category, error = None, None
    landing: Landing
    match ending:
        case Ending.SUCCESS:
            landing, category = landing_after_success(), EventCategory.OBJECT_SYNCED
        case Ending.FAILURE | Ending.PERMANENT:
            landing = landing_after_failure(
                claim.attempt,
                claim.max_attempts,
                retry_in=HOUR,
                permanent=ending is Ending.PERMANENT,
            )
            category = EventCategory.OBJECT_FAILED
            error = json.dumps(
                {
                    "attempt": claim.attempt,
                    "error": ending.value,
                    "message": f"{ending} in term {claim.term}",
                }
            )
        case Ending.SNOOZE | Ending.SNOOZE_BRIEFLY:
            delay = HOUR if ending is Ending.SNOOZE else timedelta(0)
            landing = landing_after_snooze(claim.attempt, delay)
        case Ending.DELETE:
            landing, category = landing_after_delete(claim.attempt), EventCategory.OBJECT_DELETED
    return Outcome(_resource(claim), landing, category, 1.0, error)


@pytest.mark.timeout(max(120, 2 * EXAMPLES))
def test_every_step_in_any_order_is_what_the_table_of_states_says(dsn: str) -> None:
    seen: Seen = set()
    with asyncio.Runner() as runner:
        connection = runner.run(Database(dsn).connect())
        try:
            run_state_machine_as_test(
                cast("type[RuleBasedStateMachine]", lambda: Machine(runner, connection, seen)),
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=40,
                    deadline=None,
                    database=None,
                    # The same steps on every run of CI; others on each run at a desk.
                    derandomize="CI" in os.environ,
                    suppress_health_check=[HealthCheck.too_slow],
                    phases=PHASES,
                ),
            )
        finally:
            runner.run(connection.close())
    assert len(seen) > len(TRANSITIONS) / 2, "the examples are too tame"
