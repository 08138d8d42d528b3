"""What a caller gets from a pool whose idle connections are dead, as all are after a failover."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack

import psycopg
import pytest

from delta_cli import Client, ConnectionFailed, SyncClient
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.embedded import EmbeddedServer
from tests.support.engine import Item
from tests.support.observing import Observer

END_SESSIONS = (
    "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
    " where datname = current_database() and pid <> pg_backend_pid()"
    " and starts_with(application_name, 'delta')"
)
#: One rest of psycopg_pool's own is a second, and each is twice the last.
AT_ONCE_S = 2.0


async def test_the_first_call_after_a_failover_meets_no_dead_connection(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn) as client:
        async with AsyncExitStack() as all_at_once:
            for _ in range(10):
                await all_at_once.enter_async_context(client.database.connection())
        assert await observer.do(END_SESSIONS) == 10
        began = time.monotonic()
        assert (await client.inform(Item("a"))).outcome == "created"
        assert time.monotonic() - began < AT_ONCE_S


async def test_an_outage_is_told_at_once_and_so_is_its_end(own_server: EmbeddedServer) -> None:
    async with Client(own_server.dsn) as client:
        await client.inform(Item("a"))
        await asyncio.to_thread(own_server.stop, force=True)
        for _ in range(3):  # the pool has none left after the first
            began = time.monotonic()
            with pytest.raises(ConnectionFailed):
                await client.inform(Item("a"))
            assert time.monotonic() - began < AT_ONCE_S
        await asyncio.to_thread(own_server.join)
        assert (await client.inform(Item("b"))).outcome == "created"


async def test_of_many_who_wait_one_asks_whether_the_server_is_there(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    connect = Database.connect

    async def counted(self: Database) -> object:
        nonlocal asked
        asked += 1
        return await connect(self)

    async with Client(dsn) as client:
        async with client.database.connection():
            pass
        await observer.do(END_SESSIONS)
        monkeypatch.setattr(Database, "connect", counted)
        await asyncio.gather(*(client.inform(Item(f"{number}")) for number in range(100)))
    assert asked == 1


async def test_so_it_is_with_a_sync_client(dsn: str, observer: Observer) -> None:
    with SyncClient(dsn) as client:
        with ExitStack() as all_at_once:
            for _ in range(10):
                all_at_once.enter_context(client._connection())
        assert await observer.do(END_SESSIONS) == 10
        began = time.monotonic()
        assert (await asyncio.to_thread(client.inform, Item("a"))).outcome == "created"
        assert time.monotonic() - began < AT_ONCE_S


async def test_a_call_that_is_cancelled_while_its_connection_is_proved_leaves_the_pool_whole(
    dsn: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    proving = asyncio.Event()

    async def never_proved(self: Database, connection: Connection) -> None:
        proving.set()
        await connection.execute("select pg_sleep(600)")

    database = Database(dsn, max_connections=1)
    await database.open()
    with monkeypatch.context() as patch:
        patch.setattr(Database, "_prove", never_proved)
        taking = asyncio.create_task(database.connection().__aenter__())
        await proving.wait()
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
    async with database.connection() as connection:
        await connection.execute("select 1")
    await database.close()
    # A worker that ends cancels its loops: psycopg's warnings would be on the terminal each time.
    assert caplog.messages == []


async def test_connections_that_are_all_born_dead_are_no_busy_loop_and_told_in_time(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proved = 0

    async def dead(self: Database, connection: object) -> None:
        nonlocal proved
        proved += 1
        raise psycopg.OperationalError("server login has been failing")

    async with Client(dsn) as client:
        client.database._pool.timeout = 1.0
        monkeypatch.setattr(Database, "_prove", dead)
        with pytest.raises(ConnectionFailed, match=r"after 1\.00 sec"):
            await client.status()
        assert 1 < proved <= 10 + 1 / 0.1
        monkeypatch.undo()
        client.database._pool.timeout = 60.0
        await client.status()


def test_threads_that_take_connections_at_once_after_a_failover_all_get_living_ones(
    dsn: str,
) -> None:
    with SyncClient(dsn) as client, ThreadPoolExecutor(16) as threads:
        for value, outcome in enumerate(("created", "updated")):
            items = [Item(str(number), value) for number in range(50)]
            results = threads.map(client.inform, items)
            assert {result.outcome for result in results} == {outcome}
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(END_SESSIONS)
