"""`delta informs`: the last runs of informers."""

from typing import Annotated, Final

import typer

from delta_cli.cli import output
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.output import Format
from delta_cli.cli.records import INFORM_COUNTS, INFORM_RUN, inform_run_record
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note

_TABLE: Final = (
    "id",
    "kind",
    "state",
    "requested_by",
    "worker_id",
    "started_at",
    "finished_at",
    *INFORM_COUNTS,
    "error",
)


async def list_inform_runs(
    settings: Settings,
    kind: Annotated[str | None, typer.Argument(help="Only of this kind.")] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    output_format: OutputOption = Format.TABLE,
) -> None:
    """List the last runs of informers.

    The newest comes first. Ended runs are removed in time.
    """
    async with open_client(settings) as client:
        runs = await client.control.inform_runs(kind, limit)
    if not runs and output_format is Format.TABLE:
        note("no informer has run of late")
        return
    output.write_list(
        map(inform_run_record, runs),
        output_format,
        columns=(*INFORM_RUN, *INFORM_COUNTS),
        table=_TABLE,
        droppable=(
            *("refused", "skipped", "stale", "worker_id", "requested_by"),
            *("started_at", "unchanged", "updated", "created"),
        ),
    )


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "informs",
        lists=True,
        examples=[
            "delta informs user --limit 5",
            "delta informs -o json | jq '.[] | select(.state == \"failed\")'",
        ],
    )(list_inform_runs)
