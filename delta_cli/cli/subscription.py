"""Follows the log of events and prints each at once; whoever reads may go away at any time."""

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from delta_cli.cli import output
from delta_cli.cli.durations import duration_of, parse_time
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.inform_run import database_now
from delta_cli.cli.output import Format
from delta_cli.cli.records import EVENT, event_record
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.talk import note, warn
from delta_cli.engine.model import EventGap

if TYPE_CHECKING:
    from delta_cli.engine.client import Client
    from delta_cli.engine.events import Subscription

_TABLE: Final = {
    "id": 8,
    "at": 20,
    "category": 18,
    "namespace": 10,
    "kind": 10,
    "object_id": 24,
    "state": 9,
    "attempt": 7,
    "duration_ms": 11,
    "actor": 8,
    "error": 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeOptions:
    """What the command line asks for."""

    categories: Sequence[str]
    kinds: Sequence[str] | None
    namespaces: Sequence[str] | None
    since: str | None
    follow: bool
    limit: int | None


async def follow_events(settings: Settings, options: SubscribeOptions, form: Format) -> ExitCode:
    """Print events until their end, the limit, a signal, or until nobody reads them."""
    reading = asyncio.current_task()
    loop = asyncio.get_running_loop()
    ended: list[ExitCode] = []

    def end(code: ExitCode) -> None:
        if not ended and reading is not None:
            ended.append(code)
            reading.cancel()

    loop.add_signal_handler(signal.SIGINT, end, ExitCode.INTERRUPTED)
    loop.add_signal_handler(signal.SIGTERM, end, ExitCode.TERMINATED)
    output.when_closed(loop.add_reader, lambda: end(ExitCode.DONE))
    position: list[int | None] = [None]
    try:
        async with open_client(settings) as client:
            await _print_events(client, options, form, position)
    except asyncio.CancelledError:
        if not ended:
            raise
        _tell_position(ended[0], position[0])
        return ended[0]
    return ExitCode.DONE


async def _print_events(
    client: "Client", options: SubscribeOptions, form: Format, position: list[int | None]
) -> None:
    subscription = client.subscribe(
        *options.categories,
        kinds=options.kinds,
        namespaces=options.namespaces,
        after=await _after(client, options.since),
        follow=options.follow,
    )
    async with subscription:
        stream = output.Stream(form, EVENT, _TABLE)
        try:
            await _print_all(subscription, stream, options.limit)
        finally:
            position[0] = subscription.position
        stream.close()


async def _print_all(
    subscription: "Subscription", stream: output.Stream, limit: int | None
) -> None:
    printed = 0
    async for event in subscription:
        if isinstance(event, EventGap):
            warn(f"{event.count} events are gone: retention has removed them")
            continue
        stream.write(event_record(event))
        printed += 1
        if printed == limit:
            return


async def _after(client: "Client", since: str | None) -> int | datetime | None:
    if since is None:
        return None
    if since.isascii() and since.isdigit():
        return int(since)
    ago = duration_of(since)
    return parse_time(since, "--since") if ago is None else await database_now(client) - ago


def _tell_position(code: ExitCode, position: int | None) -> None:
    if code is not ExitCode.DONE and position is not None:
        note(f"the last event was {position}; go on with --since {position}")
