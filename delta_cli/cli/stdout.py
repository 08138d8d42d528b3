"""Stdout as a stream: written, handed over, and given up quietly when nobody reads it any more.

`output.py` lays out what is written here; the version, which comes first of all, needs no layout.
"""

import contextlib
import os
import sys


def write(text: str) -> None:
    """Print text as it is."""
    sys.stdout.write(text)


def flush() -> None:
    """Hand over what was printed. Raises BrokenPipeError when nobody reads any more."""
    sys.stdout.flush()


def close_quietly() -> None:
    """Nobody reads any more: let the interpreter's own last flush go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
