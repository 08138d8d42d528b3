"""Faults 1 to 13: what upstream loses, stalls or repeats when a process dies or is slow."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from delta_cli import Client, InformOptions, InformOpts, Resource, client_from_context
from delta_cli.engine.config import Config
from delta_cli.engine.database import Database
from delta_cli.engine.store import maintenance
from delta_cli.engine.ticks.rescue import rescue
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

HOUR = timedelta(hours=1)


async def no_work(resource: Resource[Any]) -> None:
    pass


async def rescue_now(client: Client) -> int:
    return await rescue(client.database, Config())


async def abandon(observer: Observer, object_id: str) -> None:
    """Make the resource look as its worker left it when it was killed."""
    await observer.do(
        "update delta_resource set state = 'pending', due_at = null, worker_id = 0,"
        " term = term + 1, attempt = attempt + 1, attempted_at = now(),"
        " lease_until = now() + interval '1 hour'"
        " where object_id = %s",
        object_id,
    )


async def test_01_more_works_than_connections_may_all_use_the_database(
    dsn: str, observer: Observer
) -> None:
    together = asyncio.Barrier(30)

    async def work(resource: Resource[Item]) -> None:
        await together.wait()
        await client_from_context().inform(Item(f"child of {resource.object_id}"))
        await together.wait()

    async def child(resource: Resource[Item]) -> None:
        pass

    async def parent_or_child(resource: Resource[Item]) -> None:
        await (child if "child" in resource.object_id else work)(resource)

    async with working(dsn, item_controller(parent_or_child, parallelism=60)) as client:
        await client.inform_many(Item(f"{number}") for number in range(30))
        await observer.until_all("synced", 60)


async def test_02_a_running_work_is_seen_by_others(dsn: str, observer: Observer) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        row = await observer.resource("a")
        assert (row["state"], row["attempt"], row["worker_id"] is None) == ("pending", 1, False)


async def test_02_an_attempt_whose_worker_died_has_counted(dsn: str, observer: Observer) -> None:
    attempts: list[int] = []

    async def work(resource: Resource[Item]) -> None:
        attempts.append(resource.attempt)

    async with Client(dsn, quick_config(item_controller(work))) as client:
        await client.inform(Item("a"))
        await abandon(observer, "a")
        await client.start()
        await observer.until_state("a", "synced")
    assert attempts == [2]


async def test_03_a_work_whose_worker_died_is_rescued_long_before_its_lease_ends(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn, quick_config(item_controller(no_work))) as client:
        await client.inform(Item("a"))
        await abandon(observer, "a")  # its lease has an hour to go
        assert await rescue_now(client) == 1
        row = await observer.resource("a")
        assert (row["state"], row["due_at"] is not None) == ("scheduled", True)


async def test_03_a_work_whose_worker_lives_is_not_rescued_however_long_it_takes(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work, work_timeout=seconds(0))) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        await observer.do("update delta_resource set attempted_at = now() - interval '1 day'")
        assert await rescue_now(client) == 0
        stage.open.set()
        await observer.until_state("a", "synced")
    assert len(stage.begun) == 1


async def test_04_an_inform_run_whose_worker_died_runs_again(dsn: str) -> None:
    reported = [Item("a")]
    controller = item_controller(no_work, inform=lambda options: reported)
    async with Client(dsn, quick_config(controller)) as client:
        run = await client.schedule_inform("item")
        async with client.database.connection() as connection:
            await connection.execute(
                "update delta_inform set state = 'running', worker_id = 0,"
                " lease_until = now() + interval '1 hour'"
            )
        await client.start()

        async def ended() -> bool:
            return (await client.inform_run(run.id)).state == "succeeded"

        await eventually(ended)
        assert (await client.get("item", "a")).state in ("scheduled", "pending", "synced")


async def test_04_a_run_that_is_asked_for_while_another_runs_comes_after_it(dsn: str) -> None:
    may_end, lists = asyncio.Event(), []

    async def inform(options: InformOptions) -> AsyncGenerator[Item]:
        lists.append(options.labels)
        await may_end.wait()
        yield Item("a")

    async with working(dsn, item_controller(no_work, inform=inform)) as client:
        first = await client.schedule_inform("item", InformOptions(labels={"run": "first"}))
        await eventually(lambda: lists)
        second = await client.schedule_inform("item", InformOptions(labels={"run": "second"}))
        assert (await client.inform_run(second.id)).state == "queued"
        may_end.set()

        async def both_ended() -> bool:
            runs = [await client.inform_run(run.id) for run in (first, second)]
            return [run.state for run in runs] == ["succeeded", "succeeded"]

        await eventually(both_ended)
    assert lists == [{"run": "first"}, {"run": "second"}]


async def test_05_an_inform_of_what_a_dead_worker_holds_is_worked_after_the_rescue(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn, quick_config(item_controller(no_work))) as client:
        await client.inform(Item("a", 1))
        await abandon(observer, "a")
        assert (await client.inform(Item("a", 2))).outcome == "updated"
        assert (await client.inform(Item("a", 2))).outcome == "unchanged"
        assert await rescue_now(client) == 1
        row = await observer.resource("a")
        assert (row["state"], row["object"]["value"], row["attempt"]) == ("scheduled", 2, 0)


@pytest.mark.parametrize("state", ["scheduled", "failed", "expired"])
async def test_06_what_is_to_be_worked_cannot_be_without_a_due_time(
    state: str, dsn: str, observer: Observer
) -> None:
    async with Client(dsn, quick_config(item_controller(no_work))) as client:
        await client.inform(Item("a"))
    with pytest.raises(psycopg.errors.CheckViolation, match="due_when_claimable"):
        await observer.do(
            "update delta_resource set state = %s::text::delta_resource_state, due_at = null,"
            " synced_at = now(), synced_generation = generation",
            state,
        )


async def test_06_what_is_being_worked_cannot_be_without_an_owner(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn, quick_config(item_controller(no_work))) as client:
        await client.inform(Item("a"))
    with pytest.raises(psycopg.errors.CheckViolation, match="lease_when_pending"):
        await observer.do("update delta_resource set state = 'pending', due_at = null")


async def test_06_there_is_a_way_out_of_every_state_that_has_not_ended(
    dsn: str, observer: Observer
) -> None:
    """Each of them, of a dead worker or of none, is worked without anybody's help."""
    async with Client(dsn) as client:
        await client.inform(Item("unknown"))  # no controller has registered its kind as yet
    async with Client(dsn, quick_config(item_controller(no_work))) as client:
        for state in ("scheduled", "failed", "expired", "pending"):
            await client.inform(Item(state))
        await observer.do(
            "update delta_resource set state = object_id::delta_resource_state,"
            " synced_at = now(), synced_generation = 1 where object_id in ('failed', 'expired')"
        )
        await abandon(observer, "pending")
        await client.start()
        await observer.until_all("synced", 5)


