"""Who is the postmaster: the pid in its lock files, believed only when that process really is one.

A pid outlives its process: it may be dead, a zombie that nobody reaps, or a stranger's by now.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

from delta_cli.engine.embedded.layout import Layout

# No system gives such a pid, so Postgres finds it dead and takes the file over.
NOBODYS_PID = 2**31 - 1
STATUS_LINE = 7
PROBE_S = 2.0


def postmaster_pid(layout: Layout) -> int | None:
    """The pid of this folder's running postmaster."""
    for file in layout.pid_files:
        pid = _first_number(_lines(file))
        if pid and is_postmaster(pid, layout.data):
            return pid
    return None


def is_ready(layout: Layout, pid: int) -> bool:
    """Whether that postmaster has said that it takes connections."""
    lines = _lines(layout.pid_files[0])
    said = lines[STATUS_LINE].strip() if len(lines) > STATUS_LINE else b""
    return said == b"ready" and _first_number(lines) == pid


def is_broken(layout: Layout, pid: int) -> bool:
    """Whether a running postmaster cannot be used: it is about to end itself, or is deaf.

    Postgres ends itself within a minute when its pid file names somebody else.
    """
    return _first_number(_lines(layout.pid_files[0])) != pid or (
        is_ready(layout, pid) and not layout.socket.exists()
    )


def answers(layout: Layout) -> bool:
    """Whether anybody listens, also a postmaster whose process is in another container."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(str(layout.socket))
        except (TimeoutError, BlockingIOError):
            # Somebody listens, and has more to do than it can.
            return True
        except OSError:
            return False
    return True


def disarm_stale(layout: Layout) -> None:
    """Let a new postmaster pass the files of a dead one; only the first line is replaced.

    They are not deleted: by the shared memory that a file names further down, Postgres sees
    whether backends of the dead postmaster still write to the data.
    """
    for path in layout.pid_files:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        with os.fdopen(descriptor, "r+b") as file:
            _, _, rest = file.read().partition(b"\n")
            file.seek(0)
            file.write(b"%d\n" % NOBODYS_PID + rest)
            file.truncate()


def is_postmaster(pid: int, data: Path) -> bool:
    """Whether this living process serves this data; backends replace the words they began with.

    Anybody may read a process's words. Its current folder would tell the same, but root may not
    read that in a container without the right to trace others.
    """
    if sys.platform == "linux":
        program, *options = _words(pid) or [b""]
        return program.endswith(b"/postgres") and options[:2] == [b"-D", os.fsencode(data)]
    return f"/postgres -D {data} " in _line_of_ps(pid)


def _words(pid: int) -> list[bytes]:
    """Empty for a zombie, which has lost its memory."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _line_of_ps(pid: int) -> str:
    answer = subprocess.run(  # noqa: S603 - fixed words and a number
        ["/bin/ps", "-ww", "-o", "stat=,command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=10,
    )
    line = answer.stdout.strip()
    return "" if line.startswith("Z") else line


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\n")
    except OSError:
        return []


def _first_number(lines: list[bytes]) -> int | None:
    """None for an empty or cut-off file that does not begin with a pid."""
    first = lines[0].strip() if lines else b""
    return int(first) if first.isdigit() else None
