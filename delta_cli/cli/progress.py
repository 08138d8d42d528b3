"""A progress bar on stderr, on a terminal only."""

import contextlib
from collections.abc import Callable, Generator

from delta_cli.cli.talk import stderr_is_terminal

#: Called with how many are done and how many there are in all.
Advance = Callable[[int, int], None]


@contextlib.contextmanager
def progress_bar(label: str) -> Generator[Advance]:
    """A bar that `advance(done, total)` moves; without a terminal, nothing."""
    if not stderr_is_terminal():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, redirect_stdout=False) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