async def test_07_a_long_queue_is_not_taken_for_a_crash(dsn: str, observer: Observer) -> None:
    async with Client(dsn, quick_config(item_controller(no_work))) as client:
        await client.inform(Item("a"))
        await observer.do(
            "update delta_resource set created_at = now() - interval '1 day',"
            " attempted_at = now() - interval '1 day', due_at = now() - interval '1 day'"
        )
        before = await observer.resource("a")
        assert await rescue_now(client) == 0
        assert await observer.resource("a") == before


async def test_08_maintenance_neither_waits_for_a_held_row_nor_overwrites_it(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn, quick_config(item_controller(no_work))) as client:
        await client.inform_many([Item("pending"), Item("synced"), Item("deleted")])
    await abandon(observer, "pending")
    await observer.do(
        "update delta_resource set state = 'synced', due_at = null, synced_at = now(),"
        " synced_generation = 1, updated_at = now() - interval '1 day' where object_id = 'synced'"
    )
    await observer.do(
        "update delta_resource set state = 'deleted', due_at = null,"
        " updated_at = now() - interval '1 day' where object_id = 'deleted'"
    )
    await observer.do("update delta_namespace set expiry_ttl = '1 hour'")
    other = await Database(dsn).connect()
    async with observer.connection.transaction(force_rollback=True), other:
        await observer.rows("select from delta_resource for update")
        await other.execute("set statement_timeout = '2s'")
        assert await maintenance.rescue_resources(other, batch=10) == 0
        assert await maintenance.expire_resources(other, batch=10) == 0
        cleaned = maintenance.clean_resources(
            other, batch=10, synced=HOUR, degraded=HOUR, deleted=HOUR
        )
        assert await cleaned == 0


