"""What became of each resource that was to be repaired: its record, the counts, and the error."""

from typing import Any, Final

from delta_cli.cli.nearest import missing
from delta_cli.cli.talk import note
from delta_cli.engine.client import Client
from delta_cli.engine.errors import NotFound
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.settings import DEFAULT_NAMESPACE
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store.repair import Repair, refusal

_TOLD: Final = 3


class RepairReport:
    """Makes the records of one repair and remembers what could not be done."""

    def __init__(self, repair: Repair, kind: str, namespace: str | None) -> None:
        self._repair: Repair = repair
        self._kind: str = kind
        self._namespace: str | None = namespace
        self._counts: dict[str, int] = {"applied": 0, "refused": 0, "missing": 0}
        if repair.settled_states:
            self._counts["unchanged"] = 0
        self._refused: list[ResourceRow] = []
        self._missing: list[str] = []

    def record(self, row: ResourceRow, *, applied: bool) -> dict[str, Any]:
        """Of a row as it was found."""
        if applied:
            return self._record(
                row.namespace, row.object_id, row.state, self._repair.to_state, "applied"
            )
        outcome = "unchanged" if row.state in self._repair.settled_states else "refused"
        if outcome == "refused":
            self._refused.append(row)
        return self._record(row.namespace, row.object_id, row.state, row.state, outcome)

    def missing(self, object_id: str) -> dict[str, Any]:
        """Of an id that is not there."""
        self._missing.append(object_id)
        return self._record(self._namespace, object_id, None, None, "missing")

    def _record(
        self,
        namespace: str | None,
        object_id: str,
        was: ResourceState | None,
        state: ResourceState | None,
        outcome: str,
    ) -> dict[str, Any]:
        self._counts[outcome] += 1
        return {
            "namespace": namespace,
            "kind": self._kind,
            "object_id": object_id,
            "was": was and was.value,
            "state": state and state.value,
            "outcome": outcome,
        }

    def tell_counts(self, *, dry_run: bool) -> None:
        """Say how many there are of each outcome."""
        would = "would be " if dry_run else ""
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self._counts.items())
        note(f"{self._repair.verb}: {would}{counts}")

    def tell_refused(self) -> None:
        """Say why some were refused, where that is no error."""
        if self._refused:
            note(refusal(self._repair, self._refused).message)

    async def raise_if_any(self, client: Client) -> None:
        """Raise NotFound or StateConflict for what was named and could not be done."""
        refused = refusal(self._repair, self._refused) if self._refused else None
        if self._missing:
            error = await self._not_found(client)
            also = f"; {refused.message}" if refused else ""
            raise NotFound(f"{error.message}{also}", hint=error.hint)
        if refused:
            raise refused

    async def _not_found(self, client: Client) -> NotFound:
        named = ", ".join(f"{self._kind}/{one}" for one in self._missing[:_TOLD])
        more = len(self._missing) - _TOLD
        others = f" and {more:,} more" if more > 0 else ""
        namespace = self._namespace or DEFAULT_NAMESPACE
        error = NotFound(f"there is no resource {named}{others} in namespace {namespace!r}")
        return await missing(client, error, self._kind, self._missing[0], namespace)
