"""How the dashboard bears a large fleet: `python benchmarks/dash.py --dsn DSN`.

It drops the schema `delta` of that database, stores resources (1,000,000 by default), and writes
events (2,000 a second for a minute by default) while keys are pressed on the tabs Overview,
Resources and Events. It prints how long it took from a key until the frame that answers it was
ready for the terminal (median and p95), how long a look at the tables took, the CPU of this process
and its memory. `--keep` measures again on the resources that are there.
"""

import argparse
import asyncio
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import psycopg
from support import fresh_schema, peak_memory_mb
from textual import events
from textual._compositor import CompositorUpdate
from textual.screen import Screen

from delta_cli import Client
from delta_cli.dash.app import DeltaDash
from delta_cli.dash.messages import SnapshotTaken
from delta_cli.dash.options import Options
from delta_cli.dash.running import open_store, spare_the_collector

KEY_EVERY_S = 0.1
FILL = """
insert into delta.delta_resource (
    namespace, kind, object_id, state, max_attempts, object, hash, synced_at, synced_generation
)
select
    'n' || i %% 4, 'k' || i %% 5, 'object-' || i, 'synced', 10, jsonb_build_object('i', i),
    sha256(i::text::bytea), now(), 1
from generate_series(1, %s::int) as i
"""
KINDS = """
insert into delta.delta_controller (kind, parallelism)
select 'k' || i, 10 from generate_series(0, 4) as i
"""
NAMESPACES = """
insert into delta.delta_namespace (name)
select 'n' || i from generate_series(0, 3) as i on conflict do nothing
"""
EVENTS = """
insert into delta.delta_event (
    category, resource_id, namespace, kind, object_id, state, attempt, max_attempts, generation,
    sync_count, worker_id, duration_ms
)
select
    case when i %% 10 = 0 then 'object_failed' else 'object_synced' end
        ::delta.delta_event_category,
    1 + i * 7919 %% 1000, 'n' || i %% 4, 'k' || i %% 5, 'object-' || i,
    'synced', 1, 10, 1, 1, 1, random() * 500
from generate_series(1, %s::int) as i
"""


@dataclass
class Measured:
    """What was measured on one tab, in milliseconds."""

    keys: list[float] = field(default_factory=list)

    def line(self, name: str) -> str:
        """One line of the report."""
        ordered = sorted(self.keys)
        p95 = ordered[len(ordered) * 95 // 100]
        middle = statistics.median(ordered)
        return f"{name:<10} {len(ordered):>5} keys   median {middle:6.1f} ms   p95 {p95:6.1f} ms"


def fill(dsn: str, rows: int) -> None:
    """Store resources, as a system at rest has them."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(KINDS)
        connection.execute(NAMESPACES)
        connection.execute(FILL, (rows,))
        connection.execute("vacuum analyze delta.delta_resource")


def write_events(dsn: str, per_second: int, seconds: float) -> None:
    """Write events in ten batches a second, each with a hint, as completions do."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        begin = time.monotonic()
        for batch in range(int(seconds * 10)):
            connection.execute(EVENTS, (per_second // 10,))
            connection.execute("select pg_notify('delta.event', '')")
            time.sleep(max(0.0, begin + (batch + 1) / 10 - time.monotonic()))


class WatchedDash(DeltaDash):
    """Makes each frame as for a terminal, and tells when one is ready that answers a key."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._answered = asyncio.Event()
        self._moves = 0

    def watch_moves(self, widget: Any) -> None:
        """Count what a widget does for the keys up and down."""
        move = widget.action_move

        def counted(by: int) -> None:
            self._moves += 1
            move(by)

        widget.action_move = counted

    async def press(self, key: str) -> float:
        """Press a key. Returns the milliseconds until the frame with its answer was ready."""
        self._answered.clear()
        self._moves = 0
        begin = time.perf_counter()
        self.post_message(events.Key(key, None))
        await self._answered.wait()
        return (time.perf_counter() - begin) * 1000

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        """A frame: without a terminal Textual would not write it out."""
        super()._display(screen, renderable)
        if isinstance(renderable, CompositorUpdate):
            renderable.render_segments(self.console)
            if self._moves:
                self._answered.set()


async def measure(given: argparse.Namespace) -> None:
    """Drive the dashboard while events pour in."""
    looks: list[float] = []
    async with Client(given.dsn) as client, open_store(client, read_only=False) as store:
        options = Options(where="benchmark", actor="benchmark")
        app = WatchedDash(store, options, when_ready=spare_the_collector)

        def hook(message: object) -> None:
            if isinstance(message, SnapshotTaken):
                looks.append(message.taken_s * 1000)

        async with app.run_test(size=given.size, message_hook=hook):
            while app.state.snapshot is None or not app.state.snapshot.counted:
                await asyncio.sleep(0.05)
            looks.clear()
            words = ("--dsn", given.dsn, "--write", str(given.events), str(given.seconds))
            writer = await asyncio.create_subprocess_exec(sys.executable, __file__, *words)
            cpu, begin, newest = time.process_time(), time.monotonic(), app.state.newest
            for tab in given.tabs:
                print((await measure_tab(app, tab, given.seconds / len(given.tabs))).line(tab))
            took = time.monotonic() - begin
            cpu = time.process_time() - cpu
            await writer.wait()
            print(f"events     {(app.state.newest - newest) / took:,.0f} a second were read")
            print(f"tables     median {statistics.median(looks):.0f} ms a look, {len(looks)} looks")
            print(f"CPU        {cpu / took:.2f} cores")
            print(f"memory     {peak_memory_mb():.0f} MB at most")


async def measure_tab(app: WatchedDash, tab: str, seconds: float) -> Measured:
    """Move the cursor up and down on a tab."""
    app.go_to_tab(tab)
    app.watch_moves(app.focused)
    measured = Measured()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        key = "up" if len(measured.keys) % 6 < 3 else "down"
        if tab != "events":
            key = {"up": "down", "down": "up"}[key]
        measured.keys.append(await app.press(key))
        await asyncio.sleep(KEY_EVERY_S)
    return measured


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=2_000, help="a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--tabs", nargs="+", default=["overview", "resources", "events"])
    parser.add_argument("--size", nargs=2, type=int, default=(120, 40), help="columns and lines")
    parser.add_argument("--keep", action="store_true", help="on the resources that are there")
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        write_events(given.dsn, int(given.write[0]), float(given.write[1]))
        return
    if not given.keep:
        fresh_schema(given.dsn)
        fill(given.dsn, given.rows)
    asyncio.run(measure(given))


if __name__ == "__main__":
    main()
