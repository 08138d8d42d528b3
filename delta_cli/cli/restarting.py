"""Decides what follows the end of a worker process under `delta run --processes`: pure, no I/O."""

import signal
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from delta_cli.cli.exit_codes import ExitCode

FIRST_DELAY_S: Final = 1.0
LONGEST_DELAY_S: Final = 30.0
#: A process that has lived this long begins with the first delay again.
LONG_LIFE_S: Final = 60.0

#: What no restart mends: the command line, the application, or the schema is wrong.
_HOPELESS: Final = (ExitCode.USAGE, ExitCode.SCHEMA)


class AfterEnd(Enum):
    """What follows."""

    LEAVE = auto()
    REPLACE = auto()
    END_ALL = auto()


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a process ended: `code` as `subprocess` gives it, negative for a signal.

    `worked`: it had begun to work.
    """

    pid: int
    code: int
    lived_s: float
    worked: bool

    def fields(self) -> dict[str, Any]:
        """Pid, and exit status or signal, as fields of an event."""
        if self.code >= 0:
            return {"pid": self.pid, "exit_status": self.code}
        return {"pid": self.pid, "signal": _signal_name(-self.code)}


def after_end(code: int, *, drain: bool, any_worked: bool) -> AfterEnd:
    """What follows the end of a process that nobody asked to stop.

    Status 0 outside a drain is that of a process that somebody else told to stop: it stays ended.
    Without a database from the first (`any_worked` False), all end as one process does.
    """
    if code == ExitCode.DONE or (drain and code == ExitCode.SOME_FAILED):
        return AfterEnd.LEAVE
    if code in _HOPELESS or (code == ExitCode.NO_CONNECTION and not any_worked):
        return AfterEnd.END_ALL
    return AfterEnd.REPLACE


def delay_before_restart(previous_s: float | None, lived_s: float) -> float:
    """Seconds until a process is started again: 1, doubling to 30; anew after a minute of life."""
    if previous_s is None or lived_s >= LONG_LIFE_S:
        return FIRST_DELAY_S
    return min(2 * previous_s, LONGEST_DELAY_S)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has none
        return str(number)
