"""`delta pause` and `resume`: hold back a kind, a namespace, a worker or a tick."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from delta_cli.cli import output
from delta_cli.cli.actor import user_name
from delta_cli.cli.command import OutputOption, always, command
from delta_cli.cli.completing import in_scope
from delta_cli.cli.durations import parse_duration
from delta_cli.cli.nearest import check_known
from delta_cli.cli.options import ActorOption, DryRunOption
from delta_cli.cli.output import Format
from delta_cli.cli.records import PAUSE, pause_record
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note, note_dry_run
from delta_cli.engine.errors import ConfigError, NotFound
from delta_cli.engine.model.pause import PauseScope

if TYPE_CHECKING:
    from datetime import timedelta


class What(StrEnum):
    """What can be paused, or `list` for what is."""

    KIND = "kind"
    NAMESPACE = "namespace"
    WORKER = "worker"
    TICK = "tick"
    LIST = "list"


_GOES_ON: Final = {
    What.KIND: "works and inform runs that have begun go on",
    What.NAMESPACE: "works that have begun go on",
    What.WORKER: "works and inform runs that it has begun go on",
    What.TICK: "a run that has begun goes on",
}


async def pause(
    settings: Settings,
    what: Annotated[
        What, typer.Argument(help="What to pause; list: what is paused now.")
    ] = What.LIST,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Its name; of a worker, its id.", autocompletion=in_scope
        ),
    ] = None,
    *,
    lasting: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="For so long (default: until resumed)."),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for who looks.")] = None,
    actor: ActorOption = None,
    dry_run: DryRunOption = False,
    output_format: OutputOption = Format.TABLE,
) -> None:
    """Hold back a kind, a namespace, a worker or a tick.

    What has begun goes on; nothing more of it begins. Without a name, list what is paused.
    """
    if what is What.LIST:
        if dry_run or any(value is not None for value in (name, lasting, reason, actor)):
            raise ConfigError(
                "list takes no name, and none of --for, --reason, --actor and --dry-run"
            )
        await _list(settings, output_format)
        return
    if name is None:
        raise ConfigError(f"no {what} is named", hint=f"write: delta pause {what} NAME")
    duration = _duration(lasting)
    async with open_client(settings, dry_run=dry_run) as client:
        try:
            done = await client.control.pause(
                what.value, name, reason=reason, actor=actor or user_name(), lasting=duration
            )
        except NotFound:
            await check_known(client, PauseScope(what.value), name)
            raise
    output.write_object(pause_record(done), output_format)
    if dry_run:
        note_dry_run(f"{what} {name} would be paused")
    else:
        note(f"{_GOES_ON[what]}; let it go on with: delta resume {what} {name}")


async def resume(
    settings: Settings,
    what: Annotated[PauseScope, typer.Argument(help="What to resume.")],
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Its name; of a worker, its id.", autocompletion=in_scope
        ),
    ],
    *,
    dry_run: DryRunOption = False,
    output_format: OutputOption = Format.TABLE,
) -> None:
    """Let go on what was paused."""
    async with open_client(settings, dry_run=dry_run) as client:
        done = await client.control.resume(what, name)
    output.write_object(pause_record(done), output_format)
    if dry_run:
        note_dry_run(f"{what} {name} would go on")


async def _list(settings: Settings, output_format: Format) -> None:
    async with open_client(settings) as client:
        pauses = await client.control.pauses()
    if not pauses and output_format is Format.TABLE:
        note("nothing is paused")
        return
    records = map(pause_record, pauses)
    output.write_list(records, output_format, columns=PAUSE, droppable=("created_at", "actor"))


def _duration(text: str | None) -> "timedelta | None":
    if text is None:
        return None
    from delta_cli.engine.control import check_lasting

    duration = parse_duration(text, "--for")
    check_lasting("--for", duration)
    return duration


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    command(
        app,
        "pause",
        lists=True,
        changes=lambda given: given["what"] is not What.LIST,
        examples=[
            "delta pause",
            "delta pause kind user --for 1h --reason 'the API is down'",
            "delta pause namespace eu --dry-run",
            "delta pause worker 7",
        ],
    )(pause)
    command(
        app,
        "resume",
        changes=always,
        examples=["delta resume kind user", "delta resume tick clean"],
    )(resume)
