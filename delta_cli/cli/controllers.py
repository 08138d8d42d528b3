"""`delta controllers`: the kinds, with their limits and how their informers fare."""

import typer

from delta_cli.cli import output
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.output import Format
from delta_cli.cli.records import CONTROLLER, CONTROLLER_TABLE, controller_record
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note


async def list_controllers(settings: Settings, output_format: OutputOption = Format.TABLE) -> None:
    """List the kinds that have a controller."""
    async with open_client(settings) as client:
        controllers = await client.control.controllers()
    if not controllers and output_format is Format.TABLE:
        note("no controller has ever registered; start a worker with: delta run")
        return
    output.write_list(
        map(controller_record, controllers),
        output_format,
        columns=CONTROLLER,
        table=CONTROLLER_TABLE,
        droppable=("registered_at", "inform_due_at", "fleet_parallelism", "inform_failures"),
    )


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "controllers",
        lists=True,
        examples=["delta controllers", "delta controllers -o json | jq -r '.[].kind'"],
    )(list_controllers)
