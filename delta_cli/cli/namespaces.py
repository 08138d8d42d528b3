"""`delta namespaces`: what namespaces there are, and their limits, TTL and retention."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from delta_cli.cli import output
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.durations import parse_duration
from delta_cli.cli.options import DryRunOption
from delta_cli.cli.output import Format
from delta_cli.cli.records import NAMESPACE, namespace_record
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note, note_dry_run
from delta_cli.cli.usage_errors import told_as_usage
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.settings import check_limit, check_namespace

_CLEARED: Final = "none"
_LIMITS: Final = ("max_workers", "fleet_max_workers")
_TABLE: Final = tuple(name for name in NAMESPACE if name not in ("created_at", "updated_at"))


class Action(StrEnum):
    """What to do with namespaces."""

    LIST = "list"
    SET = "set"


def _option(help_text: str) -> Any:
    return typer.Option(metavar="VALUE", help=f"{help_text}; none clears it.")


async def namespaces(
    settings: Settings,
    action: Annotated[
        Action, typer.Argument(help="List all, or set the settings of one.")
    ] = Action.LIST,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The one to set; made if it is not there.")
    ] = None,
    *,
    expiry_ttl: Annotated[str | None, _option("Work synced resources again after")] = None,
    max_workers: Annotated[str | None, _option("Works at once in one process")] = None,
    fleet_max_workers: Annotated[str | None, _option("Works at once in all processes")] = None,
    synced_retention: Annotated[str | None, _option("Keep synced resources for")] = None,
    degraded_retention: Annotated[str | None, _option("Keep degraded resources for")] = None,
    deleted_retention: Annotated[str | None, _option("Keep deleted resources for")] = None,
    dry_run: DryRunOption = False,
    output_format: OutputOption = Format.TABLE,
) -> None:
    """List namespaces, or set their limits and TTL.

    What is not named stays as it is. An application that configures the namespace itself sets it
    anew when it starts.
    """
    given = {
        "expiry_ttl": expiry_ttl,
        "max_workers": max_workers,
        "fleet_max_workers": fleet_max_workers,
        "synced_retention": synced_retention,
        "degraded_retention": degraded_retention,
        "deleted_retention": deleted_retention,
    }
    texts = {setting: text for setting, text in given.items() if text is not None}
    if action is Action.LIST:
        if name is not None or texts or dry_run:
            raise ConfigError("list takes no name and no setting", hint="set takes both")
        await _list(settings, output_format)
        return
    if name is None or not texts:
        raise ConfigError(
            "set takes a namespace and what to set",
            hint="as in: delta namespaces set eu --max-workers 3",
        )
    await _set(settings, name, _parsed(texts), output_format, dry_run=dry_run)


async def _list(settings: Settings, output_format: Format) -> None:
    async with open_client(settings) as client:
        rows = await client.control.namespaces()
    if not rows and output_format is Format.TABLE:
        note("there are no namespaces yet: the first inform makes one")
        return
    output.write_list(
        map(namespace_record, rows),
        output_format,
        columns=NAMESPACE,
        table=_TABLE,
        droppable=("deleted_retention_s", "degraded_retention_s", "synced_retention_s"),
    )


async def _set(
    settings: Settings,
    name: str,
    values: Mapping[str, Any],
    output_format: Format,
    *,
    dry_run: bool,
) -> None:
    with told_as_usage():
        check_namespace(name)
    async with open_client(settings, dry_run=dry_run) as client:
        row = await client.control.change_namespace(name, values)
    output.write_object(namespace_record(row), output_format)
    if dry_run:
        note_dry_run(f"namespace {name} would be set so")


def _parsed(texts: Mapping[str, str]) -> dict[str, Any]:
    return {setting: _value(setting, text.strip()) for setting, text in texts.items()}


def _value(setting: str, text: str) -> Any:
    option = f"--{setting.replace('_', '-')}"
    if text == _CLEARED:
        return None
    if setting not in _LIMITS:
        return parse_duration(text, option)
    try:
        number = int(text)
    except ValueError:
        raise ConfigError(
            f"{option} {text!r} is not a whole number", hint=f"write {_CLEARED} for no limit"
        ) from None
    check_limit(option, number)
    return number


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "namespaces",
        lists=True,
        changes=lambda given: given["action"] is Action.SET,
        examples=[
            "delta namespaces -o json",
            "delta namespaces set eu --max-workers 3 --expiry-ttl 5m",
            "delta namespaces set eu --fleet-max-workers none --dry-run",
        ],
    )(namespaces)
