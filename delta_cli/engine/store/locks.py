"""Advisory locks, each taken by one session or one transaction, and the guard of who holds them."""

from dataclasses import dataclass
from typing import Final, LiteralString

from delta_cli.engine.database import Connection
from delta_cli.engine.queries import lock as queries

_MOST_MILLISECONDS: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class LockHolder:
    """A session of the server that has a lock. `application_name` None: not for us to see."""

    server_pid: int
    application_name: str | None


async def try_lock(connection: Connection, lock_id: int) -> bool:
    """Take a lock for this session, unless another session has it."""
    return await _taken(connection, queries.TRY_LOCK, lock_id)


async def try_lock_in_transaction(connection: Connection, lock_id: int) -> bool:
    """Take a lock until this transaction ends, unless another session has it."""
    return await _taken(connection, queries.TRY_LOCK_IN_TRANSACTION, lock_id)


async def _taken(connection: Connection, query: LiteralString, lock_id: int) -> bool:
    row = await (await connection.execute(query, {"lock_id": lock_id})).fetchone()
    return row is not None and row[0]


async def unlock(connection: Connection, lock_id: int) -> None:
    """Give a lock of this session back."""
    await connection.execute(queries.UNLOCK, {"lock_id": lock_id})


async def guard_session(connection: Connection, *, silent_s: float) -> None:
    """Let the server end this session when it says nothing for so long, as a frozen process."""
    await connection.execute(queries.GUARD_SESSION, {"milliseconds": _milliseconds(silent_s)})


async def guard_transaction(connection: Connection, *, silent_s: float) -> None:
    """Let the server end this transaction's session when it says nothing for so long."""
    await connection.execute(queries.GUARD_TRANSACTION, {"milliseconds": _milliseconds(silent_s)})


def _milliseconds(seconds: float) -> str:
    # Zero would switch the guard off, and the server takes no more than that.
    return str(min(max(1, round(seconds * 1000)), _MOST_MILLISECONDS))


async def ping(connection: Connection) -> None:
    """Prove that the session lives, and say that we do."""
    await connection.execute(queries.PING)


async def holder_of(connection: Connection, lock_id: int) -> LockHolder | None:
    """Who has a lock now; None when nobody does."""
    row = await (await connection.execute(queries.HOLDER, {"lock_id": lock_id})).fetchone()
    return None if row is None else LockHolder(*row)
