"""Talk to the person at the terminal, on stderr only: notes, warnings, questions."""

import contextlib
import os
import signal
import sys
from collections.abc import Generator
from types import FrameType
from typing import Final, NoReturn

from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.text import harmless_lines
from delta_cli.engine.errors import ConfigError

_COLOURS: Final = {"error": "1;31", "warning": "33", "hint": "36"}


def say(text: str, *, label: str | None = None) -> None:
    """Write to stderr; text from outside cannot drive the terminal or pass for another label."""
    from delta_cli.engine.dsn import mask_secrets

    write_stderr(f"{_coloured(label)}{indented(harmless_lines(mask_secrets(text)))}\n")


def note(text: str) -> None:
    """Tell something that a person may want to know."""
    say(text, label="note")


def note_dry_run(what: str) -> None:
    """Tell what a command would have done."""
    note(f"dry run, nothing was changed: {what}")


def warn(text: str) -> None:
    """Tell something that a person should look at."""
    say(text, label="warning")


def indented(text: str) -> str:
    """Lines after the first are set in, so that none of them passes for a label."""
    return text.replace("\n", "\n  ")


def write_stderr(text: str) -> None:
    """Write to stderr, if there is one."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return


def confirm(question: str, *, typed: str | None = None) -> bool | None:
    """Ask on the terminal: yes or no, or for a name to be typed; None if nobody can be asked."""
    if not is_interactive():
        return None
    expected = "[y/N]" if typed is None else f"Type {harmless_lines(typed)} to go on:"
    with ended_by_signals():
        write_stderr(f"{harmless_lines(question)} {expected} ")
        answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        write_stderr("\n")
    answer = answer.strip()
    return answer.lower() in ("y", "yes") if typed is None else answer == typed


@contextlib.contextmanager
def ended_by_signals() -> Generator[None]:
    """Let signals end a wait at once in which no event loop looks at them, as for an answer."""
    handlers = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, terminate),
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class Terminated(SystemExit):
    """The end of a process that SIGTERM asks for; another `SystemExit` is some code's own wish."""


def terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    """What a signal may be handled by: end the process in the ordinary way, with status 143."""
    raise Terminated(int(ExitCode.TERMINATED))


def is_agreed(question: str, *, typed: str | None = None) -> bool:
    """Whether the person says yes, or types the name. ConfigError when there is nobody to ask."""
    answer = confirm(question, typed=typed)
    if answer is None:
        raise ConfigError(
            f"nobody is here to answer: {question}",
            hint="give --yes to do it without a question, or look first with --dry-run",
        )
    if not answer:
        note("nothing was changed")
    return answer


def is_interactive() -> bool:
    """Whether a person can see a question and answer it."""
    try:
        return sys.stdin.isatty() and sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


def stderr_is_terminal() -> bool:
    """Whether a progress bar makes sense."""
    try:
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):
        return False


def _coloured(label: str | None) -> str:
    if label is None:
        return ""
    colour = _COLOURS.get(label)
    if colour is None or not stderr_is_terminal() or os.environ.get("NO_COLOR"):
        return f"{label}: "
    return f"\033[{colour}m{label}:\033[0m "
