"""Subscribers whose server goes away, and whose connections break, while writers go on."""

import asyncio
import logging
from typing import Any

import psycopg
import pytest

from delta_cli import Client, Event, Subscription
from delta_cli.engine.embedded import EmbeddedServer
from tests.support.engine import Item, quick_config
from tests.support.events import log_events
from tests.support.observing import Observer
from tests.support.waiting import eventually


class Reader:
    """Keeps the ids that a subscription hands out."""

    def __init__(self, subscription: Subscription) -> None:
        self.seen: list[int | Any] = []
        self._subscription = subscription
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async with self._subscription as events:
            async for event in events:
                self.seen.append(event.id if isinstance(event, Event) else event)

    async def until(self, count: int) -> None:
        await eventually(lambda: len(self.seen) >= count, within=60)

    async def close(self) -> None:
        await self._subscription.aclose()
        await self._reading


async def log_on(dsn: str, count: int) -> None:
    observer = await Observer.connect(dsn)
    await log_events(observer, count)
    await observer.connection.close()


@pytest.mark.parametrize("poll_only", [False, True], ids=["listening", "polling"])
async def test_a_restart_of_the_server_costs_subscribers_no_event(
    own_server: EmbeddedServer, caplog: pytest.LogCaptureFixture, *, poll_only: bool
) -> None:
    dsn = own_server.dsn
    async with Client(dsn, quick_config(poll_only=poll_only)) as client:
        readers = [Reader(client.subscribe(after=0)) for _ in range(5)]
        readers.append(Reader(client.subscribe(after=0, name="audit")))
        await log_on(dsn, 2_500)
        for _ in range(2):
            await asyncio.to_thread(own_server.restart)
            await log_on(dsn, 10)
        for reader in readers:
            await reader.until(2_520)
            # The sequence of ids skips what the server had reserved when it ended.
            assert reader.seen[:2_500] == list(range(1, 2_501))
            assert reader.seen == readers[0].seen
            assert len(set(reader.seen)) == 2_520
        said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
        # Who only polls may not have looked meanwhile.
        assert poll_only or "listener lost" in said
        for reader in readers:
            await reader.close()
    observer = await Observer.connect(dsn)
    newest = await observer.value("select max(id) from delta_event")
    assert await observer.value("select position from delta_subscription") == newest
    await observer.connection.close()


async def test_connections_that_break_again_and_again_cost_no_event(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn, quick_config()) as client:
        readers = [Reader(client.subscribe(after=0)) for _ in range(10)]
        for part in range(1, 6):
            await log_events(observer, 1_500)
            await eventually(lambda part=part: len(readers[0].seen) > 1_500 * part - 1_400)
            await break_all_but(dsn, observer)
        for reader in readers:
            await reader.until(7_500)
            assert reader.seen == list(range(1, 7_501))
            await reader.close()


async def break_all_but(dsn: str, observer: Observer) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> all(%s)",
            [[connection.info.backend_pid, observer.connection.info.backend_pid]],
        )


async def test_a_subscription_is_closed_soon_although_the_server_is_away(
    own_server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(own_server.dsn, quick_config()) as client:
        reader = Reader(client.subscribe(after=0, name="audit"))
        await log_on(own_server.dsn, 10)
        await reader.until(10)
        await asyncio.to_thread(own_server.stop, force=True)
        reader._subscription._cursor.handled = 10  # pyright: ignore[reportOptionalMemberAccess]
        async with asyncio.timeout(20):
            await reader.close()
    own_server.join()
    async with Client(own_server.dsn) as client, client.subscribe(name="audit") as events:
        assert events.position is not None
        # Handed out again, rather than lost.
        assert events.position <= 10


async def test_a_wait_goes_on_over_a_restart(own_server: EmbeddedServer) -> None:
    async with Client(own_server.dsn, quick_config()) as client:
        await client.inform(Item("item-1"))
        waiting = asyncio.create_task(client.wait_for("item", "item-1"))
        (subscription,) = await eventually(lambda: list(client._log.subscriptions))
        await eventually(lambda: subscription.position is not None)
        await asyncio.to_thread(own_server.restart)
        await log_on(own_server.dsn, 1)
        async with asyncio.timeout(60):
            await waiting
