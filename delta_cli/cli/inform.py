"""`delta inform`: queue a run of a kind's informer, or inform objects that are given here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from delta_cli.cli.actor import user_name
from delta_cli.cli.application import find_application
from delta_cli.cli.command import OutputOption, always, command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.options import ActorOption, DryRunOption
from delta_cli.cli.output import Format
from delta_cli.cli.settings import Settings
from delta_cli.cli.usage_errors import told_as_usage
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.settings import check_kind

if TYPE_CHECKING:
    from delta_cli.engine.config import Config

_STDIN = "-"
_RUN = "Queue a run of the informer"
_OBJECTS = "Or inform objects given here"


async def inform(
    settings: Settings,
    kind: Annotated[str, typer.Argument(help="The kind to inform.")],
    source: Annotated[
        str | None, typer.Argument(metavar="-", help="Objects from stdin, as --file -.")
    ] = None,
    *,
    after: Annotated[
        str | None,
        typer.Option(
            help="Only what is newer: a time, or 5m for the last five minutes. "
            "Default: the watermark.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="List everything, not from the watermark.", rich_help_panel=_RUN
        ),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many objects.", rich_help_panel=_RUN)
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="name=value for the informer; repeatable.", rich_help_panel=_RUN),
    ] = None,
    order_by: Annotated[
        str | None, typer.Option(help="An order for the informer.", rich_help_panel=_RUN)
    ] = None,
    process_existing: Annotated[
        bool,
        typer.Option(
            "--process-existing",
            help="Also work synced resources that are unchanged.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    foreground: Annotated[
        bool,
        typer.Option(
            "--foreground",
            help="Run it here and now, and work what it reports; exit 8 if any failed.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until a worker has run it.", rich_help_panel=_RUN)
    ] = False,
    timeout: Annotated[
        str | None, typer.Option(help="How long to wait, as 5m; then exit 4.", rich_help_panel=_RUN)
    ] = None,
    objects: Annotated[
        list[str] | None,
        typer.Option(
            "--object", metavar="JSON", help="An object; repeatable.", rich_help_panel=_OBJECTS
        ),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="JSON lines; - for stdin; repeatable.",
            rich_help_panel=_OBJECTS,
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Their namespace.", rich_help_panel=_OBJECTS),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="A tag; repeatable.", rich_help_panel=_OBJECTS)
    ] = None,
    priority: Annotated[
        int | None, typer.Option(help="1 (first) to 4 (last).", rich_help_panel=_OBJECTS)
    ] = None,
    max_attempts: Annotated[
        int | None, typer.Option(help="Attempts per round.", rich_help_panel=_OBJECTS)
    ] = None,
    id_field: Annotated[
        str,
        typer.Option(
            help="Where the id is, if no application knows the kind.", rich_help_panel=_OBJECTS
        ),
    ] = "id",
    continue_on_error: Annotated[
        bool,
        typer.Option(
            "--continue-on-error",
            help="Pass over what is refused, and exit 1. "
            "Without it, all objects are stored or none.",
            rich_help_panel=_OBJECTS,
        ),
    ] = False,
    actor: ActorOption = None,
    dry_run: DryRunOption = False,
    output_format: OutputOption = Format.TABLE,
) -> ExitCode | None:
    """Tell Delta of objects: queue a run of a kind's informer, or give the objects here."""
    from delta_cli.cli.inform_objects import GivenOptions, inform_objects
    from delta_cli.cli.inform_run import RunOptions, queue_run

    with told_as_usage():
        check_kind(kind)
    run_only = {
        "--after": after,
        "--all": everything,
        "--limit": limit,
        "--label": label,
        "--order-by": order_by,
        "--foreground": foreground,
        "--wait": wait,
        "--timeout": timeout,
        "--actor": actor,
    }
    objects_only = {
        "--namespace": namespace,
        "--tag": tag,
        "--priority": priority,
        "--max-attempts": max_attempts,
        "--continue-on-error": continue_on_error,
    }
    texts, files = _given(source, objects or (), file or ())
    if texts or files:
        _refuse(run_only, "a run of the informer, not to objects that are given")
        given = GivenOptions(
            texts=texts,
            files=files,
            namespace=namespace,
            tags=tag or (),
            priority=priority,
            max_attempts=max_attempts,
            id_field=id_field,
            process_existing=process_existing,
            continue_on_error=continue_on_error,
            dry_run=dry_run,
        )
        return await inform_objects(settings, _config(settings), kind, given, output_format)
    _refuse(objects_only, "objects given with --object or --file")
    asked = RunOptions(
        after=after,
        everything=everything,
        limit=limit,
        labels=label or (),
        order_by=order_by,
        process_existing=process_existing,
        foreground=foreground,
        wait=wait,
        timeout=timeout,
        actor=actor or user_name(),
        dry_run=dry_run,
    )
    return await queue_run(settings, _config(settings), kind, asked, output_format)


def _given(
    source: str | None, objects: Sequence[str], files: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The objects and the files that are named; `-` is stdin, wherever it stands."""
    if source not in (None, _STDIN):
        raise ConfigError(
            f"{source!r} is neither an option nor -, which reads objects from stdin",
            hint="one kind is informed at a time; see: delta inform --help",
        )
    named = [one for one in (source, *objects) if one == _STDIN]
    return [one for one in objects if one != _STDIN], [*files, *named]


def _config(settings: Settings) -> "Config | None":
    return find_application(settings)


def _refuse(options: "dict[str, object]", belongs_to: str) -> None:
    given: Sequence[str] = [name for name, value in options.items() if value]
    if given:
        raise ConfigError(
            f"{', '.join(given)} belongs to {belongs_to}", hint="see: delta inform --help"
        )


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "inform",
        changes=always,
        examples=[
            "delta inform user",
            "delta inform user --after 1h --foreground --app myapp:config",
            """delta inform user --object '{"id": "bob", "name": "Bob"}'""",
            "delta inform user --file users.jsonl --dry-run",
            "psql -Atc 'select row_to_json(u) from users u' | delta inform user -",
        ],
    )(inform)
