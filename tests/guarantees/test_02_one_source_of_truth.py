from typing import Any

from psycopg import sql

from delta_cli import Client
from tests.support.engine import Constant, Item, Stage, item_controller, quick_config, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

RESOURCE, EVENT = "delta_resource", "delta_event"


async def contents(observer: Observer) -> dict[str, Any]:
    """A digest of every table of Delta's schema."""
    tables = await observer.rows("select tablename from pg_tables where schemaname = 'delta'")
    digests: dict[str, Any] = {}
    for (table,) in tables:
        query = sql.SQL("select md5(string_agg(t::text, '|' order by t::text)) from {} as t")
        cursor = await observer.connection.execute(query.format(sql.Identifier(table)))
        digests[table] = await cursor.fetchone()
    return digests


class Changes:
    """Which tables have changed since it was last asked."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._before: dict[str, Any] = {}

    async def tables(self) -> set[str]:
        after = await contents(self._observer)
        changed = {name for name in after if after[name] != self._before.get(name)}
        self._before = after
        return changed


async def test_an_inform_and_each_repair_change_the_resource_and_the_log_only(
    dsn: str, observer: Observer
) -> None:
    changes = Changes(observer)
    async with Client(dsn, quick_config(item_controller(Stage().work))) as client:
        await client.inform(Item("first"))
        await changes.tables()
        await client.inform(Item("a"))
        assert await changes.tables() == {RESOURCE}
        await client.inform(Item("a", 1))
        assert await changes.tables() == {RESOURCE}
        await client.inform(Item("a", 1))
        assert await changes.tables() == set()
        await client.retry("item", "a")
        assert await changes.tables() == {RESOURCE, EVENT}
        await client.delete("item", "a")
        assert await changes.tables() == {RESOURCE, EVENT}


async def test_claims_retries_and_completions_change_the_resource_and_the_log_only(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()

    async def fail_once(resource: Any) -> None:
        await stage.work(resource)
        if len(stage.begun) == 1:
            raise ValueError("no")

    # The worker's own row changes with its heartbeats, those of ticks with the clock.
    by_time = {"delta_worker", "delta_tick", "delta_tick_run"}
    async with working(dsn, item_controller(fail_once, backoff=Constant())) as client:
        await client.inform(Item("first"))
        await eventually(lambda: stage.running)
        changes = Changes(observer)
        await changes.tables()
        stage.open.set()
        await observer.until_state("first", "synced")
        await client.invalidate("item", "first")
        await observer.until_state("first", "synced")
        assert await changes.tables() - by_time == {RESOURCE, EVENT}
        assert len(stage.begun) == 3


async def test_a_row_is_all_that_a_worker_needs(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    async with working(dsn, item_controller(stage.work)) as client:
        await client.inform(Item("pattern", 7))
        await observer.until_state("pattern", "synced")
        await observer.do(
            "insert into delta_resource"
            " (namespace, kind, object_id, state, max_attempts, due_at, object, hash)"
            " select namespace, kind, 'copy', 'scheduled', 3, now(), object, hash"
            " from delta_resource"
        )
        await observer.until_state("copy", "synced")
        assert stage.values == [7, 7]


async def test_nothing_works_a_row_that_is_gone(dsn: str, observer: Observer) -> None:
    stage = Stage(opened=True)
    async with Client(dsn, quick_config(item_controller(stage.work))) as client:
        await client.inform_many([Item("gone"), Item("there")])
        await observer.do("delete from delta_resource where object_id = 'gone'")
        await client.start()
        await client.wait_until_drained()
        assert [item.key for item in stage.begun] == ["there"]
