"""`delta run --processes N`: keeps N worker processes running on this host, and ends with them.

The supervisor itself opens no database and imports no application: what these do to a process they
do to its children, which it starts again.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from typing import Final

from delta_cli.cli import shapes
from delta_cli.cli.child import Child
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.line_pipe import LinePipe
from delta_cli.cli.output import Format
from delta_cli.cli.progress import progress_of_rest
from delta_cli.cli.restarting import AfterEnd, ChildEnd, after_end, delay_before_restart
from delta_cli.cli.stopping import StopSignals
from delta_cli.cli.supervised import Inherited, Report
from delta_cli.engine.errors import ConfigError

log = logging.getLogger(__name__)

MOST_PROCESSES: Final = 1_000
_OPTION: Final = "--processes"
#: A hard stop gives claims back for some 20 s at most; who has not ended then never will.
_PATIENCE_S: Final = 30.0
#: Open files of the supervisor: for each child its stderr and, in new Pythons, its pidfd.
_FILES_PER_PROCESS: Final = 2
_FILES_BESIDES: Final = 64
_STDERR: Final = 2
_OURS: Final = {"component": "supervisor"}


def check_processes(count: int) -> None:
    """Refuse a number of processes that this host cannot have. Raises ConfigError."""
    if not 1 <= count <= MOST_PROCESSES:
        raise ConfigError(
            f"{_OPTION} must be a whole number from 1 to {MOST_PROCESSES}, got {count!r}"
        )
    if sys.platform == "win32":
        raise ConfigError(
            f"{_OPTION} needs pipes that children inherit, which Windows has not",
            hint="start delta run as many times",
        )
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count * _FILES_PER_PROCESS + _FILES_BESIDES
    if limit != resource.RLIM_INFINITY and needed > limit:
        raise ConfigError(
            f"{_OPTION} {count} needs {needed} open files, and the limit is {limit}",
            hint=f"raise it before: ulimit -n {needed}",
        )


def without_processes(words: Sequence[str]) -> list[str]:
    """The words of the command line for a child: without `--processes N`."""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == _OPTION:
            next(rest, None)
        elif not word.startswith(f"{_OPTION}="):
            kept.append(word)
    return kept


class Supervisor:
    """Keeps `count` processes of `delta` with the same `words` running.

    `form`: how far a drain is, is told as this way of printing data has it. `patience_s`: how long
    after a hard stop those that have not ended are killed.
    """

    def __init__(
        self,
        words: Sequence[str],
        count: int,
        *,
        drain: bool,
        form: Format = Format.TABLE,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._words: Sequence[str] = words
        self._count: int = count
        self._drain: bool = drain
        self._form: Format = form
        self._tell_left: Callable[[int], None] | None = None
        self._patience_s: float = patience_s
        self._signals: StopSignals = StopSignals(self._on_first_signal, self._stop_at_once)
        self._children: dict[int, Child] = {}
        self._working: set[int] = set()
        self._ends: list[ChildEnd] = []
        self._reports: list[Report] = []
        self._restarts: int = 0
        self._any_works: asyncio.Event = asyncio.Event()
        self._stopping: asyncio.Event = asyncio.Event()
        self._drain_began: datetime | None = None
        self._hopeless: ExitCode | None = None

    async def run(self) -> ExitCode:
        """Until all processes have ended as they should."""
        began = time.monotonic()
        self._signals.listen()
        with ExitStack() as files:
            reports = LinePipe(self._take_reports)
            files.callback(reports.close)
            files.callback(reports.close_write_end)
            if self._drain:
                self._tell_left = files.enter_context(progress_of_rest("working", self._form))
            await self._keep_all(_inherited(files, reports), reports)
        self._log_summary(time.monotonic() - began)
        return self._exit_code()

    # Keeping processes running

    async def _keep_all(self, inherited: Inherited, reports: LinePipe) -> None:
        """The first goes ahead: what is wrong for all is told once, and the others begin warm."""
        async with asyncio.TaskGroup() as group:
            ahead = replace(inherited, announces=True)
            first = group.create_task(self._keep_one(ahead, reports))
            await _any_of(self._any_works.wait(), self._stopping.wait(), asyncio.shield(first))
            for _ in range(self._count - 1):
                group.create_task(self._keep_one(inherited, reports))

    async def _keep_one(self, inherited: Inherited, reports: LinePipe) -> None:
        """One process after the other, until one has ended as it should."""
        delay_s: float | None = None
        while not self._stopping.is_set():
            end = await self._run_one(inherited, reports)
            if end is not None and self._is_last(end):
                return
            delay_s = delay_before_restart(delay_s, end.lived_s if end else 0.0)
            if end is not None:
                fields = {**_OURS, **end.fields(), "restart_in_s": delay_s}
                log.warning("worker process died", extra=fields)
            await _any_of(self._stopping.wait(), asyncio.sleep(delay_s))
            if not self._stopping.is_set():
                self._restarts += 1
                inherited = replace(inherited, drain_began=self._drain_began, announces=False)

    async def _run_one(self, inherited: Inherited, reports: LinePipe) -> ChildEnd | None:
        """One process from its start to its end; None: the system could not start it."""
        try:
            child = await Child.start(self._words, inherited)
        except OSError as error:
            log.warning("worker process not started", extra={**_OURS, "error": str(error)})
            return None
        self._children[child.pid] = child
        log.info("worker process started", extra={**_OURS, "pid": child.pid})
        if self._stopping.is_set():
            child.signal(signal.SIGTERM)  # it was not there yet when all were told
        await child.wait()
        reports.read()
        del self._children[child.pid]
        worked = child.pid in self._working
        self._working.discard(child.pid)
        return child.end(worked=worked)

    def _is_last(self, end: ChildEnd) -> bool:
        """Whether its place stays empty."""
        if self._stopping.is_set():
            after = AfterEnd.LEAVE
        else:
            after = after_end(end.code, drain=self._drain, any_worked=self._any_works.is_set())
        if after is AfterEnd.REPLACE:
            return False
        self._ends.append(end)
        log.info("worker process ended", extra={**_OURS, **end.fields()})
        if after is AfterEnd.END_ALL:
            self._hopeless = ExitCode(end.code)
            self._drain_all()
        return True

    def _take_reports(self, lines: bytes) -> None:
        for line in lines.splitlines():
            report = Report.from_line(line)
            if report.left is not None:
                if self._tell_left is not None:
                    self._tell_left(report.left)
            elif report.began is not None:
                self._take_start(report.pid, report.began)
            else:
                self._reports.append(report)

    def _take_start(self, pid: int, began: str) -> None:
        self._working.add(pid)
        self._any_works.set()
        if self._drain and self._drain_began is None:
            self._drain_began = datetime.fromisoformat(began)

    # Ending

    def _on_first_signal(self) -> None:
        log.info("draining", extra={**_OURS, "processes": len(self._children)})
        self._drain_all()

    def _drain_all(self) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            # For SIGINT too: a process that still imports ends quietly on it.
            self._signal_all(signal.SIGTERM)

    def _stop_at_once(self) -> None:
        log.info("stopping at once", extra={**_OURS, "processes": len(self._children)})
        # Another one than before: of two equal signals that wait, the system delivers one.
        self._signal_all(signal.SIGINT)
        asyncio.get_running_loop().call_later(self._patience_s, self._signal_all, signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children.values():
            child.signal(number)

    def _exit_code(self) -> ExitCode:
        """As one process would end."""
        if self._hopeless is not None:
            return self._hopeless
        codes = [end.code for end in self._ends if end.worked]
        if self._signals.first.is_set():
            drained = not self._drain and codes and not any(codes)
            return ExitCode.DONE if drained else self._signals.exit_code
        return ExitCode.SOME_FAILED if ExitCode.SOME_FAILED in codes else ExitCode.DONE

    def totals(self) -> dict[str, int]:
        """What all processes have done together, of those that could still tell."""
        return {
            name: sum(getattr(report, name) for report in self._reports) for name in shapes.DRAINED
        }

    def _log_summary(self, seconds: float) -> None:
        totals = self.totals()
        returned = totals.pop("returned")
        if returned:
            log.warning("resources given back unfinished", extra={**_OURS, "count": returned})
        others = {
            "processes": self._count,
            **totals,
            "restarts": self._restarts,
            "seconds": round(seconds, 1),
        }
        log.info("all worker processes ended", extra={**_OURS, **others})


def _inherited(files: ExitStack, reports: LinePipe) -> Inherited:
    """What all children are given; of the lifeline the supervisor alone holds the other end."""
    lifeline, other_end = os.pipe()
    try:
        stderr = os.dup(_STDERR)
    except OSError:  # started without one
        stderr = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (lifeline, other_end, stderr):
        files.callback(os.close, descriptor)
    return Inherited(lifeline, reports.write_end, stderr)


async def _any_of(*waits: Awaitable[object]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
