"""`delta cancel`: stop the running work of one resource."""

from typing import Annotated

import typer

from delta_cli.cli import output
from delta_cli.cli.actor import user_name
from delta_cli.cli.command import OutputOption, always, command
from delta_cli.cli.names import check_names
from delta_cli.cli.nearest import missing
from delta_cli.cli.options import ActorOption, DryRunOption
from delta_cli.cli.output import Format
from delta_cli.cli.records import (
    RESOURCE,
    RESOURCE_TABLE,
    resource_record,
    resource_table_record,
)
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note, note_dry_run
from delta_cli.engine.errors import NotFound
from delta_cli.engine.settings import DEFAULT_NAMESPACE


async def cancel_work(
    settings: Settings,
    kind: Annotated[str, typer.Argument(help="The resource's kind.")],
    object_id: Annotated[str, typer.Argument(metavar="ID", help="The object's id.")],
    *,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Its namespace.")
    ] = DEFAULT_NAMESPACE,
    actor: ActorOption = None,
    dry_run: DryRunOption = False,
    output_format: OutputOption = Format.TABLE,
) -> None:
    """Cancel the running work of one resource.

    Its attempt fails and is tried again after its backoff, unless it was the last. To keep it from
    being tried again, delete the resource then, or pause its kind.
    """
    check_names([namespace])
    async with open_client(settings, dry_run=dry_run) as client:
        try:
            row = await client.control.cancel(
                kind, object_id, namespace=namespace, actor=actor or user_name()
            )
        except NotFound as error:
            raise await missing(client, error, kind, object_id, namespace) from None
    if output_format.is_for_people:
        output.write_list(
            [resource_table_record(row)], output_format, columns=RESOURCE, table=RESOURCE_TABLE
        )
    else:
        output.write_object(resource_record(row), output_format)
    if dry_run:
        note_dry_run("its worker would be told")
    else:
        note("its worker is told; see what became of it with: delta get")


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "cancel",
        changes=always,
        examples=[
            "delta cancel user bob@hello.com",
            "delta cancel user bob@hello.com --namespace eu --actor 'night shift'",
        ],
    )(cancel_work)
