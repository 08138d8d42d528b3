"""Every command that does something by itself, those of groups too, with what it takes."""

from typing import Any, Final

import typer

from delta_cli.cli.app import app
from delta_cli.cli.catalogue import CATALOGUE


def _leaves() -> dict[str, set[str]]:
    root: Any = typer.main.get_command(app)
    found: dict[str, set[str]] = {}
    for name in CATALOGUE:
        command = root.commands[name]
        below = getattr(command, "commands", None)
        commands = {f"{name} {word}": one for word, one in below.items()} if below else {}
        for leaf, one in (commands or {name: command}).items():
            found[leaf] = {flag for parameter in one.params for flag in parameter.opts}
    return found


#: The options and arguments of each by its name, as "db start".
LEAVES: Final = _leaves()
