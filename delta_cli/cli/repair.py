"""`delta invalidate`, `retry` and `delete`: what operators do to resources."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from delta_cli.cli.actor import user_name
from delta_cli.cli.command import OutputOption, always, command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.names import check_names
from delta_cli.cli.options import ActorOption, DryRunOption
from delta_cli.cli.output import Format
from delta_cli.cli.resources import StateFilter, TagFilter
from delta_cli.cli.settings import Settings
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.settings import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from delta_cli.cli.repair_run import RepairOptions

_HELP: Final = {
    "invalidate": "Work synced resources again.",
    "retry": "Begin a new round of attempts now, for failed, degraded, deleted, expired or "
    "scheduled resources.",
    "delete": "Delete resources softly: the rows stay for their retention, and `retry` brings "
    "them back.",
}


async def _repair(
    verb: str,
    settings: Settings,
    kind: Annotated[str, typer.Argument(help="The resources' kind.")],
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Their ids.")] = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="All of the kind that the filters let through.")
    ] = False,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace", "-n", help="Their namespace (default: default; with --all: every one)."
        ),
    ] = None,
    state: StateFilter = None,
    tag: TagFilter = None,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    actor: ActorOption = None,
    output_format: OutputOption = Format.TABLE,
) -> ExitCode:
    from delta_cli.cli.repair_run import RepairOptions, RepairRun

    _check(ids or (), every=every, filters=bool(state or tag))
    check_names([namespace], tag or ())
    options = RepairOptions(
        verb=verb,
        kind=kind,
        ids=tuple(dict.fromkeys(ids or ())),
        namespace=namespace if every else namespace or DEFAULT_NAMESPACE,
        states=tuple(state or ()),
        tags=tuple(tag or ()),
        dry_run=dry_run,
        yes=yes,
        actor=actor or user_name(),
    )
    return await _run(settings, options, output_format, RepairRun)


async def _run(
    settings: Settings, options: "RepairOptions", output_format: Format, run: Callable[..., Any]
) -> ExitCode:
    from delta_cli.cli.session import open_client

    async with open_client(settings) as client:
        return await run(client, options).run(output_format)


def _check(ids: Sequence[str], *, every: bool, filters: bool) -> None:
    if every and ids:
        raise ConfigError("give ids or --all, not both")
    if not every and not ids:
        raise ConfigError("no resource is named", hint="give ids, or --all with filters")
    if not every and filters:
        raise ConfigError("--state and --tag belong to --all", hint="leave them out, or the ids")


def add_to(app: typer.Typer) -> None:
    """Declare the commands."""
    for verb, help_text in _HELP.items():
        function = partial(_repair, verb)
        function.__doc__ = help_text
        command(
            app,
            verb,
            changes=always,
            examples=[
                f"delta {verb} user bob@hello.com",
                f"delta {verb} user --all --namespace eu --tag vip --dry-run",
                f"delta {verb} user --all --yes -o json",
            ],
        )(function)
