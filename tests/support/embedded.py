"""Places for embedded servers, and processes that use one and may be killed."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import psycopg

from delta_cli.engine.embedded import EmbeddedServer

REPOSITORY = Path(__file__).parents[2]
NEEDED_BYTES = 2_000_000_000
DEADLINE_S = 30.0

USER = """
import signal, sys
from pathlib import Path
from delta_cli.engine.embedded import EmbeddedServer
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
server = EmbeddedServer(Path(sys.argv[1]))
print("begun", flush=True)
print(server.join(), flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def embedded_place() -> Generator[Path]:
    """A folder for servers that the unprivileged user of a root's server can reach.

    In memory where there is enough: hundreds of files are made and removed per server.
    """
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder of its own there
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > NEEDED_BYTES
    place = Path(tempfile.mkdtemp(prefix="delta-test-", dir=memory if roomy else None))
    place.chmod(0o755)
    try:
        yield place
    finally:
        for data in place.rglob("PG_VERSION"):
            if data.parent.name == "data":
                EmbeddedServer(data.parents[1]).stop(force=True)
        shutil.rmtree(place)


def clone(template: Path, folder: Path) -> Path:
    """A stopped server's folder again, quicker than a first start."""
    subprocess.run(["cp", "-a", template, folder], check=True)
    return folder


class User:
    """A process that joins the server in a folder and leaves it when told to."""

    def __init__(self, folder: Path, script: str = USER, within: Sequence[str] = ()) -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [*within, sys.executable, "-c", script, folder],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.line() == "begun"

    def line(self) -> str:
        """Its next line, waited for."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def joined(self) -> "User":
        """Wait until it uses the server."""
        assert self.line().startswith("postgresql://")
        return self

    def leave(self) -> None:
        """End it in the ordinary way."""
        self.process.communicate("\n", timeout=DEADLINE_S)

    def signal(self, number: int) -> None:
        """Send it a signal and wait for its end."""
        self.process.send_signal(number)
        self.process.communicate(timeout=DEADLINE_S)


@contextlib.contextmanager
def users(folder: Path, count: int = 1) -> Generator[list[User]]:
    """Processes that use the server; whoever still lives at the end leaves."""
    started = [User(folder) for _ in range(count)]
    try:
        yield [user.joined() for user in started]
    finally:
        for user in started:
            if user.process.returncode is None:
                user.leave()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def postmasters(folder: Path) -> list[int]:
    """The pids of all servers on this folder's data, whatever its files say."""
    listing = subprocess.run(
        ["ps", "-axww", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    words = f"/postgres -D {folder / 'data'} "
    parents = {int(line.split()[0]): int(line.split()[1]) for line in listing if words in line}
    # A child that was just forked still bears its postmaster's words.
    return [pid for pid, parent in parents.items() if parent not in parents]


def pid_of(server: EmbeddedServer) -> int:
    """The pid of a server that runs."""
    pid = server.status().pid
    assert pid is not None
    return pid


def remember(server: EmbeddedServer, word: str) -> None:
    """Write a word into the database."""
    with psycopg.connect(server.dsn) as connection:
        connection.execute("create table if not exists memory (word text)")
        connection.execute("insert into memory values (%s)", [word])


def remembered(server: EmbeddedServer) -> list[str]:
    """The words that were written."""
    with psycopg.connect(server.dsn) as connection:
        return [row[0] for row in connection.execute("select word from memory").fetchall()]


def is_zombie(pid: int) -> bool:
    """Dead, but not reaped."""
    answer = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip().startswith("Z")


def is_root() -> bool:
    """Whether the tests run as root."""
    return os.geteuid() == 0
