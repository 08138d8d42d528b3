"""Named cursors: what counts as handled, when it is written, and where the next reader goes on."""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from delta_cli import Client, ConfigError, EventGap, NotFound, Subscription
from delta_cli.engine.database import Connection
from delta_cli.engine.store import subscriptions
from tests.support.engine import quick_config
from tests.support.events import cut_log, log_events, told
from tests.support.observing import Observer
from tests.support.waiting import eventually

NAME = "audit"


async def position(observer: Observer) -> int | None:
    return await observer.value("select position from delta_subscription where name = %s", NAME)


async def take(events: Subscription, count: int) -> list[int | EventGap]:
    async with asyncio.timeout(30):
        return told([await anext(events) for _ in range(count)])


async def rest(client: Client, **where: Any) -> list[int | EventGap]:
    """All that is handed out under the name up to now."""
    async with client.subscribe(name=NAME, follow=False, **where) as events:
        return told([event async for event in events])


async def test_a_name_begins_now_and_goes_on_after_what_was_handled(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 3)
    async with Client(dsn) as client:
        assert await rest(client) == []
        await log_events(observer, 4)
        async with client.subscribe(name=NAME) as events:
            assert await take(events, 3) == [4, 5, 6]
        # The third was not followed by a wish for the next: its reader may have died of it.
        assert await position(observer) == 5
        assert await rest(client) == [6, 7]
        assert await rest(client) == []


async def test_a_dry_run_refuses_a_name_whose_position_it_would_move(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 3)
    async with Client(dsn) as client:
        assert await rest(client, after=1) == [2, 3]
    await log_events(observer, 2)
    async with Client(dsn, dry_run=True) as client:
        with pytest.raises(ConfigError, match=f"dry run .* {NAME!r}"):
            client.subscribe(name=NAME, follow=False)
        async with client.subscribe(after=3, follow=False) as events:
            assert told([event async for event in events]) == [4, 5]
    assert await position(observer) == 3


async def test_what_was_handed_out_by_a_reader_that_vanished_is_handed_out_again(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 5)
    async with Client(dsn) as client:
        events = client.subscribe(name=NAME, after=0)
        assert await take(events, 4) == [1, 2, 3, 4]
        del events  # nobody closes it
        assert (await rest(client))[-2:] == [4, 5]


async def test_a_former_reader_does_not_move_a_name_that_was_set_anew(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 5)
    async with Client(dsn) as client, client.subscribe(name=NAME, after=0) as former:
        await take(former, 5)
        async with client.subscribe(name=NAME, after=0, auto_acknowledge=False) as anew:
            await take(anew, 2)
            await anew.acknowledge()
            await former.acknowledge()
        assert await position(observer) == 2


async def test_an_acknowledgement_is_written_at_once(dsn: str, observer: Observer) -> None:
    await log_events(observer, 5)
    async with Client(dsn) as client, client.subscribe(name=NAME, after=0) as events:
        await take(events, 2)
        await events.acknowledge()
        assert await position(observer) == 2


async def test_what_is_handled_is_written_soon_although_nothing_more_happens(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 5)
    config = quick_config(poll_interval=timedelta(hours=1))
    async with Client(dsn, config) as client, client.subscribe(name=NAME, after=0) as events:
        await take(events, 5)
        waiting = asyncio.create_task(take(events, 1))
        await eventually(lambda: position_is(observer, 5))
        await log_events(observer, 1)
        assert await waiting == [6]


async def position_is(observer: Observer, expected: int) -> bool:
    return await position(observer) == expected


