"""The child's side of `delta run --processes`: it notices its supervisor's death, and reports.

It inherits three descriptors: the `lifeline`, a pipe that closes with the supervisor, so that
nothing has to be polled; a pipe for `reports`; and the supervisor's own `stderr`, to write to when
nobody passes lines on any more.
"""

import asyncio
import contextlib
import json
import os
import select
import sys
from collections.abc import Callable, MutableMapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from delta_cli.engine.runtime import WorkerSummary

#: Tells a child that it has a supervisor, and what it inherits from it.
VARIABLE: Final = "DELTA_SUPERVISOR"


@dataclass(frozen=True, slots=True)
class Inherited:
    """The descriptors of a child; `drain_began`: since when failures count, for a replacement.

    `announces`: it tells what a person should know of all.
    """

    lifeline: int
    reports: int
    stderr: int
    drain_began: datetime | None = None
    announces: bool = False

    @property
    def descriptors(self) -> tuple[int, int, int]:
        """All that the child must be given."""
        return (self.lifeline, self.reports, self.stderr)

    def to_text(self) -> str:
        """The value of the variable."""
        began = self.drain_began.isoformat() if self.drain_began else ""
        return ",".join([*map(str, self.descriptors), began, str(int(self.announces))])

    @classmethod
    def from_text(cls, text: str) -> "Inherited":
        """Read the value of the variable."""
        lifeline, reports, stderr, began, announces = text.split(",")
        drain_began = datetime.fromisoformat(began) if began else None
        return cls(int(lifeline), int(reports), int(stderr), drain_began, announces == "1")


@dataclass(frozen=True, slots=True)
class Report:
    """What a child tells: that it works, with `began` (the database's time); later, what it did.

    In a drain it tells now and then how many resources are `left`, to it and to all others.
    """

    pid: int
    began: str | None = None
    synced: int = 0
    failed: int = 0
    deleted: int = 0
    returned: int = 0
    left: int | None = None

    def to_line(self) -> bytes:
        """One line, short enough that lines of many writers to one pipe never mix."""
        return (json.dumps(asdict(self)) + "\n").encode()

    @classmethod
    def from_line(cls, line: bytes) -> "Report":
        """Read one line."""
        value = json.loads(line)
        return cls(**{field.name: value[field.name] for field in fields(cls)})


class Supervised:
    """A child's ties to its supervisor."""

    def __init__(self, inherited: Inherited) -> None:
        self._inherited: Inherited = inherited
        # What the works start shall not hold them.
        for descriptor in inherited.descriptors:
            os.set_inheritable(descriptor, False)

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> "Supervised | None":
        """The ties that the environment names, taken out of it: they are this process's alone."""
        text = environ.pop(VARIABLE, None)
        return None if text is None else cls(Inherited.from_text(text))

    @property
    def drain_began(self) -> datetime | None:
        """When the drain began in which this process replaces another; None: it is the first."""
        return self._inherited.drain_began

    @property
    def announces(self) -> bool:
        """Whether this process tells what a person should know of all."""
        return self._inherited.announces

    def watch(self, on_lost: Callable[[], None]) -> None:
        """Call `on_lost` in the running event loop when the supervisor has died."""
        loop = asyncio.get_running_loop()

        def lost() -> None:
            loop.remove_reader(self._inherited.lifeline)
            # Our stderr led to the supervisor; nobody reads it there any more.
            os.dup2(self._inherited.stderr, sys.__stderr__.fileno() if sys.__stderr__ else 2)
            on_lost()

        loop.add_reader(self._inherited.lifeline, lost)

    def report_start(self, began: datetime) -> None:
        """Tell that this process works, since `began` by the database's time."""
        self._report(Report(os.getpid(), began=began.isoformat()))

    def report_end(self, summary: "WorkerSummary") -> None:
        """Tell what this process did."""
        counts = summary.counts
        self._report(
            Report(
                os.getpid(),
                synced=counts.synced,
                failed=counts.failed,
                deleted=counts.deleted,
                returned=summary.returned,
            )
        )

    def report_left(self, count: int) -> None:
        """Tell how many are left. Not to a supervisor that stands still: works must not wait."""
        if select.select([], [self._inherited.reports], [], 0)[1]:
            self._report(Report(os.getpid(), left=count))

    def _report(self, report: Report) -> None:
        with contextlib.suppress(OSError):  # the supervisor has died
            os.write(self._inherited.reports, report.to_line())
