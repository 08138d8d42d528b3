"""The program `delta` in processes of its own, in a folder and an environment that a test sets."""

import contextlib
import json
import os
import pty
import select
import subprocess
import sys
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
        self, *words: str, typed: str = "", environ: Mapping[str, str | None] | None = None
    ) -> tuple[int, str]:
        """Run on a terminal of 80 columns; returns the exit status and all that it showed."""
        ours, theirs = pty.openpty()
        # Wide enough for no line to be broken, narrow enough to see tables cut.
        environment = self._environment(environ) | {"COLUMNS": "80", "LINES": "24"}
        process = subprocess.Popen(
            [*_PROGRAM, *words],
            cwd=self.folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        os.write(ours, typed.encode())
        shown = _read_all(ours)
        os.close(ours)
        return process.wait(DEADLINE_S), shown.decode().replace("\r\n", "\n")

    def _environment(self, more: Mapping[str, str | None] | None) -> dict[str, str]:
        merged = {**os.environ, "TERM": "xterm", **self.environ, **(more or {})}
        return {name: value for name, value in merged.items() if value is not None}


def _read_all(terminal: int) -> bytes:
    shown = b""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1.0)[0]:
            continue
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux: the other side is closed
            break
        if not chunk:
            break
        shown += chunk
    return shown


def ended(process: "subprocess.Popen[str]") -> Done:
    """How a started process has ended, waited for."""
    out, err = process.communicate(timeout=DEADLINE_S)
    return Done(process.returncode, out or "", err or "")
