"""`delta workers`: the worker processes of the fleet."""

from typing import Annotated

import typer

from delta_cli.cli import output
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.output import Format
from delta_cli.cli.records import WORKER, WORKER_TABLE, worker_record
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note


async def list_workers(
    settings: Settings,
    *,
    ended: Annotated[
        bool, typer.Option("--all", help="Also those that stopped or were lost of late.")
    ] = False,
    output_format: OutputOption = Format.TABLE,
) -> None:
    """List the workers of the fleet."""
    async with open_client(settings) as client:
        workers = await client.control.workers(ended=ended)
    if not workers and output_format is Format.TABLE:
        note("no workers run; start one with: delta run")
        return
    output.write_list(
        map(worker_record, workers),
        output_format,
        columns=WORKER,
        table=WORKER_TABLE,
        droppable=("failed", "synced", "kinds", "pid"),
    )


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "workers",
        lists=True,
        examples=[
            "delta workers --all",
            "delta workers -o json | jq '.[] | select(.heartbeat_age_s > 10)'",
        ],
    )(list_workers)
