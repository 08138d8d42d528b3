"""Limits of the fleet in the database: a worker's own part in them, and sharing them afresh."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from delta_cli.engine.database import Connection
from delta_cli.engine.fleet import Member, Share
from delta_cli.engine.queries import quota as queries
from delta_cli.engine.slots import Scope


@dataclass(frozen=True, slots=True)
class Grant:
    """A worker's own part in a quota. `target`: what it may use at most from now on."""

    capacity: int
    target: int
    granted: int
    used: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What limits a worker in one scope.

    `slot_limit`: across the fleet; None when there is none (any more). `max_workers`: per process,
    of a namespace. `grant` None: this worker has taken no notice of a limit of the fleet yet.
    """

    scope: Scope
    slot_limit: int | None
    max_workers: int | None
    grant: Grant | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker could use of a quota, what it holds, and how many slots it keeps granted."""

    scope: Scope
    capacity: int
    used: int
    kept: int


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of the fleet and how it is shared now.

    `is_awaited`: a living worker has not taken notice of it yet. `ungranted`: how many resources
    are pending in it under no grant. `members`: all that have a grant, gone workers among them.
    """

    scope: Scope
    slot_limit: int
    is_awaited: bool
    ungranted: int
    members: Sequence[Member]

    @property
    def available(self) -> int:
        """How many slots are nobody's. None at all while somebody may use slots unnoticed."""
        if self.is_awaited:
            return 0
        return self.slot_limit - self.ungranted - sum(one.granted for one in self.members)


async def standing(
    connection: Connection, worker_id: int, kinds: Sequence[str], namespaces: Sequence[str] | None
) -> list[Standing]:
    """All that limits a worker of these kinds and namespaces, with its own grants."""
    cursor = await connection.execute(
        queries.STANDING,
        {
            "worker_id": worker_id,
            "kinds": list(kinds),
            "namespaces": list(namespaces) if namespaces else None,
        },
    )
    return [
        Standing((row[0], row[1]), row[2], row[3], None if row[4] is None else Grant(*row[4:]))
        for row in await cursor.fetchall()
    ]


async def enroll(connection: Connection, worker_id: int, reports: Sequence[Report]) -> None:
    """Take notice of quotas, keeping what is used of them now."""
    await connection.execute(queries.ENROLL, _reported(worker_id, reports))


async def report(
    connection: Connection, worker_id: int, reports: Sequence[tuple[Report, Grant]]
) -> bool:
    """Say what is used, and give back what is not kept, of grants that are as they were seen.

    False when one was not.
    """
    grants = [grant for _, grant in reports]
    parameters = _reported(worker_id, [report for report, _ in reports])
    parameters |= {
        "seen_granted": [grant.granted for grant in grants],
        "seen_target": [grant.target for grant in grants],
    }
    cursor = await connection.execute(queries.REPORT, parameters)
    return cursor.rowcount == len(reports)


async def begin_pass(connection: Connection) -> None:
    """Wait for other passes to end; this one ends with the transaction."""
    await connection.execute(queries.BEGIN)


async def sync(connection: Connection) -> None:
    """Make the quotas those that are set now."""
    await connection.execute(queries.SYNC)


async def forget_left(connection: Connection) -> None:
    """Remove grants that nobody holds any longer: of workers that are gone, of lifted limits."""
    cursor = await connection.execute(queries.LOCK_LEFT)
    left = await cursor.fetchall()
    if left:
        await connection.execute(
            queries.FORGET_LEFT,
            {
                "worker_ids": [worker_id for worker_id, _, _ in left],
                **_keys([(scope, name) for _, scope, name in left]),
            },
        )


async def quotas(connection: Connection) -> list[Quota]:
    """Every quota with its members."""
    # Before the grants: a worker that takes notice in between is then still awaited.
    quotas = await (await connection.execute(queries.QUOTAS)).fetchall()
    if not quotas:
        return []
    grants = await (await connection.execute(queries.GRANTS)).fetchall()
    members: defaultdict[Scope, list[Member]] = defaultdict(list)
    for scope, name, worker_id, capacity, granted, target in grants:
        members[scope, name].append(Member(worker_id, capacity, granted, target))
    return [
        Quota((scope, name), slot_limit, is_awaited, ungranted, members[scope, name])
        for scope, name, slot_limit, is_awaited, ungranted in quotas
    ]


async def grant(connection: Connection, shares: Sequence[tuple[Scope, Share]]) -> None:
    """Grant free slots, and set targets."""
    await connection.execute(
        queries.GRANT,
        {
            "worker_ids": [share.worker_id for _, share in shares],
            **_keys([scope for scope, _ in shares]),
            "targets": [share.target for _, share in shares],
            "raised": [share.raised for _, share in shares],
        },
    )


async def refresh_gauges(connection: Connection) -> None:
    """Count what is granted and used of each quota."""
    await connection.execute(queries.REFRESH_GAUGES)


def _reported(worker_id: int, reports: Sequence[Report]) -> dict[str, Any]:
    return {
        "worker_id": worker_id,
        **_keys([one.scope for one in reports]),
        "capacities": [one.capacity for one in reports],
        "used": [one.used for one in reports],
        "kept": [one.kept for one in reports],
    }


def _keys(scopes: Sequence[Scope]) -> dict[str, list[str]]:
    return {"scopes": [what for what, _ in scopes], "names": [name for _, name in scopes]}
