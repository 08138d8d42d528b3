"""Through PgBouncer, whose transaction mode gives each transaction another server session."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from delta_cli import Client, Config, Event, NamespaceConfig, ResourceState, SyncClient
from delta_cli.engine.database import LastingConnection
from delta_cli.engine.model.event import EventCategory
from delta_cli.engine.schema import migrate
from delta_cli.engine.states import landing_after_success
from delta_cli.engine.store import work
from delta_cli.engine.store.work import Outcome
from tests.support.engine import Item, item_controller, quick_config
from tests.support.fleet import RESOURCES, Hand
from tests.support.observing import Observer
from tests.support.pooler import needs_pgbouncer, pgbouncer
from tests.support.waiting import eventually

pytestmark = needs_pgbouncer


@pytest.fixture
async def pooled(dsn: str, place: Path, worker_id: str) -> AsyncGenerator[str]:
    async with pgbouncer(place / f"pooler-{worker_id}", dsn) as pooled:
        yield pooled


async def nothing(_: Any) -> None:
    """A work."""


async def test_a_backlog_is_drained_by_two_workers(pooled: str, observer: Observer) -> None:
    def config() -> Config:
        return quick_config(item_controller(nothing, parallelism=50))

    async with Client(pooled, config()) as one, Client(pooled, config()) as other:
        await one.inform_many(Item(f"item-{number}") for number in range(2_000))
        await one.start()
        await other.start()
        await eventually(one.drained, within=60)
        assert await observer.states() == {"synced": 2_000}
        assert await observer.value("select count(*) from delta_event") == 2_000


async def test_a_new_object_is_worked_and_its_event_seen_by_polling(pooled: str) -> None:
    async with Client(pooled, quick_config(item_controller(nothing))) as client:
        await client.start()
        async with client.subscribe("object_synced") as events:
            await client.inform(Item("late"))
            event = await anext(events)
        assert isinstance(event, Event)
        assert event.object_id == "late"
        assert await client.status()


async def test_nothing_is_left_in_the_server_sessions_of_others(pooled: str) -> None:
    async with Client(pooled, quick_config(item_controller(nothing))) as client:
        await client.inform_many(Item(f"item-{number}") for number in range(100))
        await client.start()
        await eventually(client.drained, within=30)
        for _ in range(20):
            connection = await psycopg.AsyncConnection.connect(pooled, autocommit=True)
            async with connection:
                cursor = await connection.execute(
                    "select current_setting('search_path'), current_setting('enable_hashjoin'),"
                    " (select count(*) from pg_prepared_statements)"
                )
                assert await cursor.fetchone() == ('"$user", public', "on", 0)


async def test_a_statement_that_fails_leaves_its_connection_usable(pooled: str) -> None:
    async with Client(pooled) as client, client.database.connection() as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await connection.execute("select 1 / 0")
        cursor = await connection.execute("select count(*) from delta_resource")
        assert await cursor.fetchone() == (0,)


async def test_completions_go_around_rows_that_somebody_holds(
    pooled: str, dsn: str, observer: Observer
) -> None:
    await observer.do("insert into delta_namespace (name) values ('default')")
    await observer.rows(RESOURCES + " returning id", "default", 3)
    async with Client(pooled) as client, await psycopg.AsyncConnection.connect(dsn) as holder:
        database = client.database
        hand = await Hand.join(database)
        lasting = LastingConnection(database)
        async with lasting.use() as connection:
            await hand.claim(connection)
            outcomes = [
                Outcome(claim, landing_after_success(), EventCategory.OBJECT_SYNCED, 1.0)
                for claim in hand.working
            ]
            held = hand.working[1]
            await holder.execute(
                "select from delta.delta_resource where id = %s for update", [held.id]
            )
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await work.complete(connection, outcomes)
            assert len(await work.complete_around(connection, outcomes)) == 2
            assert await work.still_held(connection, [held]) == {held.id}
            await holder.rollback()
            assert set(await work.complete(connection, outcomes)) == {held.id}
        await lasting.close()
        for _ in range(20):
            other = await psycopg.AsyncConnection.connect(pooled, autocommit=True)
            async with other:
                cursor = await other.execute(
                    "select current_setting('lock_timeout'), current_setting('enable_seqscan')"
                )
                assert await cursor.fetchone() == ("0", "on")
    assert len(await observer.events()) == 3


async def test_a_transaction_is_one(pooled: str, observer: Observer) -> None:
    async with Client(pooled) as client:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await _insert_and_fail(client)
        async with client.database.transaction() as connection:
            await connection.execute("insert into delta_namespace (name) values ('kept')")
        assert await observer.rows("select name from delta_namespace") == [("kept",)]


async def _insert_and_fail(client: Client) -> None:
    async with client.database.transaction() as connection:
        await connection.execute("insert into delta_namespace (name) values ('gone')")
        await connection.execute("select 1 / 0")


async def test_another_schema_is_found(empty_dsn: str, place: Path, worker_id: str) -> None:
    async with (
        pgbouncer(place / f"pooler-{worker_id}", empty_dsn) as pooled,
        await psycopg.AsyncConnection.connect(pooled) as connection,
    ):
        await migrate(connection, schema="other")
        config = Config(schema="other", namespaces={"acme": NamespaceConfig(max_workers=3)})
        async with Client(pooled, config) as client:
            result = await client.inform(Item("one"))
            assert result.row.state is ResourceState.UNKNOWN


def test_a_client_without_an_event_loop_informs(dsn: str, place: Path, worker_id: str) -> None:
    async def through() -> None:
        async with pgbouncer(place / f"pooler-{worker_id}", dsn) as pooled:
            with SyncClient(pooled) as client:
                assert client.inform(Item("one")).outcome == "created"
                assert client.inform(Item("one")).outcome == "unchanged"
                assert client.inform_many([Item("two"), Item("three")]).created == 2

    asyncio.run(through())
