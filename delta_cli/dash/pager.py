"""Shows a text in the pager of the person at the keys, while the dashboard rests."""

import os
import shlex
import shutil
import subprocess
from typing import Any, Final

from textual.app import App, SuspendNotSupported

from delta_cli.engine.interrupts import interrupts_for_the_child

_VARIABLES: Final = ("DELTA_PAGER", "PAGER")
_LAST_RESORTS: Final = ("less", "more")


class PagerMissing(Exception):
    """There is no pager, or nowhere to show one."""


def show_in_pager(app: App[Any], text: str) -> None:
    """Give the terminal to the pager until it ends, or tell why there is none.

    The event loop rests as well: what happens meanwhile is read afterwards, as after a silence.
    """
    try:
        _run(app, pager_command(), text)
    except PagerMissing as error:
        app.notify(str(error), severity="warning", markup=False)


def _run(app: App[Any], command: list[str], text: str) -> None:
    try:
        with app.suspend(), interrupts_for_the_child():
            # What its owner set to be run; the text goes through a pipe, not through a shell.
            subprocess.run(command, input=text.encode(), check=False)  # noqa: S603
    except SuspendNotSupported:
        raise PagerMissing("no pager can be shown here: there is no terminal") from None
    except OSError as error:
        raise PagerMissing(f"{shlex.join(command)}: {error.strerror or error}") from None


def pager_command() -> list[str]:
    """DELTA_PAGER, else PAGER, else less or more. Raises PagerMissing."""
    for variable in _VARIABLES:
        if command := os.environ.get(variable, "").strip():
            try:
                return shlex.split(command)
            except ValueError as error:
                raise PagerMissing(f"{variable} is no command: {error}") from None
    for name in _LAST_RESORTS:
        if path := shutil.which(name):
            return [path]
    raise PagerMissing("there is no pager: set PAGER")
