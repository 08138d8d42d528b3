"""Subscriptions: an async iterator over the ordered log, which remembers how far it has come."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final, Self

from delta_cli.engine.database import Connection, Database, while_away
from delta_cli.engine.hints import EVENT
from delta_cli.engine.listener import Listener
from delta_cli.engine.model import Event, EventGap
from delta_cli.engine.store import events
from delta_cli.engine.store.events import EventFilter, Page

_PAGE: Final = 1_000


class Subscription(AsyncIterator[Event | EventGap]):
    """Events beyond a cursor, in order, for ever; or with `follow` False up to now.

    `position` is the id to resume from: pass it as `after` to miss nothing. A slow reader falls
    behind and loses nothing within retention; what was cut before it came is told as an `EventGap`,
    once. Close it with `aclose()` or by leaving `async with`.
    """

    def __init__(
        self,
        database: Database,
        chosen: EventFilter,
        *,
        after: int | datetime | None,
        listener: Listener | None,
        poll_interval: timedelta,
        follow: bool = True,
    ) -> None:
        self.position: int | None = after if isinstance(after, int) else None
        self._since: datetime | None = after if isinstance(after, datetime) else None
        self._database: Database = database
        self._chosen: EventFilter = chosen
        self._follow: bool = follow
        self._poll_s: float = poll_interval.total_seconds()
        self._page: list[Event | EventGap] = []
        self._wake: asyncio.Event = asyncio.Event()
        self._unhook = listener.on(EVENT, lambda _: self._wake.set()) if listener else None
        self._caught_up: bool = False  # the last page was the end of the log
        self._closed: bool = False

    async def __aenter__(self) -> Self:
        await self.begin()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def begin(self) -> int:
        """Fix where to begin, if that is now or a time. Returns the position."""
        if self.position is None:
            self.position = await while_away("subscription", self._find_begin)
        return self.position

    async def __anext__(self) -> Event | EventGap:
        while not self._page:
            if self._closed:
                raise StopAsyncIteration
            await self.begin()
            if self._caught_up and self._follow:
                await self._wait()
            self._wake.clear()
            self._page = await while_away("subscription", self._read)
            self._caught_up = len(self._page) < _PAGE
            if not self._page and not self._follow:
                raise StopAsyncIteration
        item = self._page.pop()
        if isinstance(item, Event):
            self.position = item.id
        return item

    async def aclose(self) -> None:
        """End the iteration and free what it holds."""
        self._closed = True
        self._page.clear()
        if self._unhook is not None:
            self._unhook()
            self._unhook = None
        self._wake.set()

    async def _find_begin(self) -> int:
        async with self._database.connection() as connection:
            if self._since is not None:
                return await events.id_before(connection, self._since)
            newest, _ = await events.bounds(connection)
            return newest

    async def _read(self) -> list[Event | EventGap]:
        """The next page, newest first so that it pops in order."""
        assert self.position is not None
        position = self.position
        async with self._database.connection() as connection:
            page = await self._page_after(connection, position)
            if not page.events:
                page = await self._skip(connection, position)
        items: list[Event | EventGap] = [*reversed(page.events)]
        # Writers that failed leave holes among the ids, so only what is older than the whole log is
        # known to be cut. From the very beginning, nothing was asked for that could be missed.
        missing = page.oldest - position - 1
        if position > 0 and missing > 0:
            items.append(EventGap(missing))
        return items

    async def _page_after(self, connection: Connection, position: int) -> Page:
        return await events.page(connection, self._chosen, after_id=position, limit=_PAGE)

    async def _skip(self, connection: Connection, position: int) -> Page:
        """Nothing of interest up to now: do not read that stretch again."""
        newest, oldest = await events.bounds(connection)
        if newest <= position:
            return Page()
        # The newest first, the page after it: what appears in between is on the page.
        page = await self._page_after(connection, position)
        if not page.events:
            self.position = newest
            return Page(oldest=oldest)
        return page

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s):
                await self._wake.wait()
        except TimeoutError:
            return
