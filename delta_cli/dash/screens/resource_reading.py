"""Reads what the tab Resources shows, in proportion to what that costs, and posts it."""

import time
from collections.abc import Awaitable
from contextlib import aclosing
from typing import Any, Final

from textual.message import Message
from textual.widget import Widget

from delta_cli.dash.latest import Latest
from delta_cli.dash.messages import PageRead, ReadFailed, ResourceRead, TimelineRead
from delta_cli.dash.store import Page, Resources
from delta_cli.engine.store.overview import Line, Wanted

#: A list is read again after so many times as long as that took, and once a second at most.
_TIMES_AS_LONG: Final = 10
_LEAST_S: Final = 1.0
#: Looking through the log is for rows on which the cursor rests.
_REST_S: Final = 0.25


class ResourceReading:
    """Runs the reads of one widget, which gets their results as messages."""

    def __init__(self, widget: Widget, store: Resources) -> None:
        self._widget: Widget = widget
        self._store: Resources = store
        self._list: Latest[Wanted] = Latest(widget, "page", self._read_list)
        self._one: Latest[Line] = Latest(widget, "detail", self._read_one)
        self._timeline: Latest[Line] = Latest(
            widget, "timeline", self._read_timeline, rest_s=_REST_S
        )
        self._next_at: float = 0.0
        self._known: tuple[Wanted, Page] | None = None
        self._search_at: float = 0.0

    def read_list(self, wanted: Wanted, *, at_once: bool = False) -> bool:
        """Read a list if it is time to. Returns whether that has begun."""
        if not at_once and (self._list.is_running or time.monotonic() < self._next_at):
            return False
        self._next_at = time.monotonic() + _LEAST_S
        self._list.ask(wanted)
        return True

    def read_one(self, line: Line, *, with_timeline: bool) -> None:
        """Read a resource with its object, and its events where they are not known."""
        self._one.ask(line)
        if with_timeline:
            self._timeline.ask(line)

    async def _read_list(self, wanted: Wanted) -> None:
        await self._told(self._search(wanted))

    async def _search(self, wanted: Wanted) -> None:
        """Tell what is found as it is found, until all is, or nobody looks at it any more.

        Another wish for the same list waits until the search has ended, or it would never end. A
        list that was searched to its end is brought up to date from where it changes most, and
        searched again once that has rested ten times as long as it took.
        """
        begin = time.monotonic()
        known = self._known[1] if self._known is not None and self._known[0] == wanted else None
        is_enough = known is not None and known.is_over and begin < self._search_at
        first_s: float | None = None
        async with aclosing(self._store.pages(wanted, known)) as pages:
            async for page in pages:
                first_s = first_s or time.monotonic() - begin
                self._next_at = max(self._next_at, begin + _TIMES_AS_LONG * first_s)
                self._post(PageRead(page, wanted))
                self._known = wanted, page
                if is_enough or self._list.is_asked_else(wanted) or not self._widget.display:
                    return
        self._search_at = time.monotonic() + _TIMES_AS_LONG * (time.monotonic() - begin)

    async def _read_one(self, line: Line) -> None:
        found = await self._told(self._store.resource(line))
        if found is not None:
            self._post(ResourceRead(found[0]))

    async def _read_timeline(self, line: Line) -> None:
        events = await self._told(self._store.timeline(line.id))
        if events is not None:
            self._post(TimelineRead(line.id, events))

    async def _told(self, reading: Awaitable[Any]) -> Any | None:
        """What was read; None where it failed, and then that is told and no more."""
        try:
            return await reading
        except Exception as error:  # noqa: BLE001 - the tab says so, and the next look tries again
            self._post(ReadFailed(self._store.reason(error)))
            return None

    def _post(self, message: Message) -> None:
        self._widget.post_message(message)
