"""Reads the whole system for those who watch it, a bounded piece at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

from delta_cli.engine.database import Connection
from delta_cli.engine.queries import overview as queries
from delta_cli.engine.queries import suggestion
from delta_cli.engine.states import CLAIMABLE, ResourceState

#: Beyond every id.
NO_END: Final = 2**63 - 1
#: Each index that holds resources by their states, with those that it holds: together all.
_PARTS: Final[tuple[tuple[LiteralString, frozenset[ResourceState]], ...]] = (
    (queries.CANDIDATES_DUE, frozenset(CLAIMABLE)),
    (queries.CANDIDATES_PENDING, frozenset({ResourceState.PENDING})),
    (
        queries.CANDIDATES_AT_REST,
        frozenset(ResourceState) - {*CLAIMABLE, ResourceState.PENDING},
    ),
)
Lane = tuple[str, str]  # kind and namespace


@dataclass(frozen=True, slots=True)
class Chunk:
    """How the resources of one stretch of ids stand. `last`: the highest id in it, or None."""

    states: dict[tuple[str, str, ResourceState], int]
    last: int | None

    @property
    def rows(self) -> int:
        """How many resources were counted."""
        return sum(self.states.values())


@dataclass(frozen=True, slots=True)
class LaneDue:
    """What is due in a lane: how many, counted up to a cap, and since when the oldest is."""

    due: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class LanePending:
    """What one worker works on in one lane."""

    kind: str
    namespace: str
    worker_id: int
    resources: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A resource as a line of a list: without its object."""

    id: int
    namespace: str
    kind: str
    object_id: str
    state: ResourceState
    generation: int
    attempt: int
    max_attempts: int
    due_at: datetime | None
    updated_at: datetime
    synced_at: datetime | None
    worker_id: int | None
    drifted: bool
    error: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which resources a list shows; None means any. `text` is part of the object id.

    A worker's are those that it works on now.
    """

    kind: str | None = None
    namespace: str | None = None
    states: Sequence[ResourceState] | None = None
    tags: Sequence[str] | None = None
    worker_id: int | None = None
    text: str | None = None

    @property
    def has_index(self) -> bool:
        """Whether `indexed_candidates` finds these sooner than a walk through the table."""
        asked = (self.kind, self.namespace, self.states, self.worker_id)
        return any(one is not None for one in asked)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Ids that a list shows. `looked`: rows looked at; `lowest`: where to look on (0: ended)."""

    ids: Sequence[int]
    looked: int
    lowest: int


@dataclass(frozen=True, slots=True)
class IndexedCandidates:
    """Ids that a list shows. `is_all` False: an index holds more than was looked at.

    `is_ordered`: they come from one index, in its order: what is due next, what changed last.
    """

    ids: Sequence[int]
    is_all: bool
    is_ordered: bool


@dataclass(frozen=True, slots=True)
class GrantOf:
    """The slots of one fleet-wide limit that one worker holds and uses."""

    worker_id: int
    scope: str
    name: str
    granted: int
    used: int


async def count_chunk(
    connection: Connection, *, after_id: int, until_id: int = NO_END, limit: int
) -> Chunk:
    """Count the resources beyond one id: up to another, or `limit` of them."""
    cursor = await connection.execute(
        queries.COUNT_CHUNK, {"after_id": after_id, "until_id": until_id, "limit": limit}
    )
    found = await cursor.fetchall()
    states = {(kind, name, ResourceState(state)): count for kind, name, state, count, _ in found}
    return Chunk(states, max((row[4] for row in found), default=None))


async def due(connection: Connection, *, cap: int) -> dict[Lane, LaneDue]:
    """What is due in each lane that has something due."""
    cursor = await connection.execute(queries.DUE, {"cap": cap})
    return {(row[0], row[1]): LaneDue(row[2], row[3]) for row in await cursor.fetchall()}


async def pending(connection: Connection) -> list[LanePending]:
    """What is being worked."""
    cursor = await connection.execute(queries.PENDING)
    return [LanePending(*row) for row in await cursor.fetchall()]


async def candidates(
    connection: Connection, wanted: Wanted, *, before_id: int = NO_END, look: int, limit: int
) -> Candidates:
    """Ids for a list, the newest first, out of the next `look` rows of the table below an id."""
    states = None if wanted.states is None else [state.value for state in wanted.states]
    values = _values(wanted, look, limit) | {"before_id": before_id, "states": states}
    ids, looked, lowest = await _found(connection, queries.CANDIDATES, values)
    return Candidates(ids, looked, lowest if lowest and looked >= look else 0)


async def indexed_candidates(
    connection: Connection, wanted: Wanted, *, look: int, limit: int
) -> IndexedCandidates:
    """Ids for a list, from the indexes that hold the states asked for; `look` rows of each."""
    ids: list[int] = []
    is_all, parts = True, 0
    for query, held in _PARTS:
        states = [state.value for state in _asked(wanted) & held]
        if not states:
            continue
        values = _values(wanted, look, limit) | {"states": states}
        found, looked, _ = await _found(connection, query, values)
        ids += found
        is_all = is_all and looked < look and len(found) < limit
        parts += 1
    return IndexedCandidates(ids, is_all, is_ordered=parts == 1)


def _asked(wanted: Wanted) -> frozenset[ResourceState]:
    asked = frozenset(ResourceState if wanted.states is None else wanted.states)
    return asked if wanted.worker_id is None else asked & {ResourceState.PENDING}


def _values(wanted: Wanted, look: int, limit: int) -> dict[str, Any]:
    return {
        "kind": wanted.kind,
        "namespace": wanted.namespace,
        "worker_id": wanted.worker_id,
        "tags": None if wanted.tags is None else list(wanted.tags),
        "text": wanted.text,
        "look": look,
        "limit": limit,
    }


async def _found(
    connection: Connection, query: LiteralString, values: dict[str, Any]
) -> tuple[list[int], int, int | None]:
    row = await (await connection.execute(query, values)).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


async def lines(connection: Connection, ids: Sequence[int]) -> list[Line]:
    """These resources, without their objects, in no order."""
    cursor = await connection.execute(queries.LINES, {"ids": list(ids)})
    return [_line(row) for row in await cursor.fetchall()]


def _line(row: Sequence[Any]) -> Line:
    number, namespace, kind, object_id, state, *rest = row
    return Line(number, namespace, kind, object_id, ResourceState(state), *rest)


async def find(
    connection: Connection,
    object_id: str,
    *,
    kind: str | None = None,
    namespace: str | None = None,
    limit: int = 10,
) -> list[Line]:
    """The resources with this object id."""
    cursor = await connection.execute(
        queries.FIND,
        {"object_id": object_id, "kind": kind, "namespace": namespace, "limit": limit},
    )
    return await lines(connection, [row[0] for row in await cursor.fetchall()])


async def ids_beginning(
    connection: Connection, prefix: str, *, kind: str | None = None
) -> list[str]:
    """Object ids that begin so, in their order; at most 50."""
    cursor = await connection.execute(suggestion.OBJECT_IDS, {"prefix": prefix, "kind": kind})
    return [row[0] for row in await cursor.fetchall()]


async def grants(connection: Connection) -> list[GrantOf]:
    """The slots that workers hold of fleet-wide limits."""
    cursor = await connection.execute(queries.GRANTS)
    return [GrantOf(*row) for row in await cursor.fetchall()]


async def is_read_only(connection: Connection) -> bool:
    """Whether this session can change nothing unless it asks to."""
    row = await (await connection.execute(queries.IS_READ_ONLY)).fetchone()
    return row is not None and row[0]
