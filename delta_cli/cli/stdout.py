"""Stdout as a stream: written, and given up quietly when nobody reads it any more.

`output.py` lays out what is written here; the version, which comes first of all, needs no layout.
"""

import contextlib
import os
import select
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

from delta_cli.cli.talk import ended_by_signals
from delta_cli.engine.errors import DeltaError

if TYPE_CHECKING:
    from asyncio import Task

#: Characters that a pipe which has room takes without blocking, however they are encoded: it has
#: room when it takes PIPE_BUF bytes, which are no fewer than these of POSIX.
_PART: Final = (512 if sys.platform == "win32" else select.PIPE_BUF) // 4


class OutputFailed(DeltaError):
    """What was printed cannot be written, as to a disk that is full."""


def write(text: str) -> None:
    """Print text as it is, and hand it over. Raises BrokenPipeError when nobody reads any more,
    and OutputFailed for whatever else forbids it.

    Nothing of it is kept, so that the process can end although a reader stands still; it waits for
    such a reader until a signal.
    """
    for begin in range(0, len(text), _PART):
        if not has_room():
            _wait_for_room()
        with _told_by_cause():
            sys.stdout.write(text[begin : begin + _PART])
            sys.stdout.flush()


def flush() -> None:
    """Hand over what others printed. Raises as `write` does."""
    with _told_by_cause():
        sys.stdout.flush()


@contextlib.contextmanager
def _told_by_cause() -> Generator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise failed(error) from error


def failed(error: OSError) -> OutputFailed:
    """What to tell of it. Nothing more is written."""
    # What is left would be tried again at the interpreter's end, which tells of it in its way.
    close_quietly()
    return OutputFailed(
        f"cannot write the output: {error.strerror or error}",
        hint="make room there, or write it somewhere else",
    )


def has_room() -> bool:
    """Whether something can be written without waiting for the reader."""
    try:
        return bool(select.select([], [sys.stdout], [], 0)[1])
    except (OSError, ValueError):  # no file of the system's, or Windows
        return True


def write_on() -> None:
    """Let what is still to be written be written, although a signal has come; the next one ends it.

    For what a command leaves behind, such as the end of an array.
    """
    task = _current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def _wait_for_room() -> None:
    """Wait here and not in the write, which no signal would end: an event loop takes them all."""
    with ended_by_signals():
        _end_if_cancelled()
        select.select([], [sys.stdout], [])


def _end_if_cancelled() -> None:
    """Raise CancelledError if a signal has come already, by which the command ends as it waits."""
    task = _current_task()
    if task is not None and task.cancelling():
        from asyncio import CancelledError

        raise CancelledError


def _current_task() -> "Task[Any] | None":
    if "asyncio" not in sys.modules:  # the version and completions do without it
        return None
    import asyncio

    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs
        return None


def close_quietly() -> None:
    """Nobody reads any more: let the interpreter's own last flush go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
