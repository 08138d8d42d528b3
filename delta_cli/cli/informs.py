"""`delta informs`: the last runs of informers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from delta_cli.cli import output
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.nearest import check_kind_known
from delta_cli.cli.output import Format
from delta_cli.cli.records import INFORM_COUNTS, INFORM_RUN, inform_run_record
from delta_cli.cli.settings import Settings
from delta_cli.cli.watch import IntervalOption, Watching, WatchOption, show
from delta_cli.engine.errors import NotFound

if TYPE_CHECKING:
    from delta_cli.engine.client import Client
    from delta_cli.engine.model.inform import InformRun

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
    watch: WatchOption = False,
    interval: IntervalOption = None,
    output_format: OutputOption = Format.TABLE,
) -> ExitCode | None:
    """List the last runs of informers.

    The newest comes first. Ended runs are removed in time.
    """

    async def read(client: "Client") -> "list[InformRun]":
        try:
            return await client.control.inform_runs(kind, limit)
        except NotFound:
            await check_kind_known(client, str(kind))
            raise

    return await show(
        settings,
        read,
        lambda runs: _write(runs, output_format),
        output_format,
        Watching(watch, interval),
    )


def _write(runs: "Sequence[InformRun]", output_format: Format) -> None:
    if not runs and output_format is Format.TABLE:
        output.remark("no informer has run of late")
        return
    output.write_list(
        map(inform_run_record, runs),
        output_format,
        columns=INFORM_RUN,
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
            "delta informs --watch",
            "delta informs -o json | jq '.[] | select(.state == \"failed\")'",
        ],
    )(list_inform_runs)
