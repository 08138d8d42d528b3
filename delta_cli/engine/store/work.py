"""Claim, complete, release: what workers do to resources."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias

from psycopg.types.json import Jsonb

from delta_cli.engine.database import Connection
from delta_cli.engine.model.event import EventCategory
from delta_cli.engine.queries import work
from delta_cli.engine.resource import Resource
from delta_cli.engine.statements import column
from delta_cli.engine.states import Landing

#: No due time is further ahead: the database's calendar ends.
_LONGEST_DELAY: Final = timedelta(days=3_650)
#: How long a completion waits for a row that somebody else holds: a lock_timeout, '0' is for ever.
_PATIENCE: Final = "50ms"


ClaimKey: TypeAlias = tuple[int, int]  # id and term of a resource

#: The ids that a completion has written, each with in how many seconds it is due (None: never).
Written: TypeAlias = Mapping[int, float | None]


@dataclass(frozen=True, slots=True)
class Lane:
    """One (kind, namespace) pair with rows that are due in `due_in` seconds (now: zero or less)."""

    kind: str
    namespace: str
    due_in: float


@dataclass(frozen=True, slots=True)
class LaneSlots:
    """How many rows a claim may take from one lane."""

    kind: str
    namespace: str
    slots: int


@dataclass(slots=True)
class Outcome:
    """How the work of one claim ended, to be written by the completer.

    `error` is a JSON element of the column `errors`, without its time; `actor` is who cancelled it;
    `message` is what the error says.
    """

    claim: Resource[Any]
    landing: Landing
    category: EventCategory | None
    duration_ms: float
    error: str | None = None
    actor: str | None = None
    message: str | None = None


async def due_lanes(
    connection: Connection,
    kinds: Sequence[str],
    namespaces: Sequence[str] | None,
    *,
    worker_id: int,
) -> list[Lane]:
    """The lanes that have rows with a due time and are not paused, the most overdue first."""
    cursor = await connection.execute(
        work.DUE_LANES,
        {
            "kinds": list(kinds),
            "namespaces": list(namespaces) if namespaces else None,
            "worker_id": worker_id,
        },
        prepare=True,
        binary=True,
    )
    return [Lane(*row) for row in await cursor.fetchall()]


async def claim(
    connection: Connection,
    lanes: Sequence[LaneSlots],
    *,
    worker_id: int,
    leases_s: Mapping[str, float | None],
) -> list[Resource[Any]]:
    """Claim due rows of these lanes. `leases_s`: seconds of lease per kind, None for no end."""
    cursor = await connection.execute(
        work.CLAIM,
        {
            "kinds": [lane.kind for lane in lanes],
            "namespaces": [lane.namespace for lane in lanes],
            "slots": [lane.slots for lane in lanes],
            "leases": Jsonb(dict(leases_s)),
            "worker_id": worker_id,
        },
        prepare=True,
        binary=True,
    )
    return [Resource.from_claim(row) for row in await cursor.fetchall()]


async def complete(connection: Connection, outcomes: Sequence[Outcome]) -> Written:
    """Write finished works, with their events.

    Raises psycopg's LockNotAvailable, with nothing written, when somebody holds one of the rows for
    longer than 50 ms.
    """
    return await _complete(connection, outcomes, patience=_PATIENCE)


async def complete_around(connection: Connection, outcomes: Sequence[Outcome]) -> Written:
    """As `complete`, without the rows that somebody holds for the moment."""
    claims = [(outcome.claim.id, outcome.claim.term) for outcome in outcomes]
    async with connection.transaction():
        cursor = await connection.execute(work.LOCK_CLAIMS, _ids_and_terms(claims), binary=True)
        ours = {row[0] for row in await cursor.fetchall()}
        free = [outcome for outcome in outcomes if outcome.claim.id in ours]
        # These rows are ours by now; whatever else may delay it, as a slow disk, would do so again.
        return await _complete(connection, free, patience="0") if free else {}


async def _complete(
    connection: Connection, outcomes: Sequence[Outcome], *, patience: str
) -> Written:
    claims = [outcome.claim for outcome in outcomes]
    landings = [outcome.landing for outcome in outcomes]
    errors = [outcome.error for outcome in outcomes]
    actors = [outcome.actor for outcome in outcomes]
    cursor = await connection.execute(
        work.COMPLETE,
        {
            "patience": patience,
            "ids": [claim.id for claim in claims],
            "terms": [claim.term for claim in claims],
            "durations": [outcome.duration_ms for outcome in outcomes],
            **column("generations", "generation", [claim.generation for claim in claims]),
            **column("states", "state", [landing.state for landing in landings]),
            **column("attempts", "attempt", [landing.attempt for landing in landings]),
            **column("delays", "delay", [_seconds(landing.due_in) for landing in landings]),
            **column("categories", "category", [outcome.category for outcome in outcomes]),
            "errors": errors if any(errors) else [],
            "actors": actors if any(actors) else [],
        },
        prepare=True,
        binary=True,
    )
    return dict(await cursor.fetchall())


async def still_held(connection: Connection, claims: Sequence[Resource[Any]]) -> set[int]:
    """Of claims that were neither completed nor released: the ids of those that still stand."""
    return await _still_held(connection, [(claim.id, claim.term) for claim in claims])


async def release(connection: Connection, claims: Sequence[Resource[Any]]) -> set[int]:
    """Give claims back unworked, except where somebody holds the row. Returns the ids given."""
    return await _release(connection, [(claim.id, claim.term) for claim in claims])


async def release_others(
    connection: Connection, known: Callable[[], set[ClaimKey]], *, worker_id: int
) -> int:
    """Give back what a worker has claimed beyond what it knows of, once the server claims no more.

    Returns how many are left because somebody holds their rows for the moment.
    """
    await connection.execute(work.AWAIT_CLAIMS, {"worker_id": worker_id})
    cursor = await connection.execute(work.CLAIMS_OF, {"worker_id": worker_id})
    claims: list[ClaimKey] = await cursor.fetchall()
    # Asked only now: what ends in the meantime is no claim any more, and its term refuses us.
    known_now = known()
    unknown = [claim for claim in claims if claim not in known_now]
    released = await _release(connection, unknown) if unknown else set[int]()
    left_out = [claim for claim in unknown if claim[0] not in released]
    return len(await _still_held(connection, left_out)) if left_out else 0


async def _release(connection: Connection, claims: Sequence[ClaimKey]) -> set[int]:
    cursor = await connection.execute(work.RELEASE, _ids_and_terms(claims), binary=True)
    return {row[0] for row in await cursor.fetchall()}


async def _still_held(connection: Connection, claims: Sequence[ClaimKey]) -> set[int]:
    cursor = await connection.execute(work.STILL_HELD, _ids_and_terms(claims), binary=True)
    return {row[0] for row in await cursor.fetchall()}


def _ids_and_terms(claims: Sequence[ClaimKey]) -> dict[str, list[int]]:
    return {"ids": [claim_id for claim_id, _ in claims], "terms": [term for _, term in claims]}


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else min(duration, _LONGEST_DELAY).total_seconds()
