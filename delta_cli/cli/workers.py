"""`delta workers`: the worker processes of the fleet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from delta_cli.cli import output, worker_notes
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.output import Format
from delta_cli.cli.records import WORKER, WORKER_TABLE, worker_record, worker_table_record
from delta_cli.cli.settings import Settings
from delta_cli.cli.watch import IntervalOption, Watching, WatchOption, show

if TYPE_CHECKING:
    from delta_cli.cli.worker_notes import Note
    from delta_cli.engine.client import Client
    from delta_cli.engine.model.fleet import WorkerRow


@dataclass(frozen=True, slots=True)
class _Fleet:
    """The workers to show, and how many were lost of late that are not among them."""

    workers: "Sequence[WorkerRow]"
    lost: int


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

    async def read(client: "Client") -> _Fleet:
        workers = await client.control.workers(ended=ended)
        return _Fleet(workers, 0 if ended else await client.control.workers_lost())

    return await show(
        settings,
        read,
        lambda fleet: _write(fleet, output_format),
        output_format,
        Watching(watch, interval),
    )


def _write(fleet: _Fleet, output_format: Format) -> None:
    if not fleet.workers and output_format is Format.TABLE:
        output.remark("no workers run; start one with: delta run")
    else:
        write_workers(fleet.workers, output_format)
    tell([*worker_notes.of_silent(fleet.workers), *worker_notes.of_lost(fleet.lost)])


def tell(notes: "Sequence[Note]") -> None:
    """Tell a person of workers what their rows do not."""
    for one in notes:
        output.remark(one.text, lasting=one.lasting)


def write_workers(
    workers: "Sequence[WorkerRow]", output_format: Format, *, columns: Sequence[str] = WORKER
) -> None:
    """Print workers. An error is cut on a narrow terminal, and never dropped."""
    output.write_list(
        map(worker_table_record if output_format.is_for_people else worker_record, workers),
        output_format,
        columns=columns,
        table=WORKER_TABLE,
        idle=("paused", "failed", "synced", "last_error"),
        droppable=("failed", "synced", "kinds", "pid", "capacity"),
        elastic=("last_error",),
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
            "delta workers -o json | jq '.[] | select(.silent)'",
        ],
    )(list_workers)
