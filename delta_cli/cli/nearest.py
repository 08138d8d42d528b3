"""What somebody may have meant who mistyped a name: the nearest one, and all that there are."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from delta_cli.engine.errors import NotFound
from delta_cli.engine.settings import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from delta_cli.engine.client import Client
    from delta_cli.engine.model.pause import PauseScope

#: Names that are told when one is not known.
_MOST_NAMES: Final = 20


def meant(name: str, names: Collection[str]) -> str:
    """`; did you mean 'user'?`, or nothing where none is near."""
    nearest = get_close_matches(name, names, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def unknown(what: str, name: str, names: Collection[str]) -> NotFound:
    """There is no kind 'usr'; did you mean 'user'?"""
    shown = sorted(names)[:_MOST_NAMES]
    more = ", ..." if len(names) > len(shown) else ""
    return NotFound(
        f"there is no {what} {name!r}{meant(name, names)}",
        hint=f"{what}s: {', '.join(shown) or 'none'}{more}",
    )


async def check_kind_known(client: "Client", kind: str) -> None:
    """Refuse a kind that has neither a controller nor a resource. Raises NotFound."""
    from delta_cli.engine.model.pause import PauseScope
    from delta_cli.engine.store.read import ResourceFilter

    async for _ in client.resources(ResourceFilter(kind=kind), limit=1):
        return
    await check_known(client, PauseScope.KIND, kind)


async def check_namespace_known(client: "Client", namespace: str | None) -> None:
    """Refuse a namespace that is not there; the default one always is. Raises NotFound."""
    from delta_cli.engine.model.pause import PauseScope

    if namespace not in (None, DEFAULT_NAMESPACE):
        await check_known(client, PauseScope.NAMESPACE, namespace)


async def doubts(
    client: "Client", kinds: Iterable[str | None], namespaces: Iterable[str | None]
) -> list[str]:
    """What may be mistyped of the names that let nothing through: that is no error."""
    told: list[str] = []
    checks = [check_kind_known(client, kind) for kind in kinds if kind is not None]
    checks += [check_namespace_known(client, namespace) for namespace in namespaces]
    for check in checks:
        try:
            await check
        except NotFound as error:
            told.append(f"{error.message}; {error.hint}")
    return told


async def missing(
    client: "Client", error: NotFound, kind: str, object_id: str, namespace: str
) -> NotFound:
    """Why a resource is not found: its kind, its namespace, or its id."""
    from delta_cli.engine.store.read import ResourceFilter

    await check_kind_known(client, kind)
    elsewhere = ResourceFilter(kind=kind, object_ids=[object_id])
    names = [row.namespace async for row in client.resources(elsewhere, limit=_MOST_NAMES)]
    if names:
        return NotFound(error.message, hint=f"it is in --namespace {', '.join(sorted(names))}")
    await check_namespace_known(client, namespace)
    return NotFound(error.message, hint=f"see what there is with: delta list {kind}")


async def check_known(client: "Client", scope: "PauseScope", name: str) -> None:
    """Refuse what is not there. Raises NotFound."""
    from delta_cli.engine.store import pauses
    from delta_cli.engine.tick_names import known_ticks

    async with client.database.connection() as connection:
        ticks = known_ticks(client.config.ticks)
        names = await pauses.names(connection, scope, known_ticks=ticks)
    if name not in names:
        raise unknown(scope.value, name, names)