async def test_09_a_row_that_somebody_holds_is_not_missing(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    async with Client(dsn, quick_config(item_controller(stage.work))) as client:
        await client.inform(Item("a", 1))
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            await client.inform(Item("a", 2), connection=connection)
            await client.start()
            await client.inform(Item("b", 5))
            await observer.until_state("b", "synced")  # a claim has passed the row that is held
            await connection.rollback()
        await observer.until_state("a", "synced")
        assert stage.values == [5, 1]
        assert (await observer.resource("a"))["errors"] == []


async def test_09_a_row_that_is_held_when_its_work_ends_is_completed_later(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a", 1))
        await eventually(lambda: stage.running)
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            await client.inform(Item("a", 2), connection=connection)
            stage.open.set()
            await eventually(lambda: not stage.running)
            await client.inform(Item("b", 5))
            await eventually(lambda: 5 in stage.values)
            await connection.rollback()
        await observer.until_state("a", "synced")
    assert stage.values == [1, 5]


async def test_10_a_work_does_not_end_in_a_row_that_was_made_anew(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a", 1))
        await eventually(lambda: stage.running)
        await observer.do("delete from delta_resource")
        await client.inform(Item("a", 2))
        stage.open.set()
        row = await observer.until_state("a", "synced")
    assert (row["sync_count"], row["errors"], stage.values) == (1, [], [1, 2])


class Panic(BaseException):
    """What no `except Exception` stops."""


@pytest.mark.parametrize("raised", [Panic("boom"), SystemExit(3), asyncio.CancelledError()])
@pytest.mark.parametrize("in_thread", [False, True], ids=["async", "plain"])
async def test_11_a_panic_fails_the_resource_and_leaves_its_trace(
    dsn: str, observer: Observer, raised: BaseException, in_thread: bool
) -> None:
    async def work(resource: Resource[Item]) -> None:
        raise raised

    def plain(resource: Resource[Item]) -> None:
        raise raised

    twice = InformOpts(max_attempts=2)
    async with working(dsn, item_controller(plain if in_thread else work)) as client:
        await client.inform(Item("a"), twice)
        row = await observer.until_state("a", "degraded")
        await client.inform(Item("b"), twice)
        await observer.until_state("b", "degraded")  # the worker lives on
    assert [error["error"] for error in row["errors"]] == [type(raised).__name__] * 2
    assert "raise raised" in row["errors"][0]["trace"]
    assert await observer.events("object_failed") != []


async def test_11_a_work_that_ended_before_a_hard_stop_is_kept(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("a"))
        await eventually(lambda: stage.running)
        async with await psycopg.AsyncConnection.connect(dsn) as holder:
            await holder.execute("select from delta.delta_resource for update")
            stage.open.set()
            await eventually(lambda: not stage.running)
            stopping = asyncio.create_task(client.stop(hard=True))
            await eventually(lambda: asked_again(observer))
            assert not stopping.done()
        summary = await stopping
        assert summary is not None
        assert (summary.counts.synced, summary.returned) == (1, 0)
    row = await observer.resource("a")
    assert (row["state"], row["sync_count"], row["term"]) == ("synced", 1, 1)


async def asked_again(observer: Observer) -> bool:
    """Whether a completion was tried while its row was held, and found to be held."""
    return await observer.value(
        "select count(*) > 0 from pg_stat_activity"
        " where datname = current_database() and query like '%unnest(%claimed(id, term)%'"
        " and pid <> pg_backend_pid()"
    )


async def test_12_a_client_of_other_kinds_gives_lost_work_back_unharmed(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn, quick_config(item_controller(no_work))) as client:
        await client.inform(Item("a"))
    await abandon(observer, "a")
    async with working(dsn, item_controller(no_work, kind="other")):
        row = await observer.until_state("a", "scheduled")
    assert (row["due_at"] is not None, row["attempt"]) == (True, 1)


async def test_13_an_inform_of_a_kind_without_controller_waits_for_one(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn) as client:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            await client.inform(Item("a"), connection=connection)
        row = await observer.resource("a")
        assert (row["state"], row["due_at"]) == ("unknown", None)
    async with working(dsn, item_controller(no_work)):
        await observer.until_state("a", "synced")


async def test_13_an_inform_that_commits_after_its_controller_came_is_adopted_too(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn) as client, await psycopg.AsyncConnection.connect(dsn) as connection:
        await client.inform(Item("a"), connection=connection)
        async with working(dsn, item_controller(no_work)):
            await connection.commit()
            await observer.until_state("a", "synced")


async def test_13_a_run_of_a_kind_that_nobody_controls_is_refused(dsn: str) -> None:
    async with Client(dsn) as client:
        with pytest.raises(Exception, match="nobody"):
            await client.schedule_inform("nobody", InformOptions())
