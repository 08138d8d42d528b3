"""How far something is, on stderr: a bar on a terminal, JSON lines under `-o jsonl`.

Elsewhere nothing is told.
"""

import contextlib
import json
import time
from collections.abc import Callable, Generator
from typing import Final

from delta_cli.cli.output import Format
from delta_cli.cli.talk import stderr_is_terminal, write_stderr

#: Called with how many are done and how many there are in all; None: nobody knows.
Advance = Callable[[int, int | None], None]

#: Lines come at most so often, and once at the end.
_LINE_INTERVAL_S: Final = 0.5


@contextlib.contextmanager
def progress_bar(label: str, form: Format = Format.TABLE) -> Generator[Advance]:
    """What `advance(done, total)` moves. `form` is how the command prints its data."""
    if stderr_is_terminal():
        with _bar(label) as advance:
            yield advance
    elif form is Format.JSONL:
        lines = _Lines(label)
        yield lines.advance
        lines.end()
    else:
        yield lambda _done, _total: None


@contextlib.contextmanager
def progress_of_rest(label: str, form: Format = Format.TABLE) -> Generator[Callable[[int], None]]:
    """What is called with how many are left; in all, there are the most that were ever left."""
    total = 0
    with progress_bar(label, form) as advance:

        def tell(left: int) -> None:
            nonlocal total
            total = max(total, left)
            advance(total - left, total)

        yield tell


@contextlib.contextmanager
def _bar(label: str) -> Generator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, redirect_stdout=False) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class _Lines:
    """A line of JSON at a time, and the last state at the end."""

    def __init__(self, label: str) -> None:
        self._label: str = label
        self._next: float = 0.0
        self._state: tuple[int, int | None] | None = None
        self._told: tuple[int, int | None] | None = None

    def advance(self, done: int, total: int | None) -> None:
        self._state = (done, total)
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _LINE_INTERVAL_S
            self._write()

    def end(self) -> None:
        if self._state != self._told:
            self._write()

    def _write(self) -> None:
        if self._state is not None:
            done, total = self._told = self._state
            line = {"progress": self._label, "done": done, "total": total}
            write_stderr(json.dumps(line) + "\n")
