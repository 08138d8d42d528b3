"""What the benchmarks share: an object, a fresh schema, and a worker process that reports."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import psycopg

from delta_cli import Client, Config, Controller, ObjectSettings, Resource
from delta_cli.cli.worker_process import loop_factory, spare_the_collector
from delta_cli.engine import schema

R = TypeVar("R")
KIND = "item"


@dataclass(frozen=True, slots=True)
class Measured:
    """The median of some rounds, with the lowest and the highest."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> Self:
        """What the rounds gave."""
        return cls(statistics.median(rounds), min(rounds), max(rounds))


@dataclass(frozen=True, slots=True)
class Item:
    """A small object, as of a billing API: some 120 bytes of JSON."""

    key: str
    version: int
    name: str = "Ada Lovelace"
    email: str = "ada@example.org"
    plan: str = "enterprise"
    kind: ClassVar[str] = KIND

    @property
    def id(self) -> str:
        """Its key."""
        return self.key

    @classmethod
    def settings(cls) -> ObjectSettings:
        """As many at once as a claim takes."""
        return ObjectSettings(parallelism=1_000)


class ItemController(Controller[Item]):
    """Does nothing, as fast as it can."""

    async def work(self, resource: Resource[Item]) -> None:
        """Nothing to do."""


def items(rows: int, version: int) -> Iterator[Item]:
    """Objects with ids that do not come in order."""
    return (Item(f"item-{(number * 7919) % rows:07}", version) for number in range(rows))


def run_loop(main: Coroutine[Any, Any, R]) -> R:
    """Run on the event loop that workers use."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)


def fresh_schema(dsn: str) -> None:
    """Drop everything and migrate."""

    async def migrate() -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            await connection.execute("drop schema if exists delta cascade")
            await schema.migrate(connection)

    run_loop(migrate())


def server_cpu_seconds(dsn: str) -> float:
    """CPU seconds of the postmaster and all its children, those that ended included."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select pg_read_file('postmaster.pid')").fetchone()
    assert row is not None
    postmaster = int(row[0].splitlines()[0])
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == postmaster or int(stat.parent.name) == postmaster:
            ticks += sum(map(int, fields[11 : 15 if int(stat.parent.name) == postmaster else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What a worker process says of one drain."""

    worked: int
    seconds: float
    cpu_seconds: float
    peak_memory_mb: float

    @property
    def rate(self) -> float:
        """Resources per second."""
        return self.worked / self.seconds


class WorkerProcess:
    """A worker in a process of its own."""

    def __init__(self, dsn: str) -> None:
        self._process: subprocess.Popen[str] = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, __file__, dsn],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def drain(self, *, stop_after: int = 0) -> DrainReport:
        """Work until nothing is due, or for so many resources."""
        return DrainReport(**json.loads(self._ask(f"drain {stop_after}")))

    def wait_until_ready(self) -> None:
        """Start the worker and leave it idle."""
        self._ask("start 0")

    def _ask(self, question: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


async def _serve(dsn: str) -> None:
    async with Client(dsn, Config(controllers=[ItemController()])) as client:
        while line := await asyncio.to_thread(sys.stdin.readline):
            verb, _, stop_after = line.partition(" ")
            if verb == "start":
                await client.start()
                await client.wait_until_drained()
                print("ready", flush=True)
                continue
            print(json.dumps(asdict(await _drain(client, int(stop_after)))), flush=True)


async def _drain(client: Client, stop_after: int) -> DrainReport:
    cpu = time.process_time()
    began = time.perf_counter()
    await client.start()
    worker = client._worker.runtime.worker  # noqa: SLF001  # pyright: ignore[reportOptionalMemberAccess]
    while not (stop_after and worker.counts.synced >= stop_after) and not await client.drained():
        await asyncio.sleep(0.005)
    seconds = time.perf_counter() - began
    worked = worker.counts.synced
    await client.stop()
    return DrainReport(worked, seconds, time.process_time() - cpu, peak_memory_mb())


def peak_memory_mb() -> float:
    """The most that this process has held, in MiB."""
    # Not getrusage(): its maximum includes the process that started this one.
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    spare_the_collector()
    run_loop(_serve(sys.argv[1]))
