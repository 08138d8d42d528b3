"""How soon an event is on the screen: from its commit by a worker in a process of its own."""

import time
from datetime import UTC

from delta_cli import Client
from delta_cli.dash.widgets.event_log import EventLog
from delta_cli.engine.model.event import Event, EventCategory
from tests.dash.conftest import Dash, Driven, inform
from tests.support.observing import Observer
from tests.support.processes import Workers

EVENTS = 20


async def test_an_event_is_shown_within_half_a_second_of_its_commit(
    dash: Dash, dsn: str, workers: Workers, observer: Observer
) -> None:
    names = [f"item-{number}" for number in range(EVENTS)]
    await inform(dsn, *names)
    await workers.start(dsn, "quick")
    await observer.until_all("synced", EVENTS)
    async with dash(tab="events") as driven, Client(dsn) as client:
        await driven.shows("LIVE")
        waited: list[float] = []
        # Each comes right after the one before was shown: at the worst of times, since the feed
        # merges what comes within a quarter second of its last look.
        for name in names:
            newest = driven.app.state.newest
            await client.invalidate("item", name)
            event, seen_at = await first_on_screen(driven, name, newest)
            # Written a moment before its commit, on the clock of this same machine.
            waited.append(seen_at - event.at.timestamp())
        # Not the slowest, because others use this machine too.
        waited.sort()
        assert 0 <= waited[EVENTS // 4] <= 0.5, waited


async def first_on_screen(driven: Driven, name: str, after_id: int) -> tuple[Event, float]:
    """The event of an object's work as soon as its line stands on the screen, and when."""
    log = driven.app.query_one("#events-log", EventLog)

    def found() -> Event | None:
        events = (entry for entry in reversed(log.entries) if isinstance(entry, Event))
        return next((event for event in events if is_it(event) and is_drawn(event)), None)

    def is_it(event: Event) -> bool:
        is_new_sync = event.id > after_id and event.category is EventCategory.OBJECT_SYNCED
        return is_new_sync and event.object_id == name

    def is_drawn(event: Event) -> bool:
        at = f"{event.at.astimezone(UTC):%H:%M:%S.%f}"[:12]
        return f"{at} synced   item/{name} " in driven.screen

    event = await driven.until(found)
    return event, time.time()
