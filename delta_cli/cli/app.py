"""The program `delta`: its commands, and how each run of it begins and ends.

Nothing heavy is imported here: each command imports what it needs when it runs.
"""

import os
import signal
import sys
from collections.abc import Sequence
from traceback import walk_tb
from types import FrameType
from typing import Annotated, Any, Final

import typer

from delta_cli.cli import stdout
from delta_cli.cli.catalogue import CATALOGUE
from delta_cli.cli.completion_options import InstallOption, ShowOption
from delta_cli.cli.errors import Reporter
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.lazy import LazyGroup
from delta_cli.cli.options import (
    AppOption,
    DebugOption,
    DsnOption,
    ProfileOption,
    SchemaOption,
)
from delta_cli.cli.quick_version import quick_version
from delta_cli.cli.streams import make_up_for_closed_streams
from delta_cli.cli.talk import terminate

#: Where a shell says what it wants, when somebody presses Tab.
_COMPLETE: Final = "_DELTA_COMPLETE"


class Commands(LazyGroup):
    """The commands of `delta`."""

    catalogue = CATALOGUE


app = typer.Typer(
    name="delta",
    cls=Commands,
    help="Keep records in step with systems outside, on Postgres.",
    epilog="First steps: delta demo, delta init.\n"
    "More: delta help exit-codes, formats, shapes, environment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(context: typer.Context, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        stdout.write(f"delta {quick_version() or '0+unknown'}\n")
        raise typer.Exit


@app.callback()
def shared(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
        ),
    ] = False,
    _install_completion: InstallOption = False,
    _show_completion: ShowOption = False,
    dsn: DsnOption = None,
    app: AppOption = None,
    schema: SchemaOption = None,
    profile: ProfileOption = None,
    debug: DebugOption = False,
) -> None:
    """Options that stand before a command's name hold for it too."""


def main() -> None:
    """Run `delta` with the words of the command line."""
    make_up_for_closed_streams()
    sys.exit(run_words(sys.argv[1:]))


def run_words(words: Sequence[str]) -> int:
    """Run one command line; returns its exit status."""
    reporter = Reporter(words)
    catch_termination()
    try:
        _check_words(words)
        command = typer.main.get_command(app)
        if os.environ.get(_COMPLETE):
            code = _complete(command)
        else:
            code = command.main(args=list(words), prog_name="delta", standalone_mode=False)
        stdout.flush()
    except BrokenPipeError:
        stdout.close_quietly()
        code = ExitCode.DONE
    except SystemExit as end:
        code = end.code
        if _is_of_a_closed_pipe(end):
            stdout.close_quietly()
            code = ExitCode.DONE
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is told without a traceback
        error = _cause(error)
        # Who presses Tab wants words or silence.
        code = ExitCode.DONE if os.environ.get(_COMPLETE) else reporter.report(error)
    return code if isinstance(code, int) else ExitCode.DONE


def _complete(command: Any) -> ExitCode:
    from delta_cli.cli.completion import answer

    stdout.write(answer(command, os.environ))
    return ExitCode.DONE


def _cause(error: BaseException) -> BaseException:
    """That stdout cannot be written, where the library that prints help met it."""
    if isinstance(error, OSError) and any(map(_prints, walk_tb(error.__traceback__))):
        return stdout.failed(error)
    return error


def _prints(step: tuple[FrameType, int]) -> bool:
    frame = step[0]
    module = str(frame.f_globals.get("__name__"))
    return module.startswith("typer.") and frame.f_code.co_name == "echo"


def _is_of_a_closed_pipe(end: SystemExit) -> bool:
    """Whether a library that printed help ended the program since nobody reads it any more."""
    return isinstance(end.__context__, BrokenPipeError)


def catch_termination() -> None:
    """Let SIGTERM end the process in the ordinary way, so that it leaves what it has joined."""
    signal.signal(signal.SIGTERM, terminate)


def _check_words(words: Sequence[str]) -> None:
    for number, word in enumerate(words, start=1):
        try:
            word.encode()
        except UnicodeEncodeError:
            raise typer.BadParameter(f"word {number} of the command line is not UTF-8") from None


if __name__ == "__main__":
    main()
