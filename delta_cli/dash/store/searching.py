"""A search through the resources for those that a list shows, a bounded look at a time.

The indexes lead to resources by their states and lanes. What they hold too much of is looked for
by a walk through the table, the newest first, until the list is full or the table ends.
"""

from collections.abc import Sequence
from typing import Final

from delta_cli.engine.database import Connection
from delta_cli.engine.store import overview
from delta_cli.engine.store.overview import Wanted

#: Rows of the table, or of an index, that one look reads: some 30 ms of a server's time.
LOOK: Final = 20_000


class Search:
    """Looks for at most `most` resources; call `look` until `is_over`.

    `looked`: how many of the newest rows were looked at. `is_all`: there are no others.
    """

    def __init__(self, wanted: Wanted, most: int, *, look: int | None = None) -> None:
        self.wanted: Wanted = wanted
        self.looked: int = 0
        self.is_over: bool = False
        self.is_all: bool = False
        self._most: int = most
        self._look: int = look or LOOK
        self._ids: dict[int, None] = {}
        self._is_ordered: bool = False
        self._before_id: int = overview.NO_END
        # Without states asked for, the newest may well fill the list: no index knows them.
        asks_states = wanted.states is not None or wanted.worker_id is not None
        self._indexes_at: int = 0 if asks_states else self._look

    @property
    def ids(self) -> list[int]:
        """The ids found: the newest first, but before those what one index led to, in its order."""
        ids = list(self._ids) if self._is_ordered else sorted(self._ids, reverse=True)
        return ids[: self._most]

    async def look(self, connection: Connection) -> None:
        """Look at some more."""
        if self.wanted.has_index and self.looked == self._indexes_at:
            await self._ask_indexes(connection)
        if not self.is_over:
            await self._walk_on(connection)

    async def _ask_indexes(self, connection: Connection) -> None:
        found = await overview.indexed_candidates(
            connection, self.wanted, look=self._look, limit=self._most + 1
        )
        self._is_ordered = found.is_ordered
        self._take(found.ids, is_all=found.is_all)

    async def _walk_on(self, connection: Connection) -> None:
        found = await overview.candidates(
            connection,
            self.wanted,
            before_id=self._before_id,
            look=self._look,
            limit=self._most + 1,
        )
        self.looked += found.looked
        self._before_id = found.lowest
        self._take(found.ids, is_all=found.lowest == 0)

    def _take(self, ids: Sequence[int], *, is_all: bool) -> None:
        self._ids |= dict.fromkeys(ids)
        is_full = len(self._ids) > self._most
        self.is_all = is_all and not is_full
        self.is_over = is_all or is_full
