"""`delta workers`: the worker processes of the fleet."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from delta_cli.cli import output
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.output import Format
from delta_cli.cli.records import WORKER, WORKER_TABLE, worker_record
from delta_cli.cli.settings import Settings
from delta_cli.cli.watch import IntervalOption, Watching, WatchOption, show

if TYPE_CHECKING:
    from delta_cli.engine.model.fleet import WorkerRow


async def list_workers(
    settings: Settings,
    *,
    ended: Annotated[
        bool, typer.Option("--all", help="Also those that stopped or were lost of late.")
    ] = False,
    watch: WatchOption = False,
    interval: IntervalOption = None,
    output_format: OutputOption = Format.TABLE,
) -> ExitCode | None:
    """List the workers of the fleet."""
    return await show(
        settings,
        lambda client: client.control.workers(ended=ended),
        lambda workers: _write(workers, output_format),
        output_format,
        Watching(watch, interval),
    )


def _write(workers: "Sequence[WorkerRow]", output_format: Format) -> None:
    if not workers and output_format is Format.TABLE:
        output.remark("no workers run; start one with: delta run")
        return
    write_workers(workers, output_format)


def write_workers(
    workers: "Sequence[WorkerRow]", output_format: Format, *, columns: Sequence[str] = WORKER
) -> None:
    """Print workers; a narrow terminal does without `paused` only where none is."""
    unpaused = () if any(worker.paused for worker in workers) else ("paused",)
    output.write_list(
        map(worker_record, workers),
        output_format,
        columns=columns,
        table=WORKER_TABLE,
        droppable=(*unpaused, "failed", "synced", "kinds", "pid", "last_error", "capacity"),
    )


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "workers",
        lists=True,
        examples=[
            "delta workers --all",
            "delta workers --watch",
            "delta workers -o json | jq '.[] | select(.heartbeat_age_s > 10)'",
        ],
    )(list_workers)
