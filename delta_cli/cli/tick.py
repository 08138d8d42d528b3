"""`delta tick`: the periodic services of the fleet, or one of them forced here and now."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from delta_cli.cli import output
from delta_cli.cli.actor import user_name
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.completing import ticks
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.options import ActorOption, DryRunOption
from delta_cli.cli.output import Format
from delta_cli.cli.records import (
    TICK,
    TICK_RUN,
    TICK_TABLE,
    tick_record,
    tick_run_record,
)
from delta_cli.cli.settings import Settings
from delta_cli.cli.watch import IntervalOption, Watching, WatchOption, show
from delta_cli.engine.errors import ConfigError

if TYPE_CHECKING:
    from delta_cli.engine.model.tick import TickRow

_LAST: Final = 20


async def tick(
    settings: Settings,
    name: Annotated[
        str | None, typer.Argument(help="The tick to force.", autocompletion=ticks)
    ] = None,
    *,
    runs: Annotated[
        bool, typer.Option("--runs", help=f"List the last {_LAST} runs, and force none.")
    ] = False,
    watch: WatchOption = False,
    interval: IntervalOption = None,
    actor: ActorOption = None,
    dry_run: DryRunOption = False,
    output_format: OutputOption = Format.TABLE,
) -> ExitCode | None:
    """Force a periodic service now, or list all with their health.

    It runs in this process, under the same lock and records as everywhere. A tick of an application
    needs --app. Exit status 9: it was skipped, as when another process runs it.
    """
    if name is not None and not runs:
        from delta_cli.cli.tick_run import force, rehearse

        if watch or interval:
            raise ConfigError("a tick that is forced cannot be watched", hint="watch its --runs")
        if dry_run:
            return await rehearse(settings, name, output_format)
        return await force(settings, name, actor or user_name(), output_format)
    if dry_run or actor:
        raise ConfigError("--dry-run and --actor belong to a tick that is forced by its name")

    def write(ticks: "Sequence[TickRow]") -> None:
        if runs:
            _write_runs(ticks, name, output_format)
        else:
            _write(ticks, output_format)

    watching = Watching(watch, interval)
    return await show(settings, lambda client: client.ticks(), write, output_format, watching)


def _write(ticks: "Sequence[TickRow]", output_format: Format) -> None:
    output.write_list(
        map(tick_record, ticks),
        output_format,
        columns=TICK,
        table=TICK_TABLE,
        idle=("paused", "consecutive_failures", "last_error", "holder"),
        droppable=("holder", "interval_s", "last_duration_ms", "enabled", "count_key", "next_due"),
        elastic=("last_error",),
    )
    if output_format is Format.TABLE and all(tick.last_start is None for tick in ticks):
        output.remark("no tick has ever run; start a worker with: delta run")


def _write_runs(ticks: "Sequence[TickRow]", name: str | None, output_format: Format) -> None:
    from delta_cli.cli.tick_run import check_known

    if name is not None:
        check_known(ticks, name)
    chosen = [tick for tick in ticks if name in (None, tick.name)]
    runs = [(tick.name, run) for tick in chosen for run in tick.runs]
    runs.sort(key=lambda one: one[1].started_at, reverse=True)
    if not runs and output_format is Format.TABLE:
        output.remark("no tick has ever run" if name is None else f"tick {name} has never run")
        return
    output.write_list(
        (tick_run_record(*one) for one in runs[:_LAST]),
        output_format,
        columns=TICK_RUN,
        droppable=("run_id", "finished_at", "holder", "count_key"),
    )


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "tick",
        lists=True,
        changes=lambda given: given["name"] is not None and not given["runs"],
        examples=[
            "delta tick",
            "delta tick --watch",
            "delta tick rescue -o json | jq .outcome",
            "delta tick clean --dry-run",
            "delta tick nightly --app myapp:config",
            "delta tick clean --runs",
        ],
    )(tick)
