"""Follows the log of events and prints each at once; whoever reads may go away at any time."""

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from delta_cli.cli import output
from delta_cli.cli.durations import parse_moment
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.inform_run import database_now
from delta_cli.cli.nearest import doubts
from delta_cli.cli.output import Format
from delta_cli.cli.records import EVENT, event_record
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.stdout import write_on
from delta_cli.cli.streamed_table import TIME_OF_DAY, Narrowing
from delta_cli.cli.talk import note, warn
from delta_cli.engine.model.event import EventGap

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
#: Of a live log the ids and what became of them matter most, and Ctrl-C tells where it was.
_NARROWING: Final = Narrowing(
    giving_way=("duration_ms", "actor", "at", "id", "attempt", "namespace", "object_id", "state"),
    narrowed={"at": TIME_OF_DAY, "object_id": 16},
)
_COLOURS: Final = {"synced": "32", "failed": "33", "degraded": "31", "deleted": "35"}
_ACKNOWLEDGE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeOptions:
    """What the command line asks for."""

    categories: Sequence[str]
    kinds: Sequence[str] | None
    namespaces: Sequence[str] | None
    since: str | None
    name: str | None
    follow: bool
    limit: int | None


async def follow_events(settings: Settings, options: SubscribeOptions, form: Format) -> ExitCode:
    """Print events until their end, the limit, a signal, or until nobody reads them."""
    follower = _Follower(options, form)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, follower.end, ExitCode.INTERRUPTED)
    loop.add_signal_handler(signal.SIGTERM, follower.end, ExitCode.TERMINATED)
    output.when_closed(loop.add_reader, lambda: follower.end(ExitCode.DONE))
    try:
        async with open_client(settings) as client:
            await follower.run(client)
    except asyncio.CancelledError:
        if follower.ended is None:
            raise
        follower.tell_position()
        return follower.ended
    return ExitCode.DONE


class _Follower:
    """Prints what a subscription gives. `ended` is why it was told to end; None: it was not."""

    def __init__(self, options: SubscribeOptions, form: Format) -> None:
        self.ended: ExitCode | None = None
        self._options: SubscribeOptions = options
        self._form: Format = form
        self._reading: asyncio.Task[Any] | None = asyncio.current_task()
        self._position: int | None = None

    def end(self, code: ExitCode) -> None:
        """Stop reading. The first reason counts; asking again hurries it."""
        if self.ended is None:
            self.ended = code
        if self._reading is not None:
            self._reading.cancel()

    async def run(self, client: "Client") -> None:
        options = self._options
        for doubt in await doubts(client, options.kinds or (), options.namespaces or ()):
            note(doubt)
        after = await _after(client, options.since)
        if isinstance(after, int):
            await _tell_if_beyond(client, after)
        subscription = client.subscribe(
            *options.categories,
            kinds=options.kinds,
            namespaces=options.namespaces,
            after=after,
            name=options.name,
            follow=options.follow,
            # An array is printed at the end only: until then, nothing of it is handled.
            auto_acknowledge=self._form is not Format.JSON,
        )
        async with subscription:
            stream = output.Stream(
                self._form, EVENT, _TABLE, narrowing=_NARROWING, colours=_COLOURS
            )
            try:
                await self._print_all(subscription, stream)
            except asyncio.CancelledError:
                if self.ended is not ExitCode.DONE:
                    write_on()
                    await self._finish(subscription, stream)
                raise
            else:
                await self._finish(subscription, stream)
            finally:
                self._position = subscription.position

    async def _print_all(self, subscription: "Subscription", stream: output.Stream) -> None:
        printed = 0
        async for event in subscription:
            if isinstance(event, EventGap):
                warn(f"{event.count} events are gone: retention has removed them")
                continue
            stream.write(event_record(event))
            printed += 1
            if printed == self._options.limit:
                return
            # Before the next is asked for, by which this one counts as handled. Meanwhile a signal
            # ends it, and the server is rid of what it has to tell us.
            await output.until_room()

    async def _finish(self, subscription: "Subscription", stream: output.Stream) -> None:
        """All that was handed out is printed now, also the last."""
        stream.close()
        if self._options.name is not None:
            with contextlib.suppress(TimeoutError):  # the database is away: it is printed again
                async with asyncio.timeout(_ACKNOWLEDGE_S):
                    await subscription.acknowledge()

    def tell_position(self) -> None:
        """Say where to go on, unless nobody reads any more."""
        if self.ended is ExitCode.DONE or self._position is None:
            return
        name = self._options.name
        how = f"--since {self._position}" if name is None else f"--name {name}"
        note(f"the last event was {self._position}; go on with {how}")


async def _after(client: "Client", since: str | None) -> int | datetime | None:
    if since is None:
        return None
    if since.isascii() and since.isdigit():
        return int(since)
    return parse_moment(since, "--since", await database_now(client))


async def _tell_if_beyond(client: "Client", after: int) -> None:
    """Say that nothing comes until the log has come so far: the id may be mistyped."""
    from delta_cli.engine.store import events

    async with client.database.connection() as connection:
        newest = (await events.bounds(connection)).newest
    if after > newest:
        note(f"--since {after} is beyond the newest event, {newest}: only later ones are shown")
