"""What operators do to the fleet, and what they look at: pauses, cancels, limits, workers, runs.

Whatever is changed here is in the database, and holds for every process from then on.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any, Final

from delta_cli.engine.arguments import check_key, check_text
from delta_cli.engine.errors import ConfigError, NotFound, StateConflict
from delta_cli.engine.field_types import check_argument
from delta_cli.engine.hints import CONTROL, INFORM, WORK
from delta_cli.engine.model.fleet import ControllerRow, NamespaceRow, QuotaRow, WorkerRow
from delta_cli.engine.model.inform import InformRun
from delta_cli.engine.model.pause import Pause, PauseScope
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.session import Session
from delta_cli.engine.settings import DEFAULT_NAMESPACE, NamespaceConfig
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store import cancels, namespaces, pauses, read, registry, runs
from delta_cli.engine.tick_names import known_ticks

_LONGEST_PAUSE: Final = timedelta(days=3_650)
_LONGEST_TEXT: Final = 1_000
#: Names that are told when one is not known.
_MOST_NAMES: Final = 20


class ControlPlane:
    """Reached as `client.control`, in any process: it needs no controllers.

    Its calls raise NotFound for what is not there, StateConflict for what is refused as things
    stand, and ConfigError for bad values; none of them then changes anything.
    """

    def __init__(self, session: Session, hint: Callable[[str, set[str]], Awaitable[None]]) -> None:
        self._session: Session = session
        self._hint: Callable[[str, set[str]], Awaitable[None]] = hint

    # Pausing

    async def pause(
        self,
        scope: PauseScope | str,
        name: str,
        *,
        reason: str | None = None,
        actor: str | None = None,
        lasting: timedelta | None = None,
    ) -> Pause:
        """Begin no more of it: works and inform runs of a kind or a worker, works of a namespace,
        runs of a tick. What runs goes on. A worker is named by its id.

        `lasting` None: until it is resumed; else it ends by itself. Paused again, a thing has the
        new reason, actor and end. A claim that is under way at this moment may still take rows.
        """
        where = _scope(scope)
        _check_text("name", name)
        _check_text("reason", reason)
        _check_text("actor", actor)
        check_argument("lasting", lasting, timedelta | None)
        if lasting is not None:
            check_lasting("lasting", lasting)
        steps = pauses.pause_steps(
            where,
            name,
            reason=reason,
            actor=actor,
            lasting=lasting,
            known_ticks=known_ticks(self._session.config.ticks),
        )
        pause = await self._session.run(steps)
        if pause is None:
            raise await self._not_there(where, name)
        await self._hint(CONTROL, {""})
        return pause

    async def resume(self, scope: PauseScope | str, name: str) -> Pause:
        """Let it go on at once. Returns the pause that was; NotFound when it is not paused."""
        where = _scope(scope)
        _check_text("name", name)
        pause = await self._session.run(pauses.resume_steps(where, name))
        if pause is None:
            paused = [one.name for one in await self.pauses() if one.scope is where]
            raise NotFound(f"{where} {name!r} is not paused", hint=f"paused: {_listed(paused)}")
        await self._hint(CONTROL, {""})
        await self._hint_resumed(where, name)
        return pause

    async def pauses(self) -> list[Pause]:
        """What is paused now."""
        async with self._session.connection() as connection:
            return await pauses.in_force(connection)

    async def require_unpaused(self, scope: PauseScope, name: str) -> None:
        """Raises StateConflict when it is paused now."""
        async with self._session.connection() as connection:
            pause = await pauses.find(connection, scope, name)
        if pause is not None:
            hint = f"let it go on: delta resume {scope} {name}"
            raise StateConflict(pause.told, hint=hint)

    async def _not_there(self, scope: PauseScope, name: str) -> NotFound:
        async with self._session.connection() as connection:
            ticks = known_ticks(self._session.config.ticks)
            names = await pauses.names(connection, scope, known_ticks=ticks)
        what = f"worker {name!r} that runs" if scope is PauseScope.WORKER else f"{scope} {name!r}"
        return NotFound(f"there is no {what}", hint=f"{scope}s: {_listed(names)}")

    async def _hint_resumed(self, scope: PauseScope, name: str) -> None:
        if scope is PauseScope.TICK:
            return
        kinds = {name}
        if scope is not PauseScope.KIND:
            async with self._session.connection() as connection:
                kinds = set(await pauses.names(connection, PauseScope.KIND))
        if scope is PauseScope.NAMESPACE:
            await self._hint(WORK, {f"{kind} {name}" for kind in kinds})
            return
        await self._hint(WORK, kinds)
        await self._hint(INFORM, kinds)

    # Cancelling

    async def cancel(
        self, kind: str, object_id: str, *, namespace: str = DEFAULT_NAMESPACE, actor: str
    ) -> ResourceRow:
        """Cancel the running work of one resource: its attempt fails as "cancelled by ACTOR".

        It is then tried again like any that failed. Returns the resource as it stands now: its
        worker takes notice soon. Raises StateConflict, naming the state, unless it is pending.
        """
        check_key(kind, object_id, namespace)
        _check_text("actor", actor)
        if not actor:
            raise ConfigError("actor must not be empty", hint="say who cancels the work")
        state = await self._session.run(
            cancels.request_steps(kind, namespace, object_id, actor=actor)
        )
        if state is not None and state is not ResourceState.PENDING:
            raise StateConflict(
                f"{kind}/{object_id} is {state}: cancel is refused",
                hint="cancel takes resources that are pending: their work runs now",
            )
        row = await self._session.run(read.get_steps(kind, namespace, object_id))
        await self._hint(CONTROL, {""})
        return row

    # Namespaces

    async def namespaces(self) -> list[NamespaceRow]:
        """Every namespace with its settings."""
        async with self._session.connection() as connection:
            return await namespaces.list_namespaces(connection)

    async def set_namespace(self, name: str, config: NamespaceConfig) -> NamespaceRow:
        """Set all settings of a namespace, which is made if it is not there.

        They hold from the next claim and the next pass on, until an application that configures
        this namespace starts.
        """
        check_argument("config", config, NamespaceConfig)
        settings = {field.name: getattr(config, field.name) for field in fields(config)}
        return await self.change_namespace(name, settings)

    async def change_namespace(self, name: str, settings: Mapping[str, Any]) -> NamespaceRow:
        """Set some settings of a namespace by name, as of `NamespaceConfig`; the others stay."""
        async with self._session.connection() as connection:
            await namespaces.change_namespace(connection, name, settings)
            (row,) = await namespaces.list_namespaces(connection, name)
        await self._hint(CONTROL, {""})
        return row

    # Looking

    async def workers(self, *, ended: bool = False) -> list[WorkerRow]:
        """The workers that are there; with `ended`, also those that stopped or were lost."""
        async with self._session.connection() as connection:
            return await read.workers(connection, ended=ended)

    async def workers_lost(self) -> int:
        """How many workers were lost within a day."""
        async with self._session.connection() as connection:
            return await read.workers_lost(connection)

    async def controllers(self) -> list[ControllerRow]:
        """Every kind that has ever had a controller."""
        async with self._session.connection() as connection:
            return await registry.list_controllers(connection)

    async def inform_runs(self, kind: str | None = None, limit: int = 50) -> list[InformRun]:
        """The newest inform runs, of one kind or of all, the newest first.

        Raises NotFound for a kind that never had a controller.
        """
        if limit < 1:
            raise ConfigError(f"limit must be 1 or more, got {limit}")
        async with self._session.connection() as connection:
            found = await runs.list_runs(connection, kind, limit=limit)
            if kind is not None and not found:
                known = [one.kind for one in await registry.list_controllers(connection)]
                if kind not in known:
                    raise NotFound(
                        f"no controller has ever registered kind {kind!r}",
                        hint=f"known kinds: {_listed(known)}",
                    )
        return found

    async def quotas(self) -> list[QuotaRow]:
        """The limits across the fleet, and how much of each is granted and used."""
        async with self._session.connection() as connection:
            return await read.quotas(connection)


def _scope(scope: PauseScope | str) -> PauseScope:
    try:
        return PauseScope(scope)
    except ValueError:
        raise ConfigError(
            f"scope must be one of {', '.join(PauseScope)}, got {str(scope)!r}"
        ) from None


def check_lasting(name: str, lasting: timedelta) -> None:
    """Refuse how long a pause is to last, by the name under which that was given."""
    if timedelta(0) < lasting <= _LONGEST_PAUSE:
        return
    most = f"at most {_LONGEST_PAUSE.days} days"
    needed = most if lasting > _LONGEST_PAUSE else "longer than zero"
    hint = "without it, the pause lasts until it is resumed"
    raise ConfigError(f"{name} must be {needed}, got {lasting}", hint=hint)


def _check_text(name: str, value: str | None) -> None:
    if value is None:
        return
    check_text(name, value)
    if len(value) > _LONGEST_TEXT:
        raise ConfigError(f"{name} must have at most {_LONGEST_TEXT} characters, got {len(value)}")


def _listed(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more or "none"
