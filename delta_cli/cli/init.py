"""`delta init`: a first application, with comments, that runs as it is."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from delta_cli.cli import output
from delta_cli.cli.command import command
from delta_cli.cli.options import DryRunOption
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note, note_dry_run
from delta_cli.engine.errors import ConfigError, StateConflict

#: The files that are written, in this order, from `templates/`.
_FILES: Final = ("app.py", "delta.toml")


def init(
    _settings: Settings,
    folder: Annotated[Path, typer.Argument(help="Where to write; made if need be.")] = Path(),
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Write a first application: app.py with a controller, and delta.toml.

    Nothing is written where one of them is there already (exit 6), unless --force.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is no folder", hint="choose another")
    there = [name for name in _FILES if (folder / name).exists()]
    if there and not force:
        raise StateConflict(
            f"{folder / there[0]} is there already",
            hint="choose another folder, or replace it with --force",
        )
    if not dry_run:
        try:
            _write(folder)
        except OSError as error:
            raise ConfigError(
                f"{error.filename or folder} cannot be written: {error.strerror}",
                hint="choose another folder",
            ) from error
    for name in _FILES:
        output.write_text(str(folder / name))
    if dry_run:
        note_dry_run("these files would be written")
        return
    step = "" if folder == Path() else f"cd {folder} && "
    note(f"next: {step}delta run --drain")


def _write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        text = (files("delta_cli.cli") / "templates" / f"{name}.txt").read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(app, "init", examples=["delta init", "delta init myapp --dry-run"])(init)
