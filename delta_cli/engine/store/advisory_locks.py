"""Who has an advisory lock."""

from dataclasses import dataclass

from delta_cli.engine.database import Connection
from delta_cli.engine.queries import advisory_lock as queries


@dataclass(frozen=True, slots=True)
class LockHolder:
    """A session of the server that has a lock. `application_name` None: not for us to see."""

    server_pid: int
    application_name: str | None


async def holder_of(connection: Connection, lock_id: int) -> LockHolder | None:
    """Who has the lock now; None when nobody does."""
    cursor = await connection.execute(queries.HOLDER, {"lock_id": lock_id})
    row = await cursor.fetchone()
    return None if row is None else LockHolder(*row)
