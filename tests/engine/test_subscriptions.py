"""How a subscription begins, what it holds, and what it lets go."""

import asyncio
import gc
import os
import signal
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, LiteralString

import pytest

from delta_cli import Client, ConfigError, DeltaError, EventGap, Subscription
from delta_cli.engine.cancelling import cancel_all
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.hints import EVENT
from delta_cli.engine.listener import _ECHO_INTERVAL, Listener
from delta_cli.engine.store import events as store
from delta_cli.engine.store.events import EventFilter
from tests.support.engine import quick_config
from tests.support.events import cut_log, log_events, told
from tests.support.observing import Observer
from tests.support.waiting import eventually


async def read_all(client: Client, **where: Any) -> list[int | EventGap]:
    async with client.subscribe(follow=False, **where) as events:
        return told([event async for event in events])


async def take(events: Subscription, count: int) -> list[int | EventGap]:
    async with asyncio.timeout(30):
        return told([await anext(events) for _ in range(count)])


def listener_of(client: Client) -> Listener:
    listener = client._session.listener(EVENT)
    assert listener is not None
    return listener


# Where it begins


async def test_it_begins_now_at_an_id_or_at_the_beginning(dsn: str, observer: Observer) -> None:
    await log_events(observer, 5)
    async with Client(dsn) as client:
        assert await read_all(client) == []
        assert await read_all(client, after=3) == [4, 5]
        assert await read_all(client, after=0) == [1, 2, 3, 4, 5]
        assert await read_all(client, after=99) == []


async def test_from_now_is_when_it_is_entered_and_else_when_an_event_is_asked_for(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn) as client, client.subscribe() as entered:
        asked = client.subscribe(follow=False)
        await log_events(observer, 2)
        assert await take(entered, 2) == [1, 2]
        assert told([event async for event in asked]) == []


async def test_it_begins_at_a_time_without_missing_what_happened_since(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 40)
    await observer.do("delete from delta_event where id in (7, 8, 9, 21)")
    await observer.do(
        "update delta_event set at = '2026-01-01Z'::timestamptz + id * interval '1 s'"
    )
    async with Client(dsn) as client:
        for number in range(42):
            at = await observer.value(
                "select '2026-01-01Z'::timestamptz + %s * interval '1 s'", number
            )
            expected = await observer.rows("select id from delta_event where at >= %s", at)
            assert await read_all(client, after=at) == sorted(one for (one,) in expected)


async def test_a_time_is_found_without_reading_the_log(dsn: str, observer: Observer) -> None:
    await log_events(observer, 50_000)
    await observer.do(
        "update delta_event set at = '2026-01-01Z'::timestamptz + id * interval '1 s'"
    )
    at = await observer.value("select at from delta_event where id = 40000")
    await observer.connection.execute("vacuum delta_event")
    async with Client(dsn) as client, client.database.connection() as connection:
        before = await blocks_read(connection)
        assert await store.id_before(connection, at) == 39_999
        assert await blocks_read(connection) - before < 300  # the table has 1,000 and its index 140


async def test_a_page_is_read_without_what_lies_beyond_although_the_log_has_no_statistics(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 50_000)
    async with Client(dsn) as client, client.database.connection() as connection:
        before = await blocks_read(connection)
        page = await store.page(connection, EventFilter(), after_id=100, limit=1_000)
        assert [event.id for event in page.events] == list(range(101, 1_101))
        assert await blocks_read(connection) - before < 300  # the table has 1,000


async def test_so_it_is_by_a_reader_who_has_read_while_the_log_was_small(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 5)
    await observer.connection.execute("analyze delta_event")
    async with Client(dsn) as client, client.database.connection() as connection:
        for _ in range(6):  # psycopg prepares what it is given often
            await store.page(connection, EventFilter(), after_id=0, limit=1_000)
            await store.bounds(connection)
            await store.timeline(connection, 1, limit=5)
        await log_events(observer, 50_000)
        before = await blocks_read(connection)
        await store.page(connection, EventFilter(), after_id=100, limit=1_000)
        await store.bounds(connection)
        assert await blocks_read(connection) - before < 300
        query = "select count(*) from pg_prepared_statements where statement like '%delta_event%'"
        assert await (await connection.execute(query)).fetchone() == (0,)


async def test_a_rare_kind_is_found_beyond_all_that_is_of_no_interest(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 30_000)
    await log_events(observer, 2, kind="rare")
    await observer.do("select setval('delta_event_id_seq', 90000000)")
    await log_events(observer, 3, kind="rare")
    async with Client(dsn) as client:
        rare = [30_001, 30_002, 90_000_001, 90_000_002, 90_000_003]
        assert await read_all(client, after=0, kinds=["rare"]) == rare


