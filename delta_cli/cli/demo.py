"""`delta demo`: the whole way once, on a folder that is mirrored into another."""

from pathlib import Path
from typing import Annotated

import typer

from delta_cli.cli.command import OutputOption, always, command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.options import DryRunOption
from delta_cli.cli.output import Format
from delta_cli.cli.settings import Settings


async def demo(
    settings: Settings,
    *,
    source: Annotated[
        Path | None,
        typer.Option(help="The folder to mirror (default: a sample folder, which is made)."),
    ] = None,
    target: Annotated[
        Path | None, typer.Option(help="Where to (default: beside the sample folder).")
    ] = None,
    dry_run: DryRunOption = False,
    output_format: OutputOption = Format.TABLE,
) -> ExitCode:
    """See Delta work: mirror a folder, file by file, on the embedded Postgres by default.

    Run it again: new and changed files are copied, also where the target was changed, removed ones
    are removed, and the others cost a look. It has a schema beside yours, whose name ends in _demo,
    and in it each mirror has a namespace: none of your resources or settings change.
    """
    from delta_cli.cli.demo_run import DemoRun

    run = DemoRun(settings, source, target)
    return await (run.rehearse(output_format) if dry_run else run.run(output_format))


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "demo",
        changes=always,
        examples=[
            "delta demo",
            "delta demo --source photos --target /backup/photos --dry-run",
            "delta demo --source photos --target /backup/photos",
            "delta list file --schema delta_demo",
        ],
    )(demo)
