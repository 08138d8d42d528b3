"""Declares a command: adds the options that all share, runs it, and turns its end into a status.

A command is a function, plain or async, that takes the `Settings` first and returns an `ExitCode`
or None for done. The shared options may stand before or after the command's name.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Annotated, Any, TypeVar

import typer
from typer.models import ArgumentInfo

from delta_cli.cli import output
from delta_cli.cli.completing import completed
from delta_cli.cli.empty_words import refuse_empty
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.help_text import PlainCommand
from delta_cli.cli.options import LIST, SHARED, YES
from delta_cli.cli.output import Format
from delta_cli.cli.settings import Settings, resolve_settings
from delta_cli.cli.stdout import close_quietly
from delta_cli.cli.talk import is_agreed
from delta_cli.cli.view import ALL, view_of

F = TypeVar("F", bound=Callable[..., Any])

OutputOption = Annotated[
    Format, typer.Option("--output", "-o", help="How to print the data on stdout.")
]

#: Whether a command changes something, given its arguments.
Changes = Callable[[Mapping[str, Any]], bool]


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
    added = {**(YES if asks else {}), **(LIST if lists else {}), **SHARED}

    def run(*, delta_context: typer.Context, **arguments: Any) -> None:
        refuse_empty(delta_context)
        given = delta_context.find_root().params
        shared = {name: arguments.pop(name) or given.get(name) for name in SHARED}
        shared.pop("debug")  # the reporter looks for it itself
        settings = resolve_settings(**shared)
        output.use_view(view_of(**{name: arguments.pop(name) for name in LIST}) if lists else ALL)
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
    keyword_only = [
        _named(completed(parameter)).replace(kind=Parameter.KEYWORD_ONLY) for parameter in own
    ]
    run.__signature__ = inspect.Signature([*keyword_only, context, *more])
    run.__annotations__ = {}
    return run


def _named(parameter: Parameter) -> Parameter:
    """The parameter; an argument is told by its name in capitals, as examples and errors do."""
    for info in getattr(parameter.annotation, "__metadata__", ()):
        if isinstance(info, ArgumentInfo) and info.metavar is None:
            info.metavar = parameter.name.upper()
    return parameter


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
        close_quietly()
        return ExitCode.DONE
    return ExitCode.DONE if result is None else result