async def blocks_read(connection: Any) -> int:
    await connection.execute("select pg_stat_force_next_flush()")
    row = await (
        await connection.execute(
            "select heap_blks_read + heap_blks_hit from pg_statio_user_tables"
            " where relname = 'delta_event'"
        )
    ).fetchone()
    return row[0]


async def test_who_begins_at_the_beginning_is_told_what_retention_has_cut(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 3)
    await observer.do("update delta_event set at = now() - interval '4 days'")
    await log_events(observer, 2)
    async with Client(dsn) as client:
        await client.tick("clean")
        assert await read_all(client, after=0) == [EventGap(3), 4, 5]
        assert await read_all(client, after=1) == [EventGap(2), 4, 5]
        await observer.do("update delta_event set at = now() - interval '4 days'")
        await client.tick("clean")
        assert await read_all(client, after=0) == [EventGap(5)]
        assert await read_all(client, after=3) == [EventGap(2)]
        assert await read_all(client, after=5) == []


async def test_ids_that_writers_left_out_before_the_first_event_are_no_gap(
    dsn: str, observer: Observer
) -> None:
    await observer.do("select setval('delta_event_id_seq', 7)")
    await log_events(observer, 2)
    async with Client(dsn) as client:
        assert await read_all(client, after=0) == [8, 9]


async def test_from_now_on_a_log_that_retention_has_emptied_begins_at_the_next_event(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 5)
    await cut_log(observer, 5)
    async with Client(dsn) as client, client.subscribe() as events:
        assert events.position == 5
        await log_events(observer, 3)
        assert await take(events, 3) == [6, 7, 8]
        # What is cut from now on is told, though nothing was read before it.
        async with client.subscribe(after=0) as late:
            await cut_log(observer, 6)
            assert await take(late, 3) == [EventGap(6), 7, 8]


async def test_an_empty_log_waits_for_a_writer_before_it_says_where_it_ends(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 2)
    await cut_log(observer, 2)
    other = await Observer.connect(dsn)
    async with Client(dsn) as client, other.connection.transaction():
        await other.do(
            "select pg_advisory_xact_lock(hashtextextended('delta.delta_event', 0))",
        )
        await log_events(other, 1)  # not committed yet: to begin after it would miss it
        beginning = asyncio.create_task(client.subscribe().begin())
        await eventually(lambda: waits_for_lock(observer))
        assert not beginning.done()
        beginning.cancel()
    await other.connection.close()


async def waits_for_lock(observer: Observer) -> bool:
    return await observer.value("select exists (select from pg_locks where not granted)")


@pytest.mark.parametrize(
    "wrong",
    [
        {"after": -1},
        {"after": 2**63},
        {"after": True},
        {"after": 1.5},
        {"after": "2026-01-01"},
        {"after": datetime(2026, 1, 1)},  # noqa: DTZ001 - a time without a zone is what is refused
        {"kinds": []},
        {"kinds": "item"},
        {"namespaces": []},
        {"name": ""},
        {"name": "two words"},
        {"name": "x" * 128},
    ],
)
async def test_bad_input_is_refused_by_name_and_value(dsn: str, wrong: dict[str, Any]) -> None:
    async with Client(dsn) as client:
        with pytest.raises(ConfigError) as refused:
            client.subscribe(**wrong)
        (value,) = wrong.values()
        assert str(value) in refused.value.message
        assert refused.value.hint


# Following


async def test_poll_only_gives_the_same_events(dsn: str, observer: Observer) -> None:
    config = quick_config(poll_only=True)
    async with Client(dsn, config) as client, client.subscribe("object_synced") as events:
        await log_events(observer, 2, category="object_failed")
        await log_events(observer, 1_200)
        assert await take(events, 1_200) == list(range(3, 1_203))
        assert client._session.listener(EVENT) is None


async def test_what_is_of_no_interest_is_read_once(dsn: str, observer: Observer) -> None:
    async with Client(dsn) as client, client.subscribe(kinds=["rare"]) as events:
        reading = asyncio.create_task(take(events, 1))
        await log_events(observer, 1_000)
        await eventually(lambda: events.position == 1_000)
        await log_events(observer, 1, kind="rare")
        assert await reading == [1_001]


async def test_a_wait_for_an_event_that_is_given_up_loses_nothing(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn) as client, client.subscribe() as events:
        for number in range(1, 6):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(events), 0.02)
            await log_events(observer, 1)
            assert await take(events, 1) == [number]


# Many, and what they leave


async def test_many_subscribers_share_one_connection_that_listens(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn) as client:
        several = [client.subscribe() for _ in range(20)]
        await asyncio.gather(*(one.begin() for one in several))
        await eventually(lambda: listener_of(client).connected)
        reading = [asyncio.create_task(take(one, 50)) for one in several]
        await log_events(observer, 50)
        assert await asyncio.gather(*reading) == [list(range(1, 51))] * 20
        assert await listeners(observer) == 1
        assert await observer.value(SESSIONS) <= 12  # ten of the pool, the listener, this look
        for one in several:
            await one.aclose()
        assert listener_of(client)._callbacks == {EVENT: []}


