"""Ask for running works to be cancelled, and hear what one's own worker is asked to."""

from collections.abc import Sequence
from dataclasses import dataclass

from delta_cli.engine.database import Connection
from delta_cli.engine.queries import cancel as queries
from delta_cli.engine.statements import Statement, Steps
from delta_cli.engine.states import ResourceState


@dataclass(frozen=True, slots=True)
class Cancel:
    """One work that is to be cancelled: the claim of `term`, and no other of its resource."""

    resource_id: int
    term: int
    actor: str


def request_steps(
    kind: str, namespace: str, object_id: str, *, actor: str
) -> Steps[ResourceState | None]:
    """Ask for a cancel, if the resource is pending. Returns its state; None: there is none."""
    rows = yield Statement(
        queries.REQUEST,
        {"kind": kind, "namespace": namespace, "object_id": object_id, "actor": actor},
    )
    return ResourceState(rows[0][0]) if rows else None


async def asked(connection: Connection, worker_id: int) -> list[Cancel]:
    """What a worker is asked to cancel, until it says that it has."""
    cursor = await connection.execute(queries.ASKED, {"worker_id": worker_id})
    return [Cancel(*row) for row in await cursor.fetchall()]


async def forget(connection: Connection, heeded: Sequence[Cancel]) -> None:
    """Ask for these no more."""
    await connection.execute(
        queries.FORGET,
        {
            "resource_ids": [one.resource_id for one in heeded],
            "terms": [one.term for one in heeded],
        },
    )
