"""Subscriptions: an async iterator over the ordered log, which remembers how far it has come."""

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from delta_cli.engine.cancelling import is_asked_to_end
from delta_cli.engine.cursor import NamedCursor
from delta_cli.engine.database import AWAY, Database, while_away
from delta_cli.engine.errors import ConfigError, DeltaError, InvalidObject, NotFound
from delta_cli.engine.hints import EVENT
from delta_cli.engine.listener import Listener
from delta_cli.engine.model.event import Event, EventGap
from delta_cli.engine.settings import check_kind, check_zoned
from delta_cli.engine.store import events
from delta_cli.engine.store.events import EventFilter

log = logging.getLogger(__name__)

_PAGE: Final = 1_000
#: How long a database that is away may keep a subscription from closing.
_LAST_WRITE_S: Final = 2.0
_LARGEST_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """Where a subscription begins (`after` None: from now, or where its name is) and ends.

    `follow` False ends it at what is the end of the log when it gets there.
    """

    after: int | datetime | None = None
    name: str | None = None
    follow: bool = True
    auto_acknowledge: bool = True

    def __post_init__(self) -> None:
        _check_after(self.after)
        if self.name is not None:
            _check_name(self.name)


class Subscription(AsyncIterator[Event | EventGap]):
    """Events beyond a cursor, in order, for ever; or with `follow` False up to now.

    `position` is the id to resume from: pass it as `after` to miss nothing. A slow reader falls
    behind and loses nothing within retention; what was cut before it came is told as an `EventGap`,
    once. From a time it begins with the oldest event that is left, and tells of no gap: the times
    of what was cut are not kept. Close it with `aclose()` or by leaving `async with`; closing its
    client ends it too.

    With a name, the database keeps the position. What was handed out counts as handled when the
    next event is asked for, and is written within a second and at the end; an event that was being
    handled when its reader died is handed out again. `acknowledge()` writes at once.
    """

    def __init__(
        self,
        database: Database,
        chosen: EventFilter,
        following: Following,
        *,
        listener: Listener | None,
        poll_interval: timedelta,
    ) -> None:
        after = following.after
        self.position: int | None = after if isinstance(after, int) else None
        self._database: Database = database
        self._chosen: EventFilter = chosen
        self._following: Following = following
        self._poll_s: float = poll_interval.total_seconds()
        self._cursor: NamedCursor | None = None
        if following.name is not None:
            self._cursor = NamedCursor(database, following.name)
        self._page: list[Event | EventGap] = []
        self._wake: asyncio.Event = asyncio.Event()
        self._unhook: weakref.finalize[[], Subscription] | None = None
        if listener is not None:
            # Nothing that outlives an iterator which nobody closes may hold it.
            wake = self._wake
            self._unhook = weakref.finalize(self, listener.on(EVENT, lambda _: wake.set()))
        self._begun: bool = False
        self._caught_up: bool = False  # all that was in the log at the last look has been read
        self._closed: bool = False

    async def __aenter__(self) -> Self:
        await self.begin()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def begin(self) -> int:
        """Fix where to begin, if that is now, a time or a name. Returns the position."""
        if not self._begun:
            await while_away("subscription", self._begin)
        if self.position is None:
            raise DeltaError("this subscription is closed", hint="subscribe again")
        return self.position

    async def _begin(self) -> None:
        if self._closed:
            return
        position = self.position
        if position is None:
            position = await self._find_begin()
        if self._cursor is not None:
            anew = self._following.after is not None
            position = await self._cursor.open(position, anew=anew)
        self.position, self._begun = position, True

    async def _find_begin(self) -> int:
        after = self._following.after
        async with self._database.connection() as connection:
            if isinstance(after, datetime):
                before = await events.id_before(connection, after)
                if before is not None:
                    return before
            return (await events.bounds(connection)).newest

    async def __anext__(self) -> Event | EventGap:
        if self._cursor is not None and self._begun and not self._closed:
            await self._count_as_handled(self._cursor)
        while not self._page:
            if self._closed:
                raise StopAsyncIteration
            if not self._begun:
                await while_away("subscription", self._begin)
            if self._caught_up and self._following.follow:
                await self._wait()
            self._wake.clear()
            await while_away("subscription", self._read)
            if not self._page and self._caught_up and not self._following.follow:
                await self._write()
                raise StopAsyncIteration
        item = self._page.pop()
        if isinstance(item, Event):
            self.position = item.id
        elif self.position is not None:
            self.position += item.count
        return item

    async def acknowledge(self) -> None:
        """Write at once that all that was handed out is handled, also the newest.

        Raises ConfigError for a subscription without a name, and NotFound when its name has been
        removed.
        """
        if self._cursor is None:
            raise ConfigError(
                "this subscription has no name to acknowledge for",
                hint="subscribe(name=...) keeps the position in the database",
            )
        self._cursor.handled = max(self._cursor.handled, await self.begin())
        await self._write()

    async def aclose(self) -> None:
        """End the iteration and free what it holds."""
        self._closed = True
        self._page.clear()
        if self._unhook is not None:
            self._unhook()
        self._wake.set()
        if self._cursor is not None:
            try:
                async with asyncio.timeout(_LAST_WRITE_S):
                    await self._cursor.write()
            except (*AWAY, NotFound, TimeoutError) as error:
                # At least once: what was not written is handed out again.
                log.warning(
                    "position not written",
                    extra={"component": "subscription", "error": " ".join(str(error).split())},
                )

    async def _count_as_handled(self, cursor: NamedCursor) -> None:
        if self._following.auto_acknowledge and self.position is not None:
            cursor.handled = max(cursor.handled, self.position)
        if cursor.due_in() == 0.0:
            await self._write()

    async def _write(self) -> None:
        if self._cursor is not None:
            await while_away("subscription", self._cursor.write)

    async def _read(self) -> None:
        """Read the next page, newest first so that it pops in order."""
        position = self.position
        if self._closed or position is None:
            return
        async with self._database.connection() as connection:
            page = await events.page(connection, self._chosen, after_id=position, limit=_PAGE)
        if self._closed:
            self._caught_up = True
            return
        self._page = [*reversed(page.events)]
        newest = page.bounds.newest if page.bounds is not None else 0
        self._caught_up = len(self._page) < _PAGE and page.reached >= newest
        missing = self._gone(page, position) - position
        if missing > 0:
            self._page.append(EventGap(missing))
        if not self._page and page.reached > position:
            self._skip_to(page.reached)

    def _gone(self, page: events.Page, position: int) -> int:
        """Up to which id all is gone. Writers that failed leave holes among the ids."""
        if page.bounds is None:
            return page.cut
        before_oldest = page.bounds.oldest - 1
        # Before the first event of a log that was new, there may be holes alone.
        return before_oldest if position > 0 else min(page.cut, before_oldest)

    def _skip_to(self, reached: int) -> None:
        """Nothing of interest up to there: do not read that stretch again."""
        cursor = self._cursor
        if cursor is not None and cursor.handled == self.position:
            cursor.handled = reached
        self.position = reached

    async def _wait(self) -> None:
        # What comes at the same moment as an answer of the server is lost before Python 3.12.
        if is_asked_to_end():
            raise asyncio.CancelledError
        wait_s = self._poll_s
        if self._cursor is not None:
            due_in = self._cursor.due_in()
            wait_s = wait_s if due_in is None else min(wait_s, due_in)
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            pass
        if self._cursor is not None and self._cursor.due_in() == 0.0 and not self._closed:
            await self._write()


