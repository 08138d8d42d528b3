"""The program `delta` in processes of its own, in a folder and an environment that a test sets."""

import contextlib
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

APPS = Path(__file__).parents[1] / "cli" / "apps"
DEADLINE_S = 30.0
_PROGRAM = (sys.executable, "-m", "delta_cli.cli.app")


@dataclass(frozen=True)
class Done:
    """How a process ended and what it wrote."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    def expect(self, code: int) -> "Done":
        """The same, if it ended so; shows all of it where not."""
        assert self.code == code, (
            f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"
        )
        return self


class CommandLine:
    """Runs `delta`. `environ` is added to the environment; None takes a variable away."""

    def __init__(self, folder: Path, environ: Mapping[str, str | None]) -> None:
        self.folder = folder
        self.environ = dict(environ)

    def __call__(
        self, *words: str, stdin: str | bytes = "", environ: Mapping[str, str | None] | None = None
    ) -> Done:
        """Run to the end."""
        data = stdin if isinstance(stdin, bytes) else stdin.encode()
        done = subprocess.run(
            [*_PROGRAM, *words],
            cwd=self.folder,
            env=self._environment(environ),
            input=data,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextlib.contextmanager
    def started(self, *words: str, **more: Any) -> Generator[subprocess.Popen[str]]:
        """A process that runs on; killed at the end if it still does."""
        process = subprocess.Popen(
            [*_PROGRAM, *words],
            cwd=self.folder,
            env=self._environment(more.pop("environ", None)),
            stdout=more.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            stdin=more.pop("stdin", subprocess.DEVNULL),
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def on_terminal(
        self,
        *words: str,
        typed: str = "",
        environ: Mapping[str, str | None] | None = None,
        columns: int = 80,
    ) -> tuple[int, str]:
        """Run on a terminal of 80 columns; returns the exit status and all that it showed."""
        with self.terminal(*words, environ=environ, columns=columns) as terminal:
            terminal.type(typed)
            return terminal.end()

    @contextlib.contextmanager
    def terminal(
        self,
        *words: str,
        environ: Mapping[str, str | None] | None = None,
        columns: int | None = 80,
        **more: Any,
    ) -> Generator["Terminal"]:
        """A process on a terminal of its own, where `stdout=` or `stderr=` do not take it away.

        `columns` None: as wide as `resize()` makes it.
        """
        ours, theirs = pty.openpty()
        # Wide enough for no line to be broken, narrow enough to see tables cut.
        environment = self._environment(environ) | {"LINES": "24"}
        if columns is not None:
            environment["COLUMNS"] = str(columns)
        process = subprocess.Popen(
            [*_PROGRAM, *words],
            cwd=self.folder,
            env=environment,
            stdin=theirs,
            start_new_session=True,
            # So that Ctrl-C reaches it.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads here
            **{"stdout": theirs, "stderr": theirs, **more},
        )
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()
            os.close(ours)

    def _environment(self, more: Mapping[str, str | None] | None) -> dict[str, str]:
        merged = {**os.environ, "TERM": "xterm", **self.environ, **(more or {})}
        return {name: value for name, value in merged.items() if value is not None}


class Terminal:
    """What a process shows and is typed. `shown` is all that was read so far."""

    def __init__(self, process: "subprocess.Popen[Any]", descriptor: int) -> None:
        self.process = process
        self.shown = ""
        self._descriptor = descriptor
        self._read = b""

    def type(self, text: str) -> None:
        r"""Press keys; `\x03` is Ctrl-C."""
        os.write(self._descriptor, text.encode())

    def resize(self, columns: int) -> None:
        """Make it so wide."""
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))

    def until(self, text: str, *, after: int = 0) -> int:
        """Read on until it shows a text beyond that place; returns where that ends."""
        deadline = time.monotonic() + DEADLINE_S
        while (found := self.shown.find(text, after)) < 0:
            assert time.monotonic() < deadline, f"{text!r} is not shown: {self.shown!r}"
            assert self._read_more(), f"it ended without {text!r}: {self.shown!r}"
        return found + len(text)

    def end(self) -> tuple[int, str]:
        """Wait for its end; returns the exit status and all that it showed."""
        deadline = time.monotonic() + DEADLINE_S
        while self._read_more():
            assert time.monotonic() < deadline, f"it runs on: {self.shown!r}"
        return self.process.wait(DEADLINE_S), self.shown

    def _read_more(self) -> bool:
        if not select.select([self._descriptor], [], [], 1.0)[0]:
            return True
        try:
            chunk = os.read(self._descriptor, 65536)
        except OSError:  # Linux: the other side is closed
            return False
        self._read += chunk
        self.shown = self._read.decode(errors="ignore").replace("\r\n", "\n")
        return bool(chunk)


def ended(process: "subprocess.Popen[str]") -> Done:
    """How a started process has ended, waited for."""
    out, err = process.communicate(timeout=DEADLINE_S)
    return Done(process.returncode, out or "", err or "")
