"""How fast the engine is, beside the same work as plain SQL, in one run on one machine.

    python benchmarks/engine.py [--rounds 5] [--rows 20000] [--large 200000] [--only drain ...]

Prints medians over the rounds; compare ratios, not machines. `--full` adds the two long parts: a
million due rows, and a million transitions on the same rows.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import plain_sql
import psycopg
from support import (
    KIND,
    DrainReport,
    Item,
    Measured,
    WorkerProcess,
    fresh_schema,
    items,
    run_loop,
    server_cpu_seconds,
)

from delta_cli import Client
from delta_cli.engine.embedded import EmbeddedServer


def show(name: str, measured: Measured, unit: str = "/s", note: str = "") -> None:
    """One line of the report."""
    spread = f"({measured.low:,.0f} to {measured.high:,.0f})"
    print(f"{name:<58}{measured.middle:>12,.0f} {unit:<3} {spread:<24} {note}", flush=True)


class Bench:
    """The measurements, all against one server."""

    def __init__(self, dsn: str, rounds: int) -> None:
        self.dsn: str = dsn
        self.rounds: int = rounds

    # Informs

    def informs(self, rows: int) -> None:
        """New, unchanged and changed objects: streamed, one at a time, and as a plain upsert."""
        steps = (("new", 1), ("unchanged", 1), ("changed", 2))
        plain: dict[str, list[float]] = {name: [] for name, _ in steps}
        streamed: dict[str, list[float]] = {name: [] for name, _ in steps}
        for _ in range(self.rounds):
            fresh_schema(self.dsn)
            plain_sql.register(self.dsn)
            for name, version in steps:
                plain[name].append(rows / plain_sql.upsert(self.dsn, rows, version))
            fresh_schema(self.dsn)
            plain_sql.register(self.dsn)
            for name, version in steps:
                streamed[name].append(rows / run_loop(self._stream(rows, version)))
        for name, _ in steps:
            base, ours = Measured.of(plain[name]), Measured.of(streamed[name])
            show(f"plain SQL upsert, {name}", base)
            share = _share(ours.middle, base.middle)
            show(f"inform, streamed, {name}", ours, note=f"{share} of the plain upsert")
        few = max(200, rows // 40)
        for name, version in (("new", 3), ("unchanged", 3), ("changed", 4)):
            rates = [
                few / run_loop(self._one_by_one(few, version, offset))
                for offset in range(self.rounds)
            ]
            show(f"inform, one at a time, {name}", Measured.of(rates))

    async def _stream(self, rows: int, version: int) -> float:
        async with Client(self.dsn) as client:
            began = time.perf_counter()
            await client.inform_many(items(rows, version))
            return time.perf_counter() - began

    async def _one_by_one(self, rows: int, version: int, offset: int) -> float:
        async with Client(self.dsn) as client:
            began = time.perf_counter()
            for number in range(rows):
                await client.inform(Item(f"one-{offset}-{number}", version))
            return time.perf_counter() - began

    # Drains

    def drain(self, rows: int) -> None:
        """One worker process with a no-op work, beside one SQL connection with no Python work."""
        same: list[float] = []
        by_hand: list[float] = []
        reports: list[DrainReport] = []
        server_cpu: list[float] = []
        for _ in range(self.rounds):
            self._fill(rows)
            same.append(rows / plain_sql.drain_as_worker(self.dsn))
            self._fill(rows)
            by_hand.append(rows / plain_sql.drain_by_hand(self.dsn))
            self._fill(rows)
            before = server_cpu_seconds(self.dsn)
            with WorkerProcess(self.dsn) as worker:
                reports.append(worker.drain(stop_after=rows))
            server_cpu.append(server_cpu_seconds(self.dsn) - before)
        ceiling, least = Measured.of(same), Measured.of(by_hand)
        drained = Measured.of([report.rate for report in reports])
        show(f"ceiling: a worker's statements, one after another, {rows:,}", ceiling)
        show(f"SQL by hand for this case only, {rows:,}", least)
        show(
            f"drain: one worker, no-op work, {rows:,}",
            drained,
            note=f"{_share(drained.middle, ceiling.middle)} of the ceiling, "
            f"{_share(drained.middle, least.middle)} of the SQL by hand",
        )
        print(
            f"{'':<58}worker: {statistics.median(one.cpu_seconds for one in reports):.1f} CPU s, "
            f"{statistics.median(one.peak_memory_mb for one in reports):.0f} MB at its peak; "
            f"server: {statistics.median(server_cpu):.1f} CPU s"
        )

    def _fill(self, rows: int) -> None:
        fresh_schema(self.dsn)
        plain_sql.register(self.dsn)
        plain_sql.upsert(self.dsn, rows)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("vacuum analyze delta.delta_resource")
            connection.execute("checkpoint")

    # Latency

    def latency(self, samples: int) -> None:
        """From an inform to its event, on a worker in another process that has nothing to do."""
        fresh_schema(self.dsn)
        with WorkerProcess(self.dsn) as worker:
            worker.wait_until_ready()
            times = sorted(run_loop(self._latencies(samples)))
        marks = statistics.quantiles(times, n=100)
        p50, p95, p99 = (1000 * marks[index] for index in (49, 94, 98))
        name = "latency, inform to event, idle worker"
        print(f"{name:<58}p50 {p50:.1f} ms   p95 {p95:.1f} ms   p99 {p99:.1f} ms")

    async def _latencies(self, samples: int) -> list[float]:
        times: list[float] = []
        async with Client(self.dsn) as client, client.subscribe(kinds=[KIND]) as events:
            for number in range(samples):
                began = time.perf_counter()
                await client.inform(Item(f"latency-{number}", 1))
                await anext(events)
                times.append(time.perf_counter() - began)
                await asyncio.sleep(0.02)
        return times[5:]

    # Long runs

    def depth(self) -> None:
        """The rate with a million due rows beside the rate with ten thousand."""
        rates: dict[int, list[float]] = {10_000: [], 1_000_000: []}
        for _ in range(min(self.rounds, 3)):
            for due, rounds in rates.items():
                self._fill(due)
                with WorkerProcess(self.dsn) as worker:
                    rounds.append(worker.drain(stop_after=10_000).rate)
        few, many = (statistics.median(rates[due]) for due in (10_000, 1_000_000))
        print(f"{'drain with 10,000 due':<58}{few:>12,.0f} /s")
        print(f"{'drain with 1,000,000 due':<58}{many:>12,.0f} /s  {_share(many, few)}")

    def age(self, rows: int = 50_000, rounds: int = 20) -> None:
        """The rate of the first drain of some rows beside that of the last, a million later."""
        self._fill(rows)
        rates: list[float] = []
        for _ in range(rounds):
            with WorkerProcess(self.dsn) as worker:
                rates.append(worker.drain().rate)
            with psycopg.connect(self.dsn, autocommit=True) as connection:
                connection.execute(
                    "update delta.delta_resource set state = 'expired', due_at = now()"
                )
        first, last = statistics.median(rates[:3]), statistics.median(rates[-3:])
        print(f"{'drain of the first rounds':<58}{first:>12,.0f} /s")
        print(
            f"{f'after {rows * rounds:,} transitions':<58}{last:>12,.0f} /s  {_share(last, first)}"
        )


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %"


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--large", type=int, default=200_000)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    parts: dict[str, Callable[[Bench], None]] = {
        "informs": lambda bench: bench.informs(options.rows),
        "drain": lambda bench: bench.drain(options.rows),
        "large": lambda bench: bench.drain(options.large),
        "latency": lambda bench: bench.latency(300),
    }
    if options.full or "depth" in options.only:
        parts["depth"] = Bench.depth
    if options.full or "age" in options.only:
        parts["age"] = Bench.age
    with TemporaryDirectory(
        prefix="delta-bench-", dir="/var/tmp", ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(Path(folder) / "postgres")
        bench = Bench(server.join(), options.rounds)
        try:
            for name, part in parts.items():
                if not options.only or name in options.only:
                    part(bench)
        finally:
            server.leave()


if __name__ == "__main__":
    main()