async def test_many_events_are_few_writes(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    async def acknowledge(
        connection: Connection, name: str, position: int, *, since: datetime
    ) -> None:
        written.append(position)
        await real(connection, name, position, since=since)

    real = subscriptions.acknowledge
    monkeypatch.setattr(subscriptions, "acknowledge", acknowledge)
    await log_events(observer, 3_000)
    async with Client(dsn) as client:
        began = time.monotonic()
        assert len(await rest(client, after=0)) == 3_000
        took_s = time.monotonic() - began
    assert len(written) <= 2 + took_s
    assert written == sorted(set(written))
    assert written[-1] == 3_000


async def test_only_the_caller_acknowledges_where_it_says_so(dsn: str, observer: Observer) -> None:
    await log_events(observer, 5)
    async with Client(dsn) as client:
        handed_out = rest(client, after=0, auto_acknowledge=False)
        assert await handed_out == [1, 2, 3, 4, 5]
        assert await position(observer) == 0
        async with client.subscribe(name=NAME, auto_acknowledge=False) as events:
            await take(events, 2)
            await events.acknowledge()
            await take(events, 2)
        assert await rest(client) == [3, 4, 5]


async def test_the_position_moves_on_past_what_is_of_no_interest(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn) as client:
        for how in (True, False):
            events = client.subscribe("object_deleted", name=NAME, after=0, auto_acknowledge=how)
            async with events:
                waiting = asyncio.create_task(anext(events))
                await log_events(observer, 50)
                newest = await observer.value("select max(id) from delta_event")
                await eventually(lambda newest=newest: position_is(observer, newest))
                waiting.cancel()


async def test_what_was_not_acknowledged_is_not_passed_over_with_what_is_of_no_interest(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 1, category="object_deleted")
    await log_events(observer, 5)
    async with Client(dsn) as client:
        events = client.subscribe("object_deleted", name=NAME, after=0, auto_acknowledge=False)
        async with events:
            assert await take(events, 1) == [1]
            waiting = asyncio.create_task(anext(events))
            await eventually(lambda: events.position == 6)
            waiting.cancel()
        assert await position(observer) == 0


async def test_the_position_only_moves_forward(dsn: str, observer: Observer) -> None:
    await log_events(observer, 5)
    async with Client(dsn) as client:
        slow, quick = (client.subscribe(name=NAME, after=0) for _ in range(2))
        async with slow, quick:
            await take(slow, 2)
            await take(quick, 5)
            await quick.acknowledge()
            await slow.acknowledge()
        assert await position(observer) == 5


async def test_a_position_beside_a_name_sets_it_anew(dsn: str, observer: Observer) -> None:
    await log_events(observer, 5)
    async with Client(dsn) as client:
        assert await rest(client, after=0) == [1, 2, 3, 4, 5]
        assert await rest(client, after=3) == [4, 5]
        at = await observer.value("select at from delta_event where id = 1")
        assert await rest(client, after=at) == [1, 2, 3, 4, 5]


async def test_a_gap_is_told_once_to_a_name_also_across_readers(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 10)
    async with Client(dsn) as client:
        assert await rest(client, after=8) == [9, 10]
        await log_events(observer, 10)
        await cut_log(observer, 14)
        assert (await rest(client))[:2] == [EventGap(4), 15]
        assert await rest(client) == []


async def test_a_reader_ends_when_its_client_is_closed_while_it_handles_an_event(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delta_cli.engine.cursor._WRITE_EVERY_S", 0.0)  # each is written at once
    await log_events(observer, 5)
    async with Client(dsn) as client:
        events = client.subscribe(after=0, name=NAME)
        assert await take(events, 2) == [1, 2]
    async with asyncio.timeout(20):
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_a_new_name_on_a_new_log_is_told_of_no_holes(dsn: str, observer: Observer) -> None:
    async with Client(dsn) as client:
        assert await rest(client) == []
        await observer.do("select setval('delta_event_id_seq', 7)")
        await log_events(observer, 1)
        assert await rest(client) == [8]


async def test_a_gap_that_nobody_went_on_after_is_told_again(dsn: str, observer: Observer) -> None:
    async with Client(dsn) as client:
        assert await rest(client) == []  # the log is new: the name begins before the first event
        await log_events(observer, 5)
        await cut_log(observer, 2)
        for _ in range(2):
            async with client.subscribe(name=NAME) as events:
                assert await take(events, 1) == [EventGap(2)]
        assert await rest(client) == [EventGap(2), 3, 4, 5]


async def test_names_are_listed_and_removed(dsn: str, observer: Observer) -> None:
    await log_events(observer, 5)
    async with Client(dsn) as client:
        assert await client.subscriptions() == []
        await rest(client, after=0)
        async with client.subscribe(name="other", after=2):
            pass
        rows = {row.name: (row.position, row.behind) for row in await client.subscriptions()}
        assert rows == {NAME: (5, 0), "other": (2, 3)}
        await client.remove_subscription("other")
        assert [row.name for row in await client.subscriptions()] == [NAME]
        with pytest.raises(NotFound, match="'other'"):
            await client.remove_subscription("other")


async def test_a_reader_whose_name_was_removed_hears_of_it_and_does_not_bring_it_back(
    dsn: str, observer: Observer
) -> None:
    await log_events(observer, 5)
    async with Client(dsn) as client:
        async with client.subscribe(name=NAME, after=0) as events:
            await take(events, 2)
            await client.remove_subscription(NAME)
            with pytest.raises(NotFound, match=NAME):
                await events.acknowledge()
        assert await client.subscriptions() == []


async def test_without_a_name_there_is_nothing_to_acknowledge(dsn: str) -> None:
    async with Client(dsn) as client, client.subscribe() as events:
        with pytest.raises(ConfigError, match="no name"):
            await events.acknowledge()
