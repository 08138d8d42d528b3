"""`delta subscribe`: the ordered log of events, one by one as they come."""

from typing import Annotated

import typer

from delta_cli.cli import output
from delta_cli.cli.command import OutputOption, command
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.names import check_names
from delta_cli.cli.output import Format
from delta_cli.cli.records import EVENT
from delta_cli.cli.settings import Settings
from delta_cli.engine.errors import ConfigError


def subscribe(
    settings: Settings,
    *,
    category: Annotated[
        list[str] | None,
        typer.Option(
            "--category", "-c", help="Only this one, as object_synced; repeatable (default: all)."
        ),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", "-k", help="Only this kind; repeatable.")
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="Only this namespace; repeatable."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="From 5m ago, a time, or beyond an event's id; 0: from the beginning "
            "(default: from now, or where --name is)."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Keep the position in the database, and go on from there the next time; "
            "--since sets it anew."
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait for more, or end at the newest.")
    ] = True,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    output_format: OutputOption = Format.TABLE,
) -> ExitCode | None:
    """Print events as they come. Ctrl-C ends it (130) and tells the id to go on from."""
    from delta_cli.cli.running import run_async
    from delta_cli.cli.subscription import SubscribeOptions, follow_events

    if output_format is Format.JSON and follow and limit is None:
        raise ConfigError(
            "an array of events without end cannot be printed",
            hint="use -o jsonl, or --no-follow, or --limit",
        )
    output.check_streamed(EVENT)
    check_names(namespace or ())
    if name is not None:
        # A protected profile does not ask: the position is the reader's own, and harms nothing.
        settings.must_write("--name", "leave out --name: --since tells where to go on")
    options = SubscribeOptions(
        categories=category or (),
        kinds=kind or None,
        namespaces=namespace or None,
        since=since,
        name=name,
        follow=follow,
        limit=limit,
    )
    return run_async(follow_events(settings, options, output_format))


def add_to(app: typer.Typer) -> None:
    """Declare the command."""
    command(
        app,
        "subscribe",
        lists=True,
        examples=[
            "delta subscribe",
            "delta subscribe --category object_failed --kind user -o jsonl",
            "delta subscribe --columns at,kind,object_id,state --no-header",
            "delta subscribe --name audit -o jsonl >> audit.jsonl",
            "delta subscribe --since 1h --no-follow -o json | jq 'group_by(.kind)'",
        ],
    )(subscribe)
