"""Reads the log on from where it is, and knows what a silence was about.

Ids become visible in order, so that reading beyond the last id misses none and shows none twice.
"""

import time
from dataclasses import dataclass
from typing import Final

from delta_cli.dash.messages import Gap
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.model.event import Event
from delta_cli.engine.store import events
from delta_cli.engine.store.events import EventFilter

#: Events that are kept, and so at most read after a silence.
RING: Final = 5_000
#: Lines of a log: the events, and the gaps between them.
LOG_LINES: Final = RING + 100
#: Few enough that a key need not wait until they have been decoded.
_PAGE: Final = 500


@dataclass(slots=True)
class _Silence:
    """Since when nothing was heard, from which event on, and what was read of it by now."""

    since: float
    from_id: int
    found: int = 0
    missed: int = 0


class LogReader:
    """The place in the log. `position`: the id of the last event read, None before the first."""

    def __init__(self, database: Database) -> None:
        self.position: int | None = None
        self._database: Database = database
        self._silence: _Silence | None = None

    def fall_silent(self) -> None:
        """Nothing is heard any more: what is read from here on was missed."""
        if self._silence is None and self.position is not None:
            self._silence = _Silence(time.monotonic(), self.position)

    async def read(self) -> list[Event]:
        """All events up to now, but no more than are kept; the rest comes with the next look."""
        async with self._database.connection() as connection:
            bounds = await events.bounds(connection)
            if self.position is None:
                self.position = max(0, bounds.oldest - 1, bounds.newest - RING)
            self._skip_what_is_too_much(bounds.newest)
            found = await self._read_pages(connection)
        if self._silence is not None:
            self._silence.found += len(found)
        return found

    def _skip_what_is_too_much(self, newest: int) -> None:
        """Of more events than are kept only the newest are read; how many are not is told."""
        assert self.position is not None
        too_many = newest - self.position - RING
        if too_many > 0:
            self.fall_silent()
            if self._silence is not None:
                self._silence.missed += too_many
            self.position += too_many

    async def _read_pages(self, connection: Connection) -> list[Event]:
        assert self.position is not None
        found: list[Event] = []
        while len(found) < RING:
            page = await events.page(connection, EventFilter(), after_id=self.position, limit=_PAGE)
            cut = 0 if page.bounds is None else page.bounds.oldest - self.position - 1
            if cut > 0 and self._silence is not None:
                self._silence.missed += cut
            if page.events:
                self.position = page.events[-1].id
                found += page.events
            if len(page.events) < _PAGE:
                break
        return found

    def end_of_silence(self) -> Gap | None:
        """What to draw before the events read last, if with them a silence is over."""
        silence, self._silence = self._silence, None
        if silence is None:
            return None
        return Gap(time.monotonic() - silence.since, silence.found, silence.missed, silence.from_id)
