"""Reads what the tab Resources shows, in proportion to what that costs, and posts it."""

import time
from functools import partial
from typing import Final

from textual.widget import Widget

from delta_cli.dash.messages import PageRead, ResourceRead, TimelineRead
from delta_cli.dash.store import Resources
from delta_cli.engine.database import AWAY
from delta_cli.engine.store.overview import Line, Wanted

#: A list is read for at most this share of the time, and once a second.
_SHARE: Final = 10
_LEAST_S: Final = 1.0


class ResourceReading:
    """Runs the reads of one widget, which gets their results as messages."""

    def __init__(self, widget: Widget, store: Resources) -> None:
        self._widget: Widget = widget
        self._store: Resources = store
        self._next_at: float = 0.0

    def read_list(self, wanted: Wanted, *, at_once: bool = False) -> bool:
        """Read a list if it is time to. Returns whether that has begun."""
        if not at_once and time.monotonic() < self._next_at:
            return False
        self._next_at = time.monotonic() + _LEAST_S
        self._widget.run_worker(partial(self._read_list, wanted), group="page", exclusive=True)
        return True

    async def _read_list(self, wanted: Wanted) -> None:
        begin = time.monotonic()
        try:
            page = await self._store.page(wanted)
        except (*AWAY, TimeoutError):
            return  # the feed finds out, and says so
        self._widget.post_message(PageRead(page))
        self._next_at = max(self._next_at, begin + _SHARE * (time.monotonic() - begin))

    def read_one(self, line: Line, *, with_timeline: bool) -> None:
        """Read a resource with its object, and its events where they are not known."""
        run = partial(self._read_one, line, with_timeline=with_timeline)
        self._widget.run_worker(run, group="detail", exclusive=True)

    async def _read_one(self, line: Line, *, with_timeline: bool) -> None:
        try:
            row = await self._store.resource(line)
            self._widget.post_message(ResourceRead(row))
            if row is not None and with_timeline:
                events = await self._store.timeline(row.id)
                self._widget.post_message(TimelineRead(row.id, events))
        except (*AWAY, TimeoutError):
            return
