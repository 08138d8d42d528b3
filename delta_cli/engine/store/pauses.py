"""Pause and resume kinds, namespaces, workers and ticks, and tell what is paused."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from delta_cli.engine.database import Connection
from delta_cli.engine.model.pause import Pause, PauseScope
from delta_cli.engine.queries import pause as queries
from delta_cli.engine.statements import Statement, Steps


def pause_steps(
    scope: PauseScope,
    name: str,
    *,
    reason: str | None,
    actor: str | None,
    lasting: timedelta | None,
    known_ticks: Sequence[str],
) -> Steps[Pause | None]:
    """Pause, or replace the reason and the end of a pause. None: there is no such thing.

    `known_ticks`: those that this process has, which may not have run yet.
    """
    rows = yield Statement(
        queries.PAUSE,
        {
            "scope": scope.value,
            "name": name,
            "reason": reason,
            "actor": actor,
            "lasting": lasting,
            "known_ticks": list(known_ticks),
        },
    )
    return _pause(rows[0]) if rows else None


def resume_steps(scope: PauseScope, name: str) -> Steps[Pause | None]:
    """End a pause, and tell what it was. None: it was not paused."""
    rows = yield Statement(queries.RESUME, {"scope": scope.value, "name": name})
    return _pause(rows[0]) if rows else None


async def in_force(connection: Connection) -> list[Pause]:
    """What is paused now."""
    cursor = await connection.execute(queries.IN_FORCE)
    return [_pause(row) for row in await cursor.fetchall()]


async def find(connection: Connection, scope: PauseScope, name: str) -> Pause | None:
    """The pause of one thing, if it is paused now."""
    cursor = await connection.execute(queries.FIND, {"scope": scope.value, "name": name})
    row = await cursor.fetchone()
    return None if row is None else _pause(row)


async def hand_over(connection: Connection, *, from_workers: Sequence[int], to_worker: int) -> None:
    """Let the pause of a worker follow it from any of its former ids to its new one."""
    former = [str(one) for one in from_workers]
    await connection.execute(queries.HAND_OVER, {"from_workers": former, "to_worker": to_worker})


async def names(
    connection: Connection, scope: PauseScope, *, known_ticks: Sequence[str] = ()
) -> list[str]:
    """All that there is of one scope; of ticks, those of this process too."""
    values = {"scope": scope.value, "known_ticks": list(known_ticks)}
    cursor = await connection.execute(queries.NAMES, values)
    return [row[0] for row in await cursor.fetchall()]


def _pause(row: Sequence[Any]) -> Pause:
    scope, *rest = row
    return Pause(PauseScope(scope), *rest)
