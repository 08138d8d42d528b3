"""What the database has done although nobody heard of it, or was heard of too late."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from delta_cli import Client, InformOptions, Resource
from delta_cli.engine import runtime
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.loops import informer
from delta_cli.engine.store import cancels, work
from tests.support.engine import Constant, Item, Stage, item_controller, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

LOSE = "update delta_worker set state = 'lost', stopped_at = now() where id = %s"
ONCE = Constant(seconds(3_600))
LATER: dict[str, Any] = {"rescue_interval": seconds(60)}


def lost() -> psycopg.OperationalError:
    return psycopg.OperationalError("server closed the connection unexpectedly")


async def running(client: Client) -> list[int]:
    return [one.id for one in await client.control.workers() if one.state == "running"]


@pytest.mark.parametrize("step", ["asked", "forget"])
async def test_a_work_is_cancelled_once_whatever_answer_is_lost(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    real, losses, cancelled = getattr(cancels, step), [1, 2], list[str]()

    async def break_off(*given: Any) -> Any:
        answer = [] if step == "forget" else await real(*given)
        if losses and (answer or step == "forget"):
            losses.pop()
            raise lost()
        return answer or await real(*given)

    async def work_until_cancelled(resource: Resource[Item]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(resource.object.key)
            await eventually(lambda: not losses)  # it cleans up meanwhile
            raise

    monkeypatch.setattr(cancels, step, break_off)
    async with working(dsn, item_controller(work_until_cancelled, backoff=ONCE)) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "pending")
        await client.control.cancel("item", "a", actor="ann")
        row = await observer.until_state("a", "failed")
        assert row["errors"][0]["message"] == "cancelled by ann"
        assert cancelled == ["a"]


async def test_a_claim_whose_answer_comes_after_its_worker_was_given_up_is_not_worked(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made, may_hear = work.claim, asyncio.Event(), asyncio.Event()

    async def claim(*given: Any, **named: Any) -> Any:
        claimed = await real(*given, **named)
        if claimed and not made.is_set():
            made.set()
            await may_hear.wait()
        return claimed

    monkeypatch.setattr(work, "claim", claim)
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"))
        await made.wait()
        (before,) = await running(client)
        async with working(dsn, item_controller(stage.work)) as heir:
            await observer.do(LOSE, before)

            async def goes_on_anew() -> bool:
                now = await running(heir)
                return len(now) == 2 and before not in now

            await eventually(lambda: stage.running == 1)
            await eventually(goes_on_anew)
            may_hear.set()
            await client.inform(Item("b"))
            await eventually(lambda: len(stage.begun) == 2)
            stage.open.set()
            await observer.until_all("synced", 2)
    assert sorted(item.key for item in stage.begun) == ["a", "b"]


async def test_a_claim_that_a_drain_cuts_off_is_given_back(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = work.claim, asyncio.Event()

    async def claim(*given: Any, **named: Any) -> Any:
        claimed = await real(*given, **named)
        if claimed:
            made.set()
            await asyncio.Event().wait()
        return claimed

    monkeypatch.setattr(work, "claim", claim)
    monkeypatch.setattr(runtime, "_CLAIM_TIMEOUT_S", 2.0)
    async with working(dsn, item_controller(Stage().work), **LATER) as client:
        await client.inform(Item("a"))
        await made.wait()
        await client.stop()
        row = await observer.until_state("a", "scheduled")
        assert (row["attempt"], row["errors"]) == (0, [])


async def test_a_worker_stays_paused_whose_new_registration_was_not_heard_of(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, losses = Database.transaction, [1]

    @contextlib.asynccontextmanager
    async def transaction(database: Database) -> AsyncIterator[Connection]:
        async with real(database) as connection:
            yield connection
            rows = await (await connection.execute("select from delta_worker")).fetchall()
        if losses and len(rows) == 2:
            losses.pop()
            raise lost()

    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work), **LATER) as client:
        (before,) = await running(client)
        await client.control.pause("worker", str(before))
        await client.inform(Item("a"))
        monkeypatch.setattr(Database, "transaction", transaction)
        await observer.do(LOSE, before)

        async def has_moved_on() -> bool:
            ids = await observer.rows("select id::text from delta_worker order by id")
            paused = [one.name for one in await client.control.pauses()]
            return len(ids) == 3 and paused == [ids[-1][0]]

        await eventually(has_moved_on)
        await eventually(client.drained)
        assert stage.begun == []


async def test_an_informer_that_is_silent_for_long_keeps_its_run_as_long_as_that_is_its_own(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(informer, "_KEEP_INTERVAL_S", 0.05)
    began, ended = asyncio.Event(), asyncio.Event()

    async def inform(options: InformOptions) -> AsyncIterator[Item]:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        yield Item("never")

    lease = "select lease_until from delta_inform"
    controller = item_controller(Stage().work, inform=inform)
    async with working(dsn, controller, controller_inform_timeout=None) as client:
        await client.schedule_inform("item")
        await began.wait()
        before = await observer.value(lease)

        async def is_prolonged() -> bool:
            return await observer.value(lease) > before

        await eventually(is_prolonged)
        assert not ended.is_set()
        await observer.do("update delta_inform set worker_id = -1")
        await asyncio.wait_for(ended.wait(), 30)
