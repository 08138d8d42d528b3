"""`delta get` and `delta list`: look at resources."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from delta_cli.cli import output, shapes
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.names import check_names
from delta_cli.cli.nearest import check_kind_known, check_namespace_known, doubts, missing
from delta_cli.cli.output import Format
from delta_cli.cli.records import (
    EVENT,
    RESOURCE,
    RESOURCE_TABLE,
    TIMELINE_TABLE,
    attempt_error_record,
    change_record,
    event_record,
    resource_record,
    resource_table_record,
)
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.watch import IntervalOption, Watching, WatchOption, show
from delta_cli.engine.errors import NotFound
from delta_cli.engine.settings import DEFAULT_NAMESPACE
from delta_cli.engine.states import ResourceState

if TYPE_CHECKING:
    from delta_cli.engine.client import Client
    from delta_cli.engine.model.resource_row import ResourceRow
    from delta_cli.engine.store.read import ResourceFilter

NamespaceFilter = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Only this namespace (default: all).")
]
StateFilter = Annotated[
    list[ResourceState] | None, typer.Option("--state", "-s", help="Only this state; repeatable.")
]
TagFilter = Annotated[
    list[str] | None, typer.Option("--tag", help="Only with this tag; all of them if repeated.")
]


@dataclass(frozen=True, slots=True)
class _Page:
    """What was found, and which names may be mistyped where nothing was.

    `is_sorted`: it comes in the order that the person asked for.
    """

    rows: "Sequence[ResourceRow]"
    doubts: Sequence[str]
    is_sorted: bool


async def list_resources(
    settings: Settings,
    kind: Annotated[str | None, typer.Argument(help="Only this kind.")] = None,
    *,
    namespace: NamespaceFilter = None,
    state: StateFilter = None,
    tag: TagFilter = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")] = 100,
    after: Annotated[int, typer.Option(min=0, help="Only beyond this id: the next page.")] = 0,
    watch: WatchOption = False,
    interval: IntervalOption = None,
    output_format: OutputOption = Format.TABLE,
) -> ExitCode | None:
    """List resources, the lowest ids first unless --sort says otherwise.

    With --sort, --limit leaves the first of all in that order; but by a column that holds lists or
    objects (object, last_synced_object, metadata, tags, errors) only what is shown is in order.
    """
    from delta_cli.engine.store.read import ResourceFilter

    check_names([namespace], tag or ())
    chosen = ResourceFilter(kind=kind, namespace=namespace, states=state or None, tags=tag or None)

    async def read(client: "Client") -> _Page:
        # One more than is shown tells whether there are more.
        rows, is_sorted = await _read_page(client, chosen, after, limit + 1 if limit else None)
        if rows:
            return _Page(rows, [], is_sorted=is_sorted)
        if watch:  # what is not there yet may come
            return _Page([], await doubts(client, [kind], [namespace]), is_sorted=is_sorted)
        if kind is not None:
            await check_kind_known(client, kind)
        await check_namespace_known(client, namespace)
        return _Page([], [], is_sorted=is_sorted)

    return await show(
        settings,
        read,
        lambda page: _write_page(page, limit or None, output_format),
        output_format,
        Watching(watch, interval),
    )


async def _read_page(
    client: "Client", chosen: "ResourceFilter", after: int, most: int | None
) -> "tuple[list[ResourceRow], bool]":
    """The rows, and whether they come in the order that the person asked for."""
    from delta_cli.engine.store import listing

    column, descending = output.current_view().by
    if column not in listing.SORTABLE:
        return [row async for row in client.resources(chosen, after_id=after, limit=most)], False
    async with client.database.connection() as connection:
        rows = await listing.first_by(
            connection, chosen, column, descending=descending, after_id=after, limit=most
        )
    return rows, True


def _write_page(page: _Page, limit: int | None, output_format: Format) -> None:
    record = resource_table_record if output_format.is_for_people else resource_record
    shown = page.rows[:limit]
    output.write_list(
        map(record, shown),
        output_format,
        columns=RESOURCE,
        table=RESOURCE_TABLE,
        droppable=("synced_at", "due_at", "attempt", "id"),
        is_sorted=page.is_sorted,
    )
    for doubt in page.doubts:
        output.remark(doubt)
    if len(page.rows) > len(shown):
        output.remark(_how_to_see_more(page, shown))


def _how_to_see_more(page: _Page, shown: "Sequence[ResourceRow]") -> str:
    column, _ = output.current_view().by
    if column is None:
        return f"there are more: go on with --after {shown[-1].id}"
    if page.is_sorted:
        return "there are more: raise --limit, or see all with --limit 0"
    return (
        f"there are more: only these {len(shown)} are in the order of {column}; "
        "--limit 0 orders all"
    )


async def get_resource(
    settings: Settings,
    kind: Annotated[str, typer.Argument(help="The resource's kind.")],
    object_id: Annotated[str, typer.Argument(metavar="ID", help="The object's id.")],
    *,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Its namespace.")
    ] = DEFAULT_NAMESPACE,
    events: Annotated[
        int,
        typer.Option(
            min=0,
            help="So many of its last events, among the newest 3,000,000 of the log; 0: none.",
        ),
    ] = 10,
    output_format: OutputOption = Format.TABLE,
) -> None:
    """Show one resource: its columns, its drift, the errors of this round, and its last events."""
    check_names([namespace])
    async with open_client(settings) as client:
        try:
            row = await client.get(kind, object_id, namespace=namespace)
        except NotFound as error:
            raise await missing(client, error, kind, object_id, namespace) from None
        timeline = await client.timeline(row, limit=events) if events else []
    changes = [change_record(change) for change in row.changes]
    happened = [event_record(event) for event in timeline]
    if not output_format.is_for_people:
        record = resource_record(row) | {"changes": changes, "timeline": happened}
        output.write_object(record, output_format)
        return
    record = resource_record(row)
    errors = record.pop("errors")
    output.write_object(record, output_format)
    if changes and row.synced_at is not None:
        output.write_text("\nDrift since the last sync:")
        output.write_list(
            changes, output_format, columns=tuple(shapes.CHANGE), wrapped=("path", "old", "new")
        )
    if errors:
        output.write_text("\nErrors of this round, the newest last:")
        columns = ("attempt", "at", "error", "message", "worker_id")
        records = [attempt_error_record(error) for error in row.errors]
        output.write_list(records, output_format, columns=columns, wrapped=("message",))
    if happened:
        output.write_text("\nIts last events, the newest last:")
        output.write_list(
            happened,
            output_format,
            columns=EVENT,
            table=TIMELINE_TABLE,
            droppable=("worker", "duration_ms", "id", "actor"),
            wrapped=("error",),
        )


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    command(
        app,
        "get",
        examples=[
            "delta get user bob@hello.com",
            "delta get user bob@hello.com -o json | jq .changes",
            "delta get user bob@hello.com --events 50",
        ],
    )(get_resource)
    command(
        app,
        "list",
        lists=True,
        examples=[
            "delta list",
            "delta list user --state failed --state degraded",
            "delta list user --state pending --watch",
            "delta list user --limit 0 -o jsonl | jq -r .object_id",
        ],
    )(list_resources)
