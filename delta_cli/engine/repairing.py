"""What operators do to resources through a client: repaired by key or by row, and told of."""

from collections.abc import Awaitable, Callable, Sequence

from delta_cli.engine.arguments import check_key, check_text
from delta_cli.engine.hints import EVENT, WORK
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.session import Session
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store import read, repair
from delta_cli.engine.store.repair import Repair


class Repairs:
    """Applies repairs; `hint` wakes those who work and read events once one has changed a row."""

    def __init__(self, session: Session, hint: Callable[[str, set[str]], Awaitable[None]]) -> None:
        self._session: Session = session
        self._hint: Callable[[str, set[str]], Awaitable[None]] = hint

    async def one(
        self, what: Repair, kind: str, object_id: str, namespace: str, actor: str | None
    ) -> ResourceRow:
        """Repair one resource; one that is settled stays as it is.

        Raises NotFound, or StateConflict naming its state.
        """
        check_key(kind, object_id, namespace)
        _check_actor(actor)
        row = await self._get(kind, object_id, namespace)
        # In whatever state it is by now, if only the repair allows that.
        repaired = await self._session.run(repair.apply_repair(what, [row.id], actor=actor))
        after = await self._get(kind, object_id, namespace)
        if repaired:
            await self._hint_repaired(what, {kind})
        else:
            repair.require_settled(what, after)
        return after

    async def many(self, what: Repair, rows: Sequence[ResourceRow], actor: str | None) -> list[int]:
        """Repair those whose state is still as in their row. Returns the ids of these."""
        _check_actor(actor)
        by_state: dict[ResourceState, list[int]] = {}
        for row in rows:
            by_state.setdefault(row.state, []).append(row.id)
        repaired: list[int] = []
        for state, ids in by_state.items():
            steps = repair.apply_repair(what, ids, actor=actor, from_states=[state])
            repaired += await self._session.run(steps)
        if repaired:
            await self._hint_repaired(what, {row.kind for row in rows})
        return repaired

    async def _get(self, kind: str, object_id: str, namespace: str) -> ResourceRow:
        return await self._session.run(read.get_steps(kind, namespace, object_id))

    async def _hint_repaired(self, what: Repair, kinds: set[str]) -> None:
        await self._hint(EVENT, {""})
        if what.due:
            await self._hint(WORK, kinds)


def _check_actor(actor: str | None) -> None:
    if actor is not None:
        check_text("actor", actor)
