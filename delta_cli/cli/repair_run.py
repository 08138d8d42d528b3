"""Finds the resources to repair, asks, repairs them in batches, and tells what became of each."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from delta_cli.cli import output, shapes
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.nearest import check_kind_known, check_namespace_known
from delta_cli.cli.output import Format
from delta_cli.cli.place import place_of
from delta_cli.cli.progress import Advance, progress_bar
from delta_cli.cli.repair_report import RepairReport
from delta_cli.cli.talk import is_agreed
from delta_cli.engine.client import Client
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store.read import ResourceFilter
from delta_cli.engine.store.repair import DELETE, INVALIDATE, RETRY, Repair

_REPAIRS: Final = {repair.verb: repair for repair in (INVALIDATE, RETRY, DELETE)}
_BATCH: Final = 500
#: More are told as "more than so many" when asking.
_MOST_COUNTED: Final = 1_000
_SAMPLES: Final = 3
#: More are agreed to by typing their kind, not by a `y` that a finger may have slipped on.
_MANY: Final = 100
_COLUMNS: Final = tuple(shapes.REPAIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairOptions:
    """What the command line asks for. `namespace` None: every one; `ids` empty: by the filters."""

    verb: str
    kind: str
    ids: Sequence[str]
    namespace: str | None
    states: Sequence[ResourceState]
    tags: Sequence[str]
    dry_run: bool
    yes: bool
    actor: str


@dataclass(frozen=True, slots=True)
class _Question:
    """`typed`: what has to be typed to agree; None: yes is enough."""

    text: str
    typed: str | None


class RepairRun:
    """One run of a repair over named or filtered resources."""

    def __init__(self, client: Client, options: RepairOptions) -> None:
        self._client: Client = client
        self._options: RepairOptions = options
        self._repair: Repair = _REPAIRS[options.verb]
        self._report: RepairReport = RepairReport(self._repair, options.kind, options.namespace)
        self._counted: int | None = None  # how many the filters let through, where that is known

    async def run(self, form: Format) -> ExitCode:
        """Ask where that is needed, repair, and print a record per resource.

        Raises NotFound and StateConflict for what was named and could not be done.
        """
        self._check_states()
        if self._needs_confirmation():
            question = await self._question()
            if question is not None and not is_agreed(question.text, typed=question.typed):
                return ExitCode.FAILED
        with progress_bar(self._repair.verb, form) as advance:
            records = await self._all_records(advance)
        if all(record["outcome"] == "missing" for record in records):
            await check_kind_known(self._client, self._options.kind)
            await check_namespace_known(self._client, self._options.namespace)
        output.write_list(records, form, columns=_COLUMNS)
        self._report.tell_counts(dry_run=self._options.dry_run)
        if self._options.ids and not self._options.dry_run:
            await self._report.raise_if_any(self._client)
        self._report.tell_refused()
        return ExitCode.DONE

    async def _all_records(self, advance: Advance) -> list[dict[str, Any]]:
        total = len(self._options.ids) or self._counted
        records: list[dict[str, Any]] = []
        async for record in self._records():
            records.append(record)
            if len(records) % _BATCH == 0:
                advance(len(records), total)
        advance(len(records), len(records))
        return records

    def _check_states(self) -> None:
        allowed = self._repair.accepted_states
        never = [state.value for state in self._options.states if state not in allowed]
        if never:
            raise ConfigError(
                f"{self._repair.verb} is refused for resources that are {', '.join(never)}",
                hint=f"{self._repair.verb} takes resources that are {', '.join(allowed)}",
            )

    def _needs_confirmation(self) -> bool:
        options = self._options
        asks = not options.ids or self._repair is DELETE
        return asks and not options.yes and not options.dry_run

    async def _question(self) -> _Question | None:
        """What to ask; None when there is nothing to do."""
        options = self._options
        if options.ids:
            # Those that are there: nobody is asked about what cannot be done.
            ids = [row.object_id for row in await self._named(options.ids)]
            count = f"{len(ids)}"
        else:
            rows = [row async for row in self._filtered(limit=_MOST_COUNTED + 1)]
            count = f"{len(rows)}" if len(rows) <= _MOST_COUNTED else f"more than {_MOST_COUNTED}"
            self._counted = len(rows) if len(rows) <= _MOST_COUNTED else None
            ids = [row.object_id for row in rows]
        if not ids:
            return None
        more = ", ..." if len(ids) > _SAMPLES else ""
        samples = f" ({', '.join(ids[:_SAMPLES])}{more})"
        namespace = options.namespace
        where = "every namespace" if namespace is None else f"namespace {namespace!r}"
        text = (
            f"{self._repair.verb.capitalize()} {count} of kind {options.kind!r}{samples} "
            f"in {where} of {place_of(self._client)}?"
        )
        return _Question(text, options.kind if len(ids) > _MANY else None)

    async def _records(self) -> AsyncIterator[dict[str, Any]]:
        if not self._options.ids:
            async for batch in _in_batches(self._filtered()):
                for record in await self._repaired(batch):
                    yield record
            return
        left = iter(self._options.ids)
        while ids := list(islice(left, _BATCH)):
            rows = {row.object_id: row for row in await self._named(ids)}
            done = await self._repaired(list(rows.values()))
            by_id = {record["object_id"]: record for record in done}
            for object_id in ids:
                yield by_id.get(object_id) or self._report.missing(object_id)

    async def _named(self, ids: Sequence[str]) -> list[ResourceRow]:
        options = self._options
        chosen = ResourceFilter(kind=options.kind, namespace=options.namespace, object_ids=ids)
        return [row async for row in self._client.resources(chosen)]

    def _filtered(self, limit: int | None = None) -> AsyncIterator[ResourceRow]:
        options = self._options
        chosen = ResourceFilter(
            kind=options.kind,
            namespace=options.namespace,
            states=options.states or self._repair.from_states,
            tags=options.tags or None,
        )
        return self._client.resources(chosen, limit=limit)

    async def _repaired(self, rows: Sequence[ResourceRow]) -> list[dict[str, Any]]:
        """Repair rows as they were seen; a record of each."""
        allowed = [row for row in rows if row.state in self._repair.from_states]
        if self._options.dry_run:
            applied = {row.id for row in allowed}
        else:
            actor = self._options.actor
            applied = set(await self._client.repair_many(self._repair, allowed, actor=actor))
        moved = {row.id for row in allowed} - applied
        seen_again = await self._look_again([row for row in rows if row.id in moved])
        return [
            self._report.record(seen_again.get(row.id, row), applied=row.id in applied)
            for row in rows
        ]

    async def _look_again(self, rows: Sequence[ResourceRow]) -> dict[int, ResourceRow]:
        """The rows that somebody else has moved meanwhile, as they are now."""
        if not rows:
            return {}
        chosen = ResourceFilter(kind=self._options.kind, object_ids=[row.object_id for row in rows])
        return {row.id: row async for row in self._client.resources(chosen)}


async def _in_batches(rows: AsyncIterator[ResourceRow]) -> AsyncIterator[list[ResourceRow]]:
    batch: list[ResourceRow] = []
    async for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
