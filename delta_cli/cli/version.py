"""`delta version`: what is installed."""

import typer

from delta_cli.cli import output
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.output import Format
from delta_cli.cli.settings import Settings


def show_version(_settings: Settings, output_format: OutputOption = Format.TABLE) -> None:
    """Show the versions of Delta and of what it stands on."""
    from delta_cli.engine.versions import component_versions

    output.write_object(
        component_versions() | {"output_shape": output.SHAPE_VERSION}, output_format
    )


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(app, "version", examples=["delta version", "delta version -o json"])(show_version)
