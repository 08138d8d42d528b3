"""Workers in processes of their own, and the record of what they worked."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import CHECKOUT
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Span:
    """One work: when it began and ended on the machine's monotonic clock; not ended is None."""

    object_id: str
    pid: int
    began: int
    ended: int | None


class WorkerProcess:
    """A process of `tests.support.worker`."""

    def __init__(self, folder: Path, dsn: str, mode: str, **settings: Any) -> None:
        program = [sys.executable, "-m", "tests.support.worker"]
        with (folder / "stderr").open("ab") as stderr:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                [*program, folder, dsn, mode, json.dumps(settings)],
                cwd=CHECKOUT,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        os.set_blocking(self._output, False)
        self._read = b""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def _output(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def lines(self) -> list[str]:
        """What it has printed so far."""
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self._output, 65_536):
                self._read += more
        return self._read.decode().splitlines()

    async def started(self) -> "WorkerProcess":
        await eventually(lambda: self.lines() or self._check_alive(), within=60)
        return self

    def _check_alive(self) -> None:
        assert self.process.poll() is None, "the worker process has died"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, *, within: float = 40.0) -> int:
        """Wait for its end. Returns its exit status."""
        await eventually(lambda: self.process.poll() is not None, within=within)
        return self.process.returncode

    async def summary(self) -> Any:
        """What it says of itself when it was told to stop and has ended well."""
        assert await self.ended() == 0
        return json.loads(self.lines()[-1])

    async def drain(self) -> Any:
        """Stop it as an operator does. Returns its summary."""
        self.signal(signal.SIGTERM)
        return await self.summary()


class Workers:
    """Starts worker processes on one folder, and knows what they have worked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[WorkerProcess] = []

    async def start(self, dsn: str, mode: str, **settings: Any) -> WorkerProcess:
        process = WorkerProcess(self.folder, dsn, mode, **settings)
        self.processes.append(process)
        return await process.started()

    def open_gate(self) -> None:
        """Let the works of the modes that hang end."""
        (self.folder / "gate").touch()

    def spans(self) -> list[Span]:
        """Every work so far, in the order of their beginnings."""
        begun: dict[tuple[str, int, int], tuple[int, int | None]] = {}
        record = self.folder / "record"
        for line in record.read_text().splitlines() if record.exists() else ():
            what, object_id, pid, at, term = json.loads(line)
            key = (object_id, pid, term)
            begun[key] = (at, None) if what == "begin" else (begun[key][0], at)
        spans = [Span(object_id, pid, *times) for (object_id, pid, _), times in begun.items()]
        return sorted(spans, key=lambda span: span.began)

    def running(self) -> list[Span]:
        return [span for span in self.spans() if span.ended is None]

    def errors(self) -> str:
        """What they wrote to stderr."""
        return (self.folder / "stderr").read_text()

    def end_all(self) -> None:
        for process in self.processes:
            if process.process.poll() is None:
                process.process.kill()
            process.process.communicate()


def overlapping(spans: Iterable[Span]) -> list[tuple[Span, Span]]:
    """Pairs of works of one object of which the second began before the first had ended."""
    by_object: dict[str, list[Span]] = {}
    for span in spans:
        by_object.setdefault(span.object_id, []).append(span)
    return [
        (first, second)
        for works in by_object.values()
        for first, second in pairwise(works)
        if first.ended is None or second.began < first.ended
    ]


def times_worked(spans: Iterable[Span]) -> Counter[int]:
    """How many objects were worked how many times."""
    return Counter(Counter(span.object_id for span in spans).values())


@pytest.fixture
def workers(tmp_path: Path) -> Generator[Workers]:
    """Worker processes, all of which are dead when the test has ended."""
    workers = Workers(tmp_path)
    yield workers
    workers.end_all()
