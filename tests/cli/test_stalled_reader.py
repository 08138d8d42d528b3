"""Readers that stop reading a full pipe and do not close it: signals end `delta` all the same."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.cli.conftest import Inform
from tests.support.command_line import DEADLINE_S, CommandLine, ended
from tests.support.embedded import until

EVENTS = 2_000


@pytest.fixture
def full_log(delta: CommandLine, dsn: str, inform: Inform) -> CommandLine:
    """`delta` with more events and resources than a pipe holds."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into delta.delta_event (category, resource_id, namespace, kind, object_id,"
            " state, attempt, max_attempts, generation, sync_count)"
            " select 'object_synced', 1, 'default', 'item', number, 'synced', 1, 10, 1, 1"
            " from generate_series(1, %s) as number",
            [EVENTS],
        )
    inform(*map(str, range(500)))
    return delta


def is_asleep(process: subprocess.Popen[str]) -> bool:
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0]
    return state == "S"


class Reader:
    """Reads nothing of a pipe until it is told to."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()

    def read(self) -> str:
        """All that was written, by processes that have ended."""
        os.close(self.writing)
        with os.fdopen(self.reading) as lines:
            return lines.read()

    def wait_until_full(self, process: subprocess.Popen[str]) -> None:
        """Until the pipe takes no more, and who writes to it has noticed."""
        until(lambda: not select.select([], [self.writing], [], 0)[1])
        if sys.platform == "linux":
            until(lambda: is_asleep(process))


@pytest.mark.parametrize(
    ("words", "number", "code"),
    [
        ("subscribe --since 0 -o jsonl", signal.SIGINT, 130),
        ("subscribe --since 0 -o json --no-follow", signal.SIGTERM, 143),
        ("list --limit 0 -o jsonl", signal.SIGINT, 130),
        ("list --limit 0 -o json", signal.SIGTERM, 143),
        ("list --limit 0 -o jsonl --watch", signal.SIGINT, 130),
    ],
)
def test_a_reader_that_stands_still_keeps_no_signal_waiting(
    full_log: CommandLine, words: str, number: signal.Signals, code: int
) -> None:
    reader = Reader()
    with full_log.started(*words.split(), stdout=reader.writing) as process:
        reader.wait_until_full(process)
        process.send_signal(number)
        done = ended(process).expect(code)
    assert reader.read()
    assert "Traceback" not in done.err


# It is sent while the process has its turn, and nobody reads what comes next.
SIGNALLED = """
import os, signal, sys
from delta_cli.cli import stdout
from delta_cli.cli.running import run_async

async def command():
    os.kill(os.getpid(), int(sys.argv[1]))
    stdout.write("x" * 1_000_000)

try:
    sys.exit(run_async(command()))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_comes_before_the_wait_for_a_reader_ends_it_too(
    number: signal.Signals, code: int
) -> None:
    reader = Reader()
    words = [sys.executable, "-c", SIGNALLED, str(int(number))]
    with subprocess.Popen(words, stdout=reader.writing, stderr=subprocess.PIPE) as process:
        try:
            _, told = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    assert (process.returncode, told) == (code, b"")
    reader.read()


def test_what_a_reader_did_not_take_is_printed_again(full_log: CommandLine) -> None:
    words = ("subscribe", "--name", "audit", "-o", "jsonl")
    reader = Reader()
    with full_log.started(*words, "--since", "0", stdout=reader.writing) as process:
        reader.wait_until_full(process)
        process.send_signal(signal.SIGINT)
        ended(process).expect(130)
    first = [json.loads(line)["id"] for line in reader.read().splitlines()]
    rest = full_log(*words, "--no-follow").expect(0)
    assert 0 < len(first) < EVENTS
    assert [*first, *(event["id"] for event in rest.lines())] == [*range(1, EVENTS + 1)]


def test_a_reader_that_goes_on_gets_everything(full_log: CommandLine) -> None:
    words = ("subscribe", "--since", "0", "-o", "jsonl", "--limit", str(EVENTS))
    reader = Reader()
    with full_log.started(*words, stdout=reader.writing) as process:
        reader.wait_until_full(process)
        text = reader.read()
        ended(process).expect(0)
    assert len(text.splitlines()) == EVENTS
