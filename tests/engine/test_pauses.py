"""Pauses of kinds, namespaces, workers and ticks, against workers that work."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from delta_cli import Client, ConfigError, InformOpts, NotFound, StateConflict
from delta_cli.engine.model.pause import Pause, PauseScope
from delta_cli.engine.store import runs, work
from delta_cli.engine.store.work import LaneSlots
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

EU = InformOpts(namespace="eu")
#: A worker that finds nothing by polling, but for what it is told.
DEAF_TO_POLLS = {"poll_interval": seconds(60)}


async def name_of(scope: str, observer: Observer) -> str:
    """What the scope holds in tests that work items in the default namespace."""
    if scope == "worker":
        return str(await observer.value("select max(id) from delta_worker"))
    return {"kind": "item", "namespace": "default"}[scope]


async def now(observer: Observer) -> datetime:
    return await observer.value("select clock_timestamp()")


async def last_claim(observer: Observer) -> datetime:
    return await observer.value("select max(attempted_at) from delta_resource")


scopes = pytest.mark.parametrize("scope", ["kind", "namespace", "worker"])


@scopes
async def test_no_claim_takes_a_row_after_the_pause_also_under_load(
    dsn: str, observer: Observer, scope: str
) -> None:
    async def work_a_while(_: Any) -> None:
        await asyncio.sleep(0.002)

    async with working(dsn, item_controller(work_a_while, parallelism=4)) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(3_000))
        await eventually(lambda: last_claim(observer))
        await client.control.pause(scope, await name_of(scope, observer))
        paused_at = await now(observer)
        await eventually(client.drained)
        states = await observer.states()
        assert states["scheduled"] > 0
        assert "pending" not in states
        assert await last_claim(observer) < paused_at


@scopes
async def test_a_claim_locks_no_row_of_what_is_paused(
    dsn: str, observer: Observer, scope: str
) -> None:
    async with working(dsn, item_controller(Stage(opened=True).work)) as client:
        worker = int(await name_of("worker", observer))
        await client.control.pause("kind", "item")
        await client.inform_many(Item(f"item-{number}") for number in range(100))
        name = await name_of(scope, observer)
        if scope != "kind":
            await client.control.pause(scope, name)
            await client.control.resume("kind", "item")
        lanes = [LaneSlots("item", "default", 50)]
        async with client.database.transaction() as connection:
            claims = await work.claim(connection, lanes, worker_id=worker, leases_s={})
            free = "select id from delta_resource for update skip locked"
            assert (claims, len(await observer.rows(free))) == ([], 100)


@dataclass
class Asked:
    """When the workers of this process have looked for due lanes, and when they have claimed."""

    looks: list[float] = field(default_factory=list)
    claims: list[float] = field(default_factory=list)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    due_lanes, claim = work.due_lanes, work.claim

    async def look(*arguments: Any, **options: Any) -> Any:
        lanes = await due_lanes(*arguments, **options)
        asked.looks.append(time.monotonic())
        return lanes

    async def take(*arguments: Any, **options: Any) -> Any:
        claims = await claim(*arguments, **options)
        asked.claims.append(time.monotonic())
        return claims

    monkeypatch.setattr(work, "due_lanes", look)
    monkeypatch.setattr(work, "claim", take)
    return asked


@scopes
async def test_after_resume_the_work_goes_on_at_once(
    dsn: str, observer: Observer, scope: str, asked: Asked
) -> None:
    stage = Stage(opened=True)
    async with (
        working(dsn, item_controller(stage.work), **DEAF_TO_POLLS) as worker,
        Client(dsn) as operator,
    ):
        name = await name_of(scope, observer)
        await operator.inform(Item("first"))
        await observer.until_state("first", "synced")
        await operator.control.pause(scope, name)
        await eventually(worker.drained)
        await operator.inform(Item("a"))
        informed_at = time.monotonic()
        await eventually(lambda: asked.looks[-1] > informed_at)  # it follows the hint
        assert (await observer.resource("a"))["state"] == "scheduled"
        await operator.control.resume(scope, name)
        await observer.until_state("a", "synced")


@scopes
async def test_a_pause_that_ends_lets_the_work_go_on_without_anybody_doing_anything(
    dsn: str, observer: Observer, scope: str
) -> None:
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work), **DEAF_TO_POLLS) as client:
        await client.inform(Item("first"))
        await observer.until_state("first", "synced")
        pause = await client.control.pause(
            scope, await name_of(scope, observer), lasting=seconds(0.5)
        )
        assert pause.until is not None
        assert pause.until == pause.created_at + seconds(0.5)
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
        assert await last_claim(observer) >= pause.until


async def test_what_is_not_paused_goes_on(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    other = item_controller(stage.work, kind="other")
    async with working(dsn, item_controller(stage.work), other) as client:
        await client.inform(Item("first"))
        await observer.until_state("first", "synced")
        await client.control.pause("kind", "item")
        await client.inform(Item("a"))
        await client.inform(type(other).object_class()("b"))
        await observer.until_state("b", "synced")
        await client.control.resume("kind", "item")
        await observer.until_state("a", "synced")
        await client.control.pause("namespace", "default")
        await client.inform(Item("c"))
        await client.inform(Item("d"), EU)
        await eventually(lambda: "d" in [item.key for item in stage.begun])
        assert (await observer.resource("c"))["state"] == "scheduled"


async def test_a_running_work_is_not_disturbed(dsn: str, observer: Observer) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        await client.control.pause("kind", "item")
        assert not await client.drained()
        stage.open.set()
        row = await observer.until_state("a", "synced")
        assert (row["term"], row["sync_count"]) == (1, 1)


async def test_a_pause_survives_the_restart_of_the_worker(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    controller = item_controller(stage.work)
    async with working(dsn, controller) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
        await client.control.pause("kind", "item", reason="a flood", actor="ann")
    async with working(dsn, controller) as client:
        await client.inform(Item("b"))
        await eventually(client.drained)
        assert (await observer.resource("b"))["state"] == "scheduled"
        (pause,) = await client.control.pauses()
        assert (pause.name, pause.reason, pause.actor) == ("item", "a flood", "ann")
        await client.control.resume("kind", "item")
        await observer.until_state("b", "synced")


async def test_a_worker_that_goes_on_under_another_id_stays_paused(
    dsn: str, observer: Observer
) -> None:
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work)) as client:
        before = await name_of("worker", observer)
        await client.control.pause("worker", before)
        await observer.do("update delta_worker set state = 'lost'")

        async def begun_anew() -> str | None:
            running = "select id::text from delta_worker where state = 'running'"
            return await observer.value(running)

        after = await eventually(begun_anew)
        assert after is not None and after != before
        assert [pause.name for pause in await client.control.pauses()] == [after]
        await client.inform(Item("a"))
        await eventually(client.drained)
        assert stage.begun == []
        await client.control.resume("worker", after)
        await observer.until_state("a", "synced")


@pytest.mark.parametrize("lasting", [None, timedelta(hours=1)], ids=["for good", "for a time"])
@scopes
async def test_a_worker_does_not_spin_on_what_is_paused(
    dsn: str, observer: Observer, scope: str, lasting: timedelta | None, asked: Asked
) -> None:
    stage = Stage(opened=True)
    poll = seconds(0.2)
    async with working(dsn, item_controller(stage.work), poll_interval=poll) as client:
        await client.inform(Item("first"))
        await observer.until_state("first", "synced")
        await client.control.pause(scope, await name_of(scope, observer), lasting=lasting)
        await client.inform_many(Item(f"item-{number}") for number in range(100))
        looked = len(asked.looks)
        await eventually(lambda: len(asked.looks) > looked + 3)  # it has followed the hint
        looked, claimed = len(asked.looks), len(asked.claims)
        await eventually(lambda: len(asked.looks) > looked + 4)
        assert asked.looks[looked + 4] - asked.looks[looked] > 3 * poll.total_seconds()
        assert len(asked.claims) == claimed
    assert stage.values == [0]


@pytest.mark.parametrize("scope", ["kind", "worker"])
async def test_a_paused_informer_begins_no_run(
    dsn: str, observer: Observer, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    answers: list[Any] = []
    claim_run = runs.claim_run

    async def claim(*arguments: Any, **options: Any) -> Any:
        answers.append(await claim_run(*arguments, **options))
        return answers[-1]

    monkeypatch.setattr(runs, "claim_run", claim)

    def inform(options: Any) -> list[Item]:
        listed.append("listed")
        return [Item("a")]

    stage = Stage(opened=True)
    controller = item_controller(stage.work, inform=inform)
    async with working(dsn, controller, **DEAF_TO_POLLS) as client, Client(dsn) as operator:
        name = await name_of(scope, observer)
        await operator.control.pause(scope, name)
        asked = len(answers)
        run = await operator.schedule_inform("item")
        await eventually(lambda: len(answers) > asked)
        assert (await client.inform_run(run.id)).state == "queued"
        assert (answers[-1], listed) == (None, [])
        await operator.control.resume(scope, name)
        await observer.until_all("synced", 1)
        assert listed == ["listed"]


async def test_an_inform_in_the_foreground_is_refused_while_its_kind_is_paused(dsn: str) -> None:
    controller = item_controller(Stage(opened=True).work, inform=lambda _: [])
    async with Client(dsn, quick_config(controller)) as client:
        await client.control.pause("kind", "item", reason="a flood", actor="ann")
        told = r"'item' is paused since .* by ann: a flood"
        with pytest.raises(StateConflict, match=told) as refused:
            await client.schedule_inform("item", run_foreground=True)
        assert refused.value.hint == "let it go on: delta resume kind item"
        assert await client.control.inform_runs() == []


async def test_a_drain_does_not_wait_for_what_is_paused_but_for_what_runs(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(3))
        await eventually(lambda: stage.running)
        await client.control.pause("kind", "item")
        assert not await client.drained()
        stage.open.set()
        await client.wait_until_drained()
        assert await observer.states() == {"scheduled": 2, "synced": 1}


async def test_a_paused_tick_does_not_run_until_it_is_resumed(dsn: str) -> None:
    async with Client(dsn, quick_config(item_controller(Stage().work))) as client:
        await client.control.pause("tick", "clean")  # before it has ever run
        assert await client.tick("clean") == "skipped"
        (row,) = [row for row in await client.ticks() if row.name == "clean"]
        assert (row.paused, row.last_skip_reason) == (True, "paused")
        await client.control.resume("tick", "clean")
        assert await client.tick("clean") == "success"


async def test_a_pause_again_replaces_reason_and_end(dsn: str, observer: Observer) -> None:
    await observer.do("insert into delta_namespace (name) values ('eu')")
    async with Client(dsn) as client:
        first = await client.control.pause(
            PauseScope.NAMESPACE, "eu", reason="one", actor="ann", lasting=seconds(60)
        )
        second = await client.control.pause("namespace", "eu", reason="two")
        assert second.created_at > first.created_at
        assert await client.control.pauses() == [
            Pause(PauseScope.NAMESPACE, "eu", "two", None, second.created_at, None)
        ]
        assert await client.control.resume("namespace", "eu") == second
        assert await client.control.pauses() == []


async def test_what_has_ended_by_itself_is_not_paused_and_goes_away(
    dsn: str, observer: Observer
) -> None:
    await observer.do("insert into delta_namespace (name) values ('eu'), ('us')")
    async with Client(dsn) as client:
        await client.control.pause("namespace", "eu", lasting=seconds(60))
        await observer.do("update delta_pause set until = now()")
        assert await client.control.pauses() == []
        with pytest.raises(NotFound, match="namespace 'eu' is not paused"):
            await client.control.resume("namespace", "eu")
        await client.control.pause("namespace", "us")
        assert await observer.rows("select name from delta_pause") == [("us",)]
        with pytest.raises(NotFound) as refused:
            await client.control.resume("namespace", "eu")
        assert refused.value.hint == "paused: us"


async def test_a_kind_that_only_has_resources_can_be_paused(dsn: str) -> None:
    async with Client(dsn) as client:
        await client.inform(Item("a"))
        await client.delete("item", "a")
        assert (await client.control.pause("kind", "item")).name == "item"


@pytest.mark.parametrize(
    ("scope", "name", "there"),
    [
        ("kind", "itme", "kinds: item, waiting"),
        ("namespace", "EU", "namespaces: default, eu"),
        ("worker", "07", "workers: 7"),
        ("worker", "8", "workers: 7"),
        ("worker", "seven", "workers: 7"),
        ("tick", "claen", "ticks: "),
    ],
)
async def test_what_is_not_there_cannot_be_paused(
    dsn: str, observer: Observer, scope: str, name: str, there: str
) -> None:
    await observer.do("insert into delta_namespace (name) values ('eu')")
    await observer.do(
        "insert into delta_worker (id, host, pid, version, kinds, capacity, state)"
        " overriding system value"
        " values (7, 'here', 1, '0', '{item}', 1, 'running'),"
        " (8, 'here', 2, '0', '{item}', 1, 'stopped')"
    )
    waiting = item_controller(Stage().work, kind="waiting")
    async with Client(dsn, quick_config(item_controller(Stage().work))) as client:
        async with Client(dsn) as other:
            await other.inform(type(waiting).object_class()("a"))
        with pytest.raises(NotFound, match=f"there is no {scope} '{name}'") as refused:
            await client.control.pause(scope, name)
        assert (refused.value.hint or "").startswith(there)
        assert await client.control.pauses() == []


async def test_the_pause_of_a_worker_that_has_stopped_is_told_no_more(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn) as client:
        async with working(dsn, item_controller(Stage().work)):
            worker = await name_of("worker", observer)
            await client.control.pause("worker", worker)
            assert [pause.name for pause in await client.control.pauses()] == [worker]
        assert await client.control.pauses() == []


BAD: dict[str, tuple[str, str, dict[str, Any]]] = {
    "scope must be one of kind, namespace, worker, tick, got 'lane'": ("lane", "eu", {}),
    "name .* holds a character": ("namespace", "e\0u", {}),
    "name must be text, got 7": ("worker", 7, {}),  # pyright: ignore[reportAssignmentType]
    "reason .* holds a character": ("namespace", "eu", {"reason": "\0"}),
    "reason must have at most 1000 characters": ("namespace", "eu", {"reason": "x" * 1001}),
    "actor .* holds a character": ("namespace", "eu", {"actor": "\ud800"}),
    "lasting must be longer than zero": ("namespace", "eu", {"lasting": seconds(0)}),
    "lasting must be a timedelta or None, got 5": ("namespace", "eu", {"lasting": 5}),
    "lasting .* got -1 day": ("namespace", "eu", {"lasting": timedelta(days=-1)}),
    "lasting .* at most 3650 days": ("namespace", "eu", {"lasting": timedelta(days=4_000)}),
}


@pytest.mark.parametrize("message", BAD)
async def test_bad_input_pauses_nothing(dsn: str, observer: Observer, message: str) -> None:
    await observer.do("insert into delta_namespace (name) values ('eu')")
    scope, name, options = BAD[message]
    async with Client(dsn) as client:
        with pytest.raises(ConfigError, match=message):
            await client.control.pause(scope, name, **options)
    assert await observer.value("select count(*) from delta_pause") == 0