class Changes:
    """Tells that there are new events, and not which. Without a listener, only time passes."""

    def __init__(self, listener: Listener | None) -> None:
        self._wake: asyncio.Event = asyncio.Event()
        self._unhook: Callable[[], None] | None = None
        if listener is not None:
            self._unhook = listener.on(EVENT, lambda _: self._wake.set())

    async def wait(self, within: timedelta) -> bool:
        """Until there are some since the last call, or `within` has passed; whether there are."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    def close(self) -> None:
        """Be told no more."""
        if self._unhook is not None:
            self._unhook()


def _check_after(after: object) -> None:
    if after is None:
        return
    if isinstance(after, datetime):
        check_zoned("after", after)
    elif isinstance(after, bool) or not isinstance(after, int):
        raise ConfigError(
            f"after must be the id of an event or a datetime, got {after!r}",
            hint="give the id of the last event that you have seen, or a datetime with a time zone",
        )
    elif not 0 <= after <= _LARGEST_ID:
        raise ConfigError(
            f"after {after} is no id of an event",
            hint="give the id of the last event that you have seen; 0: from the beginning",
        )


def _check_name(name: str) -> None:
    try:
        check_kind(name)
    except InvalidObject as error:
        raise ConfigError(f"subscription name {name!r} is not valid", hint=error.hint) from None
