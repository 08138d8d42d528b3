"""How `delta run` ends: the first signal drains, the second stops at once, and the process ends.

A plain `work()` that hangs in its thread cannot be cancelled, and Python would wait for it at exit;
`end_within` sees to it that the process ends all the same.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.talk import note

_CODES: Final = {
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGINT: ExitCode.INTERRUPTED,
    **({} if sys.platform == "win32" else {signal.SIGHUP: ExitCode.HUNG_UP}),
}


class StopSignals:
    """Counts SIGTERM, SIGINT and SIGHUP. `first` and `second` are set in turn."""

    def __init__(self, on_first: Callable[[], None], on_second: Callable[[], None]) -> None:
        self.first: asyncio.Event = asyncio.Event()
        self.second: asyncio.Event = asyncio.Event()
        self._on_first: Callable[[], None] = on_first
        self._on_second: Callable[[], None] = on_second
        self._last: signal.Signals = signal.SIGTERM

    def listen(self) -> None:
        """Take over these signals in the running event loop; under nohup, not SIGHUP."""
        loop = asyncio.get_running_loop()
        for number in _CODES:
            if number not in (signal.SIGTERM, signal.SIGINT) and _is_ignored(number):
                continue
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, self._received, number)

    @property
    def exit_code(self) -> ExitCode:
        """What a process says that a signal has ended."""
        return _CODES[self._last]

    def drain(self) -> None:
        """As if the first signal had come, unless it has."""
        if not self.first.is_set():
            self._received(signal.SIGTERM)

    def _received(self, number: signal.Signals) -> None:
        self._last = number
        if not self.first.is_set():
            self.first.set()
            self._on_first()
        elif not self.second.is_set():
            self.second.set()
            self._on_second()


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


def end_within(seconds: float, code: ExitCode) -> None:
    """End the process after that time if threads or exit handlers hang."""
    timer = threading.Timer(seconds, _end, (code,))
    timer.daemon = True
    timer.start()


def _end(code: ExitCode) -> None:
    note("threads still run; the process ends without them")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
