"""What events cost writers, and how fast readers get them, in one run on one machine.

    python benchmarks/events.py [--rounds 3] [--rows 20000] [--log 200000] [--only drain ...]

Prints medians over the rounds; compare ratios, not machines.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import plain_sql
import psycopg
from support import KIND, Measured, fresh_schema, run_loop

from delta_cli import Client, EventCategory, Resource, ResourceState
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.hints import EVENT
from delta_cli.engine.states import Landing, landing_after_success
from delta_cli.engine.store import events, work
from delta_cli.engine.store.work import LaneSlots, Outcome

BATCH = 500
SYNCED = EventCategory.OBJECT_SYNCED
#: Due again at once, so that few resources make many events.
AGAIN = Landing(ResourceState.FAILED, attempt=0, due_in=timedelta(0))
SOON_S = 5.0
#: Events a second that another process writes while latencies are measured.
LOAD = 5_000


def show(name: str, rates: Sequence[float], note: str = "") -> None:
    """One line of the report."""
    measured = Measured.of(rates)
    spread = f"({measured.low:,.0f} to {measured.high:,.0f})"
    print(f"{name:<50}{measured.middle:>12,.0f} /s  {spread:<24} {note}", flush=True)


async def claim(connection: Connection, size: int) -> list[Resource[Any]]:
    """Claim due resources."""
    lanes = [LaneSlots(KIND, "default", size)]
    return await work.claim(connection, lanes, worker_id=1, leases_s={KIND: 3_600.0})


def outcomes(
    claimed: list[Resource[Any]], landing: Landing, category: EventCategory | None
) -> list[Outcome]:
    """How their works ended."""
    return [Outcome(one, landing, category, 0.1) for one in claimed]


async def land(connection: Connection, finished: list[Outcome]) -> None:
    """Complete all of them. A claim of others may hold a row for a moment, which is then left out.

    Who else is at the same rows only ever looks at them, so what is left out is still ours.
    """
    while finished:
        written = await work.complete_around(connection, finished)
        finished = [one for one in finished if one.claim.id not in written]


async def drain(dsn: str, category: EventCategory | None) -> float:
    """Claim and complete everything on one connection. Returns seconds."""
    async with await Database(dsn).connect() as connection:
        began = time.perf_counter()
        while claimed := await claim(connection, BATCH):
            await land(connection, outcomes(claimed, landing_after_success(), category))
        return time.perf_counter() - began


async def append(dsn: str, seconds: float) -> None:
    """Claim and complete the same resources again and again, as a worker process does."""
    async with await Database(dsn).connect() as connection:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            claimed = await claim(connection, BATCH)
            await land(connection, outcomes(claimed, AGAIN, SYNCED))


async def write_steadily(dsn: str, rate: int) -> None:
    """Complete so many a second, in batches some 20 ms apart, with a hint for each."""
    async with await Database(dsn).connect() as connection:
        due = time.perf_counter()
        while True:
            claimed = await claim(connection, rate // 50)
            await land(connection, outcomes(claimed, AGAIN, SYNCED))
            await events.notify(connection, EVENT, "")
            due += 1 / 50
            await asyncio.sleep(max(0.0, due - time.perf_counter()))


class Bench:
    """The measurements, all against one server."""

    def __init__(self, dsn: str, rounds: int, rows: int, log: int) -> None:
        self.dsn: str = dsn
        self.rounds: int = rounds
        self.rows: int = rows
        self.log: int = log

    def drain(self) -> None:
        """The same claims and completions with and without events."""
        rates: dict[EventCategory | None, list[float]] = {None: [], SYNCED: []}
        for _ in range(self.rounds):
            for category, measured in rates.items():
                self._fill(self.rows)
                measured.append(self.rows / run_loop(drain(self.dsn, category)))
        show("drain without events", rates[None])
        # Of each round's two, which lie close together: the machine's own pace comes and goes.
        shares = [one / other for one, other in zip(rates[SYNCED], rates[None], strict=True)]
        note = f"{100 * statistics.median(shares):.0f} % of that without"
        show("drain with events", rates[SYNCED], note)

    def append(self) -> None:
        """Events a second of all writer processes together."""
        for writers in (1, 2, 4):
            rates: list[float] = []
            for _ in range(self.rounds):
                self._fill(self.rows)
                with self._processes("--append", writers) as running:
                    for process in running:
                        assert process.wait() == 0
                rates.append(self._rate_of_log())
            show(f"append, {writers} writer processes", rates)

    def read(self) -> None:
        """One subscriber from the beginning of a long log."""
        fresh_schema(self.dsn)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(
                "insert into delta.delta_event (category, resource_id, namespace, kind, object_id,"
                " state, attempt, max_attempts, generation, sync_count, worker_id, duration_ms)"
                " select 'object_synced', number, 'default', %s, 'item-' || number, 'synced', 1,"
                " 10, 1, 1, 1, 0.1 from generate_series(1, %s) as number",
                [KIND, self.log],
            )
            connection.execute("vacuum analyze delta.delta_event")
        rates = [self.log / run_loop(self._read_all()) for _ in range(self.rounds)]
        show(f"read by one subscriber, {self.log:,}", rates)

    async def _read_all(self) -> float:
        async with Client(self.dsn) as client:
            began, count = time.perf_counter(), 0
            async for _ in client.subscribe(after=0, follow=False):
                count += 1
            assert count == self.log
            return time.perf_counter() - began

    def latency(self) -> None:
        """From the commit of a completion to its event in a subscriber's hands."""
        self._fill(self.rows)
        self._show_latency("idle")
        self._fill(self.rows)
        with self._processes("--load", 1):
            time.sleep(SOON_S)  # until it is warm
            self._show_latency(f"at {LOAD:,} events/s")
            print(f"{'':<50}{self._rate_of_log():>12,.0f} /s  in fact", flush=True)

    def _show_latency(self, when: str) -> None:
        marks = statistics.quantiles(run_loop(self._latencies(500)), n=100)
        figures = f"p50 {1000 * marks[49]:.1f} ms   p99 {1000 * marks[98]:.1f} ms"
        print(f"{f'latency, commit to delivery, {when}':<50}{figures}", flush=True)

    async def _latencies(self, samples: int) -> list[float]:
        async with (
            await Database(self.dsn).connect() as probing,
            Client(self.dsn) as writer,
            Client(self.dsn) as reader,
            reader.subscribe(kinds=[KIND]) as log,
        ):
            times = [await self._probe(writer, probing, log) for _ in range(samples)]
        return times[5:]

    async def _probe(self, writer: Client, connection: Connection, log: Any) -> float:
        (claimed,) = await claim(connection, 1)
        await land(connection, outcomes([claimed], AGAIN, SYNCED))
        committed = time.perf_counter()
        writer._session.send_hint(EVENT)  # noqa: SLF001 - what a completer does
        async for event in log:
            if event.resource_id == claimed.id:
                break
        took = time.perf_counter() - committed
        await asyncio.sleep(0.02)
        return took

    @contextmanager
    def _processes(self, what: str, count: int) -> Generator[list[subprocess.Popen[bytes]]]:
        """So many of this program's own parts, that end with the block."""
        program = [sys.executable, __file__, what, self.dsn]
        running = [subprocess.Popen(program) for _ in range(count)]  # noqa: S603 - our own program
        try:
            yield running
        finally:
            for process in running:
                process.kill()
                process.wait()

    def _rate_of_log(self) -> float:
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(
                "select count(*) / extract(epoch from max(at) - min(at))::float8"
                " from delta.delta_event"
            ).fetchone()
        assert row is not None
        return row[0]

    def _fill(self, rows: int) -> None:
        fresh_schema(self.dsn)
        plain_sql.register(self.dsn)
        plain_sql.upsert(self.dsn, rows)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("vacuum analyze delta.delta_resource")
            connection.execute("checkpoint")


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--log", type=int, default=200_000)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--append", metavar="DSN", help=argparse.SUPPRESS)
    parser.add_argument("--load", metavar="DSN", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.append is not None:
        run_loop(append(options.append, SOON_S))
        return
    if options.load is not None:
        run_loop(write_steadily(options.load, LOAD))
        return
    parts: dict[str, Callable[[Bench], None]] = {
        "drain": Bench.drain,
        "append": Bench.append,
        "read": Bench.read,
        "latency": Bench.latency,
    }
    with TemporaryDirectory(
        prefix="delta-bench-", dir="/var/tmp", ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(Path(folder) / "postgres")
        bench = Bench(server.join(), options.rounds, options.rows, options.log)
        try:
            for name, part in parts.items():
                if not options.only or name in options.only:
                    part(bench)
        finally:
            server.leave()


if __name__ == "__main__":
    main()
