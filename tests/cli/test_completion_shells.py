"""Tab in real shells: what is in the database is offered, and never run."""

import contextlib
import fcntl
import os
import pty
import shutil
import subprocess
import sys
import termios
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.conftest import Inform
from tests.support.command_line import CommandLine, Terminal
from tests.support.programs import CHECKOUT

COMPLETIONS = CHECKOUT / "completions"
START = {
    "bash": (["--norc", "--noprofile", "-i"], f"source {COMPLETIONS}/delta.bash"),
    "zsh": (
        ["-f", "-i"],
        f"fpath=({COMPLETIONS} $fpath); autoload -Uz compinit && compinit -u -D",
    ),
    "fish": (["--no-config", "-i"], f"source {COMPLETIONS}/delta.fish"),
}
SHELLS = [
    pytest.param(
        shell,
        marks=pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not installed"),
    )
    for shell in START
]
# Asked for words it is `delta`, or prints a file; run by Enter it writes down its arguments.
PROGRAM = """#!/bin/sh
if [ -n "$_DELTA_COMPLETE" ]; then
    if [ -e lines ]; then exec cat lines; fi
    exec {python} -m delta_cli.cli.app
fi
for word; do printf '%s\\n' "$word"; done > words
echo "r""an"
"""
EVIL = [
    r"zz\$(touch OWNED)y",
    "shell$(touch OWNED)x",
    "evil`touch OWNED`y",
    "evil x;touch OWNED",
    "evil\x1b]0;owned\x07",
    "evil\u202egnp",
    "evil\ntouch OWNED",
    "-evil",
]


class Shell:
    """A shell on a terminal, with its completion of `delta`."""

    def __init__(self, terminal: Terminal, folder: Path) -> None:
        self.terminal = terminal
        self.folder = folder

    def completes(self, line: str) -> list[str]:
        """The arguments that `delta` gets when Tab and Enter are pressed after a line."""
        place = len(self.terminal.shown)
        self.terminal.type(f"{line}\t\r")
        self.terminal.until("ran\n", after=place)
        assert not (self.folder / "OWNED").exists()
        return (self.folder / "words").read_text().splitlines()


@contextlib.contextmanager
def started(shell: str, delta: CommandLine) -> Generator[Shell]:
    program = delta.folder / "bin" / "delta"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    options, load = START[shell]
    path = f"{program.parent}:{os.environ['PATH']}"
    environ = {**os.environ, **delta.environ, "PATH": path, "TERM": "xterm", "HOME": delta.folder}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [shell, *options],
        cwd=delta.folder,
        env=environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads here
    )
    os.close(theirs)
    try:
        terminal = Terminal(process, ours)
        terminal.type(f"{load}; echo load''ed\r")
        terminal.until("loaded\n")
        yield Shell(terminal, delta.folder)
    finally:
        process.kill()
        process.communicate()
        os.close(ours)


@pytest.mark.parametrize("shell", SHELLS)
def test_ids_from_the_database_are_completed_and_never_run(
    delta: CommandLine, inform: Inform, shell: str
) -> None:
    inform("bob@hello.com", "urn:x:1", "uid=root,ou=people", *EVIL)
    with started(shell, delta) as pressed:
        assert pressed.completes("delta get item bob@hel") == ["get", "item", "bob@hello.com"]
        assert pressed.completes("delta get item urn:x:") == ["get", "item", "urn:x:1"]
        assert pressed.completes("delta get item uid=r") == ["get", "item", "uid=root,ou=people"]
        assert pressed.completes("delta get item 'bob@") == ["get", "item", "bob@hello.com"]
        assert pressed.completes("delta list --state=deg") == ["list", "--state=degraded"]
        for typed in ("zz", "shell", "evil"):
            assert pressed.completes(f"delta get item {typed}") == ["get", "item", typed]
        assert "owned" not in pressed.terminal.shown


@pytest.mark.parametrize("shell", SHELLS)
def test_the_scripts_run_nothing_whatever_delta_prints(delta: CommandLine, shell: str) -> None:
    with started(shell, delta) as pressed:
        for line in (*EVIL[:4], "'; touch OWNED; '", '"; touch OWNED; "', "$(touch OWNED)"):
            (delta.folder / "lines").write_text(f"{line}\n")
            typed = line[:2] if line[0].isalpha() else ""
            words = pressed.completes(f"delta get item {typed}")
            # Left out, or one word that means nothing.
            assert words[:2] == ["get", "item"] and len(words) <= 3
