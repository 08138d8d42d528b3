"""`delta config`: every setting, its value, and where it came from."""

import typer

from delta_cli.cli import output, shapes
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.output import Format
from delta_cli.cli.settings import Settings


def show_config(settings: Settings, output_format: OutputOption = Format.TABLE) -> None:
    """Show every setting with its value and where it came from; passwords are masked.

    A flag beats the environment, which beats delta.toml or [tool.delta] in pyproject.toml.
    """
    from delta_cli.engine.dsn import mask_dsn

    source = settings.database()
    dsn = None if source.dsn is None else mask_dsn(source.dsn) or "as PG* variables say"
    rows = [
        ("file", None if settings.file is None else str(settings.file), "current folder"),
        ("profile", settings.profile.value, settings.profile.origin),
        ("read_only", settings.read_only, settings.profile.origin),
        ("protected", settings.protected, settings.profile.origin),
        ("app", settings.app.value, settings.app.origin),
        ("dsn", dsn or "embedded Postgres", source.origin),
        ("schema", settings.schema_name, settings.schema.origin),
    ]
    records = [{"name": name, "value": value, "origin": origin} for name, value, origin in rows]
    output.write_list(records, output_format, columns=tuple(shapes.SETTING), wrapped=("value",))


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "config",
        lists=True,
        examples=["delta config", "delta config --profile production -o json"],
    )(show_config)
