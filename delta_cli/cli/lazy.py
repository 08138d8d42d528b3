"""The commands of `delta` by name, each loaded when it is asked for.

What the list of commands shows is in the catalogue, so that `delta --help` loads none of them.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer

from delta_cli.cli.help_text import PlainCommand, PlainGroup


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is (a module of this package with `add_to(app)`), and how it is listed."""

    module: str
    panel: str
    summary: str


class LazyCommands(MutableMapping[str, Any]):
    """Commands by name. Looking one up loads it; looking at the names loads none."""

    def __init__(self, catalogue: Mapping[str, Entry]) -> None:
        self._catalogue: Mapping[str, Entry] = catalogue
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(name, self._catalogue[name])
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._catalogue, **self._loaded})

    def __len__(self) -> int:
        return len(list(iter(self)))


def _load(name: str, entry: Entry) -> Any:
    module = import_module(f"delta_cli.cli.{entry.module}")
    app = typer.Typer()
    module.add_to(app)
    return typer.main.get_group(app).commands[name]


def _listed(catalogue: Mapping[str, Entry]) -> MutableMapping[str, Any]:
    return {name: PlainCommand(name=name, help=one.summary) for name, one in catalogue.items()}


class _AsTyped:
    """Takes the program's own options, which are text and switches, as they are typed.

    Typer coerces by pydantic, whose import takes as long as all that a Tab needs besides.
    """

    def coerce(self, value: Any, **_of: Any) -> Any:
        """The same value."""
        return value


class LazyGroup(PlainGroup):
    """A group whose commands stand in `catalogue`."""

    catalogue: Mapping[str, Entry] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands = LazyCommands(self.catalogue)

    def get_params(self, ctx: Any) -> list[Any]:
        """The program's own options."""
        parameters: list[Any] = list(super().get_params(ctx))
        for parameter in parameters:
            parameter.get_runtime_param = _AsTyped
        return parameters

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """The names of the commands with their summaries, of which none is loaded."""
        loading, self.commands = self.commands, _listed(self.catalogue)
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self.commands = loading

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands under their panels."""
        panels: dict[str, list[tuple[str, str]]] = {}
        widest = max(map(len, self.catalogue))
        for name, entry in self.catalogue.items():
            panels.setdefault(entry.panel, []).append((name.ljust(widest), entry.summary))
        for title, rows in panels.items():
            with formatter.section(title):
                formatter.write_dl(rows)
