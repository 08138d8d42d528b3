from datetime import timedelta
from typing import Any

import pytest

from delta_cli import Client, NamespaceConfig, SkipReason, TickOutcome
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

HOUR = timedelta(hours=1)
#: Nothing happens by itself.
STILL: dict[str, Any] = {
    "maintenance_interval": HOUR,
    "rescue_interval": HOUR,
    "cleaner_interval": HOUR,
    "poll_interval": HOUR,
}


async def test_a_pass_wakes_the_workers_of_other_processes(dsn: str, observer: Observer) -> None:
    controller = item_controller(Stage(opened=True).work)
    lasting = {"default": NamespaceConfig(expiry_ttl=HOUR)}
    async with working(dsn, controller, namespaces=lasting, **STILL) as worker:
        await worker.inform(Item("a"))
        await observer.until_state("a", "synced")
        # It has looked for work, found none, and sleeps for an hour.
        runtime = worker._worker.runtime
        assert runtime is not None
        await eventually(runtime.worker.idle.is_set)
        await observer.do("update delta_resource set updated_at = now() - interval '2 hours'")
        async with Client(dsn) as elsewhere:
            assert await elsewhere.tick("expire") is TickOutcome.SUCCESS
            (row,) = [row for row in await elsewhere.ticks() if row.name == "expire"]
            assert (row.last_count, row.count_key) == (1, "expired")
            await eventually(lambda: synced_twice(observer))


async def synced_twice(observer: Observer) -> bool:
    return (await observer.resource("a"))["sync_count"] == 2


async def test_clean_reads_the_settings_of_namespaces_afresh(dsn: str, observer: Observer) -> None:
    controller = item_controller(Stage(opened=True).work)
    async with working(dsn, controller, **STILL) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")
        await observer.do("update delta_resource set updated_at = now() - interval '2 hours'")
        assert await client.tick("clean") is TickOutcome.SUCCESS
        assert await observer.states() == {"synced": 1}
        await observer.do("update delta_namespace set synced_retention = '1 hour'")
        assert await client.tick("clean") is TickOutcome.SUCCESS
        assert await observer.states() == {}


async def test_clean_removes_pauses_that_have_ended(dsn: str, observer: Observer) -> None:
    await observer.do(
        "insert into delta_pause (scope, name, until) values"
        " ('kind', 'ended', now() - interval '1 second'), ('kind', 'lasting', null),"
        " ('tick', 'to come', now() + interval '1 hour'), ('worker', '17', null)"
    )
    async with Client(dsn) as client:
        assert await client.tick("clean") is TickOutcome.SUCCESS
        rows = await observer.rows("select name from delta_pause order by name")
        assert rows == [("lasting",), ("to come",)]


async def test_clean_removes_cancels_of_claims_that_are_gone(dsn: str, observer: Observer) -> None:
    stage = Stage()
    # Of a worker that will not look: its cancels are taken by nobody.
    async with working(dsn, item_controller(stage.work, parallelism=3), **STILL) as client:
        await client.inform_many([Item("pending"), Item("moved on"), Item("ended")])
        await eventually(lambda: stage.running == 3)
        await observer.do(
            "insert into delta_cancel (resource_id, term, worker_id, actor)"
            " select id, term - (object_id = 'moved on')::int, 0, 'me' from delta_resource"
        )
        await observer.do(
            "update delta_resource set state = 'scheduled', lease_until = null, worker_id = null,"
            " due_at = 'infinity' where object_id = 'ended'"
        )
        assert await client.tick("clean") is TickOutcome.SUCCESS
        rows = await observer.rows(
            "select object_id from delta_cancel join delta_resource on id = resource_id"
        )
        assert rows == [("pending",)]


async def test_a_worker_that_may_not_judge_leaves_the_rescue_to_others(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(dsn, item_controller(Stage().work)) as client:
        assert client._worker.runtime is not None
        monkeypatch.setattr("delta_cli.engine.loops.base._is_younger", lambda *_: False)
        assert await client.tick("rescue") is TickOutcome.SKIPPED
        row = await eventually(lambda: rescued(client))
        assert row.last_skip_reason is SkipReason.SWITCHED_OFF
    async with Client(dsn, quick_config(rescue_interval=seconds(0.1))) as operator:
        assert await operator.tick("rescue") is TickOutcome.SUCCESS


async def rescued(client: Client) -> Any:
    rows = [row for row in await client.ticks() if row.name == "rescue" and row.last_skip]
    return next(iter(rows), None)
