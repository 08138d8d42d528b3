"""Whether a command that worked resources leaves some of them failed, as its exit status tells."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from delta_cli.engine.states import ResourceState

if TYPE_CHECKING:
    from delta_cli.engine.client import Client

_FAILED: Final = (ResourceState.FAILED, ResourceState.DEGRADED)


async def any_failed_since(
    client: "Client",
    began: datetime,
    kinds: Iterable[str],
    namespaces: Collection[str] | None = None,
) -> bool:
    """Whether a resource that was worked since then, by the database's time, is not right."""
    from delta_cli.engine.store.read import ResourceFilter

    for kind in kinds:
        async for row in client.resources(ResourceFilter(kind=kind, states=_FAILED)):
            chosen = namespaces is None or row.namespace in namespaces
            if chosen and row.attempted_at is not None and row.attempted_at >= began:
                return True
    return False
