"""`delta status`: how everything stands."""

from typing import TYPE_CHECKING

import typer

from delta_cli.cli import output, worker_notes
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.output import Format
from delta_cli.cli.records import WORKER_TABLE, Values, kind_record, status_record
from delta_cli.cli.settings import Settings
from delta_cli.cli.tables import sentence
from delta_cli.cli.watch import IntervalOption, Watching, WatchOption, show
from delta_cli.cli.workers import tell, write_workers
from delta_cli.engine.states import ResourceState

if TYPE_CHECKING:
    from delta_cli.engine.model.status import KindStatus, Status

_STATES = tuple(state.value for state in ResourceState)
_COLUMNS = ("kind", "namespace", "paused", *_STATES, "due", "oldest_due_at")


async def show_status(
    settings: Settings,
    *,
    watch: WatchOption = False,
    interval: IntervalOption = None,
    output_format: OutputOption = Format.TABLE,
) -> ExitCode | None:
    """Show how many resources are in each state, what is paused, and which workers are there."""
    return await show(
        settings,
        lambda client: client.status(),
        lambda status: _write(status, output_format),
        output_format,
        Watching(watch, interval),
    )


def _write(status: "Status", output_format: Format) -> None:
    _write_data(status, output_format)
    tell(
        [
            *worker_notes.of_nobody(status.workers, status.kinds),
            *worker_notes.of_silent(status.workers),
            *worker_notes.of_lost(status.workers_lost),
        ]
    )


def _write_data(status: "Status", output_format: Format) -> None:
    if output_format in (Format.JSON, Format.JSONL):
        output.write_object(status_record(status), output_format)
        return
    lanes = [_flat(kind) for kind in status.kinds]
    if output_format is not Format.CSV:
        _write_pauses(status, output_format)
    if lanes or output_format is not Format.TABLE:
        output.write_list(
            lanes,
            output_format,
            columns=_COLUMNS,
            idle=("paused", *_STATES, "due"),
            droppable=("oldest_due_at",),
        )
    else:
        output.remark("there are no resources yet; inform some with: delta inform")
    if output_format is not Format.CSV:
        _write_workers(status, output_format)


def _write_pauses(status: "Status", output_format: Format) -> None:
    """What is held back comes first: it is what nobody thinks of at night."""
    for pause in status.pauses:
        output.write_text(sentence(pause.told, markdown=output_format is Format.MARKDOWN))
    if status.pauses:
        output.write_text("")


def _write_workers(status: "Status", output_format: Format) -> None:
    if not status.workers:
        if not worker_notes.of_nobody(status.workers, status.kinds):
            output.remark("no workers run")
        return
    output.write_text("")
    write_workers(status.workers, output_format, columns=WORKER_TABLE)


def _flat(kind: "KindStatus") -> Values:
    """A lane with one column per state."""
    record = kind_record(kind)
    states = record.pop("states")
    return record | {state: states.get(state, 0) for state in _STATES}


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "status",
        examples=[
            "delta status",
            "delta status --watch --interval 5s",
            "delta status -o json | jq .states",
        ],
    )(show_status)