SESSIONS: LiteralString = "select count(*) from pg_stat_activity where datname = current_database()"


async def listeners(observer: Observer) -> int:
    return await observer.value(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and query like 'listen%%'"
    )


async def test_the_connection_that_listens_is_given_up_when_nobody_wants_it_and_comes_back(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn) as client:
        listener = listener_of(client)
        listener._echo_interval_s = 0.2
        for _ in range(2):
            async with client.subscribe():
                await eventually(lambda: listener.connected)
            await eventually(lambda: not listener.connected)
            await eventually(lambda: nobody_listens(observer))


async def nobody_listens(observer: Observer) -> bool:
    return await listeners(observer) == 0


async def test_a_subscription_that_nobody_closes_is_freed_with_its_callback(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 10)
    async with Client(dsn) as client:
        events = client.subscribe(after=0)
        assert await take(events, 1) == [1]
        freed = weakref.ref(events)
        del events
        gc.collect()
        assert freed() is None
        assert listener_of(client)._callbacks == {EVENT: []}


async def test_closing_the_client_ends_its_subscriptions(dsn: str) -> None:
    async with Client(dsn, quick_config()) as client:
        events = client.subscribe()

        async def read() -> list[Any]:
            return [event async for event in events]

        reading = asyncio.create_task(read())
        await eventually(lambda: events.position is not None)
    async with asyncio.timeout(10):
        assert await reading == []
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_a_closed_subscription_that_never_began_says_so(dsn: str) -> None:
    async with Client(dsn) as client:
        events = client.subscribe()
        await events.aclose()
        with pytest.raises(DeltaError, match="closed"):
            await events.begin()
        with pytest.raises(StopAsyncIteration):
            await anext(events)


# The listener's own echo


class Remembering(Database):
    """Keeps the connections of its own that it makes."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self.made: list[Connection] = []

    async def connect(self, *, by_index: bool = False) -> Connection:
        self.made.append(await super().connect(by_index=by_index))
        return self.made[-1]


@pytest.fixture
async def database(dsn: str) -> AsyncGenerator[Remembering]:
    database = Remembering(dsn)
    await database.open()
    database.made.clear()
    yield database
    await database.close()


@asynccontextmanager
async def listening(database: Remembering) -> AsyncGenerator[tuple[Listener, list[str | None]]]:
    """A listener that hears its echo, and all that it has called back with."""
    heard: list[str | None] = []
    listener = Listener(
        database, echo_from=database, identity="me", echo_interval=timedelta(seconds=0.5)
    )
    listener.on(EVENT, heard.append)
    running = asyncio.create_task(listener.run((EVENT,)))
    await eventually(lambda: listener.lag_ms is not None)
    yield listener, heard
    await cancel_all(running)


async def until_replaced(
    database: Remembering, heard: list[str | None], observer: Observer
) -> None:
    await eventually(lambda: len(database.made) == 2)
    await eventually(lambda: heard.count(None) == 3)  # listens, was lost, and listens again
    await observer.connection.execute("""notify "delta.event", 'again'""")
    await eventually(lambda: heard[-1] == "again")


async def test_a_listener_whose_connection_no_longer_listens_is_replaced(
    database: Remembering, observer: Observer
) -> None:
    async with listening(database) as (_, heard):
        await database.made[0].execute("unlisten *")
        await until_replaced(database, heard, observer)


async def test_a_listener_whose_server_process_is_frozen_is_replaced(
    database: Remembering, observer: Observer
) -> None:
    async with listening(database) as (_, heard):
        frozen = database.made[0].info.backend_pid
        os.kill(frozen, signal.SIGSTOP)
        try:
            await until_replaced(database, heard, observer)
        finally:
            os.kill(frozen, signal.SIGCONT)


async def test_a_listener_whose_connection_is_broken_is_replaced(
    database: Remembering, observer: Observer
) -> None:
    async with listening(database) as (_, heard):
        await observer.do("select pg_terminate_backend(%s)", database.made[0].info.backend_pid)
        await until_replaced(database, heard, observer)


async def test_a_listener_that_hears_stays_connected(database: Remembering) -> None:
    async with listening(database) as (listener, heard):
        for _ in range(3):
            sent = listener._echo_sent
            await eventually(lambda sent=sent: listener._echo_sent not in (None, sent))
        assert len(database.made) == 1
        assert heard == [None]


def test_a_dead_listener_is_noticed_within_fifteen_seconds() -> None:
    unheard_since_the_last_echo, until_the_next_is_missed = _ECHO_INTERVAL, _ECHO_INTERVAL
    assert unheard_since_the_last_echo + until_the_next_is_missed <= timedelta(seconds=15)
