"""One worker process under `delta run --processes`: its start, its signals, its end."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from typing import Final

from delta_cli.cli.line_pipe import LinePipe
from delta_cli.cli.restarting import ChildEnd
from delta_cli.cli.supervised import VARIABLE, Inherited
from delta_cli.cli.talk import write_stderr

_PROGRAM: Final = (sys.executable, "-m", "delta_cli.cli.app")


class Child:
    """A process that runs."""

    def __init__(self, process: asyncio.subprocess.Process, stderr: LinePipe) -> None:
        self._process: asyncio.subprocess.Process = process
        self._stderr: LinePipe = stderr
        self._began: float = time.monotonic()

    @classmethod
    async def start(cls, words: Sequence[str], inherited: Inherited) -> "Child":
        """Start `delta` with these words.

        It gets a session of its own: a Ctrl-C on the terminal would reach it past the supervisor,
        and count twice.
        """
        stderr = LinePipe(_pass_on)
        try:
            process = await asyncio.create_subprocess_exec(
                *_PROGRAM,
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stderr=stderr.write_end,
                env={**os.environ, VARIABLE: inherited.to_text()},
                pass_fds=inherited.descriptors,
                start_new_session=True,
            )
        finally:
            stderr.close_write_end()
        return cls(process, stderr)

    @property
    def pid(self) -> int:
        """Its number on this host."""
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def wait(self) -> None:
        """Until it has ended, and what it wrote has been passed on."""
        await self._process.wait()
        self._stderr.read()

    def end(self, *, worked: bool) -> ChildEnd:
        """How it has ended, after `wait()`."""
        assert self._process.returncode is not None
        lived_s = time.monotonic() - self._began
        return ChildEnd(self.pid, self._process.returncode, lived_s, worked=worked)


def _pass_on(lines: bytes) -> None:
    write_stderr(lines.decode(errors="backslashreplace"))
