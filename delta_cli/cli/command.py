"""Declares a command: adds the options that all share, runs it, and turns its end into a status.

A command is a function, plain or async, that takes the `Settings` first and returns an `ExitCode`
or None for done. The shared options may stand before or after the command's name.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Annotated, Any, TypeVar

import typer

from delta_cli.cli import output
from delta_cli.cli.completing import completed
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.help_text import PlainCommand
from delta_cli.cli.output import Format
from delta_cli.cli.settings import Settings, resolve_settings
from delta_cli.cli.talk import is_agreed
from delta_cli.cli.view import ALL, view_of

F = TypeVar("F", bound=Callable[..., Any])

_PANEL = "Shared options"
DsnOption = Annotated[
    str | None,
    typer.Option(
        "--dsn",
        metavar="DSN",
        help="Database, as postgresql://user@host/name. "
        "Else DELTA_DSN, DATABASE_URL, PG*, the file, or an embedded one.",
        rich_help_panel=_PANEL,
    ),
]
AppOption = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="MODULE:NAME",
        help="Application, as module:config or a file. Else DELTA_APP or the file.",
        rich_help_panel=_PANEL,
    ),
]
SchemaOption = Annotated[
    str | None,
    typer.Option(
        "--schema",
        metavar="NAME",
        help="Schema of Delta's tables (default: delta). Else DELTA_SCHEMA or the file.",
        rich_help_panel=_PANEL,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Settings of a profile in the file. Else DELTA_PROFILE or the file.",
        rich_help_panel=_PANEL,
    ),
]
DebugOption = Annotated[
    bool,
    typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=_PANEL),
]
OutputOption = Annotated[
    Format, typer.Option("--output", "-o", help="How to print the data on stdout.")
]

_SHARED: dict[str, tuple[Any, Any]] = {
    "dsn": (DsnOption, None),
    "app": (AppOption, None),
    "schema": (SchemaOption, None),
    "profile": (ProfileOption, None),
    "debug": (DebugOption, False),
}


_LIST_PANEL = "What to show"
_LIST: dict[str, tuple[Any, Any]] = {
    "columns": (
        Annotated[
            str | None,
            typer.Option(
                metavar="A,B",
                help="Only these columns, in this order.",
                rich_help_panel=_LIST_PANEL,
            ),
        ],
        None,
    ),
    "sort": (
        Annotated[
            str | None,
            typer.Option(
                metavar="COLUMN",
                help="By this column; -COLUMN: descending.",
                rich_help_panel=_LIST_PANEL,
            ),
        ],
        None,
    ),
    "no_header": (
        Annotated[
            bool,
            typer.Option(
                "--no-header", help="No head on tables and CSV.", rich_help_panel=_LIST_PANEL
            ),
        ],
        False,
    ),
}


#: Whether a command changes something, given its arguments.
Changes = Callable[[Mapping[str, Any]], bool]
_YES: dict[str, tuple[Any, Any]] = {
    "yes": (
        Annotated[
            bool,
            typer.Option("--yes", "-y", help="Do not ask, where a protected profile would."),
        ],
        False,
    )
}


def always(_arguments: Mapping[str, Any]) -> bool:
    """It changes something whatever its arguments."""
    return True


def command(
    app: typer.Typer,
    name: str,
    *,
    examples: Sequence[str],
    lists: bool = False,
    changes: Changes | None = None,
    **more: Any,
) -> Callable[[F], F]:
    """Register a function as a command. Its docstring is the help, `examples` are shown below.

    `lists`: it prints a list, of which a person may choose columns and order. `changes`: with
    these arguments it changes something, which a read-only profile refuses and a protected one
    asks for.
    """

    def register(function: F) -> F:
        app.command(
            name,
            help=inspect.getdoc(function),
            epilog="\n".join(["Examples:", *(f"  {example}" for example in examples)]),
            cls=PlainCommand,
            **more,
        )(_with_shared_options(function, lists=lists, changes=changes))
        return function

    return register


def _with_shared_options(
    function: Callable[..., Any], *, lists: bool, changes: Changes | None
) -> Callable[..., None]:
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    asks = changes is not None and not any(parameter.name == "yes" for parameter in own)
    added = {**(_YES if asks else {}), **(_LIST if lists else {}), **_SHARED}

    def run(*, delta_context: typer.Context, **arguments: Any) -> None:
        given = delta_context.find_root().params
        shared = {name: arguments.pop(name) or given.get(name) for name in _SHARED}
        shared.pop("debug")  # the reporter looks for it itself
        settings = resolve_settings(**shared)
        output.use_view(view_of(**{name: arguments.pop(name) for name in _LIST}) if lists else ALL)
        if changes is not None and changes(arguments) and not _may_change(settings, arguments):
            raise typer.Exit(ExitCode.FAILED)
        if asks:
            del arguments["yes"]
        raise typer.Exit(_run(function, settings, arguments))

    context = Parameter("delta_context", Parameter.KEYWORD_ONLY, annotation=typer.Context)
    more = [
        Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in added.items()
    ]
    keyword_only = [completed(parameter).replace(kind=Parameter.KEYWORD_ONLY) for parameter in own]
    run.__signature__ = inspect.Signature([*keyword_only, context, *more])
    run.__annotations__ = {}
    return run


def _may_change(settings: Settings, arguments: dict[str, Any]) -> bool:
    """Whether the profile lets it: a protected one has its name typed, once for all questions."""
    if arguments.get("dry_run"):
        return True
    settings.must_write()
    if settings.protected and not arguments["yes"]:
        name = settings.profile.value
        if not is_agreed(f"Profile {name!r} is protected.", typed=name):
            return False
        arguments["yes"] = True
    return True


def _run(function: Callable[..., Any], settings: Settings, arguments: dict[str, Any]) -> ExitCode:
    try:
        result = function(settings, **arguments)
        if inspect.iscoroutine(result):
            from delta_cli.cli.running import run_async

            result = run_async(result)
    except BrokenPipeError:
        output.close_quietly()
        return ExitCode.DONE
    return ExitCode.DONE if result is None else result
