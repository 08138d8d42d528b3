"""Starts and stops the server process. The caller holds the lock, so nobody else does.

The server is a child in a session of its own: Ctrl-C in the terminal does not reach it, and the
process that started it can reap it also where PID 1 does not.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable

from delta_cli.engine.embedded import pid_files
from delta_cli.engine.embedded.account import Account
from delta_cli.engine.embedded.binaries import USE_A_DSN, Binaries
from delta_cli.engine.embedded.binaries_copy import binaries_within_reach
from delta_cli.engine.embedded.cluster import ensure_cluster
from delta_cli.engine.embedded.layout import Layout, make_private
from delta_cli.engine.errors import EmbeddedError

START_S = 60.0
STOP_S = 60.0
# How long backends of a killed postmaster may take to notice that it is gone.
ORPHANS_S = 20.0
POLL_S = 0.005
LOG_LINES = 10


class Postmaster:
    """The server process of one folder, whoever started it."""

    def __init__(self, binaries: Binaries, layout: Layout, account: Account) -> None:
        self._binaries: Binaries = binaries
        self._layout: Layout = layout
        self._account: Account = account
        self._child: _ServerProcess | None = None

    def pid(self) -> int | None:
        """The pid of the running server."""
        self._reap()
        return pid_files.postmaster_pid(self._layout)

    def is_running(self) -> bool:
        """Also true for one in another container, whose pid means nothing here."""
        return self.pid() is not None or pid_files.answers(self._layout)

    def ensure_ready(self) -> None:
        """Start it unless it runs, and wait until it takes connections."""
        make_private(self._layout.socket_folder, self._account)
        pid = self.pid()
        if pid and pid_files.is_broken(self._layout, pid):
            self.stop()
            pid = None
        if pid and self._wait_ready(pid):
            return
        if not pid_files.answers(self._layout):
            self._start()

    def stop(self) -> None:
        """Fast: connections are closed and transactions rolled back. Without effect when down."""
        pid = self.pid()
        if pid is not None:
            self._end(pid)
        elif pid_files.answers(self._layout):
            raise EmbeddedError(
                "the embedded Postgres runs, but its process cannot be seen from here",
                hint="it was started in another container: stop it there",
            )

    def forget_child(self) -> None:
        """In a forked child: the server is not its child."""
        self._child = None

    def _end(self, pid: int) -> None:
        # The second signal skips the shutdown checkpoint, so that the next start recovers.
        for number, patience in ((signal.SIGINT, STOP_S), (signal.SIGQUIT, STOP_S / 4)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if self._wait(lambda: not self._lives(pid), patience):
                return
        raise EmbeddedError(
            f"the embedded Postgres (pid {pid}) does not stop",
            hint=f"look at {self._layout.log}, then `kill -QUIT {pid}`",
        )

    def _start(self) -> None:
        binaries = binaries_within_reach(self._binaries, self._account)
        ensure_cluster(binaries, self._layout, self._account)
        self._rotate_log()
        deadline = time.monotonic() + ORPHANS_S
        while not self._try_start(binaries):
            orphans = "pre-existing shared memory block" in self._log_tail()
            if not orphans or time.monotonic() > deadline:
                raise self._failed("did not start")
            time.sleep(POLL_S * 10)

    def _try_start(self, binaries: Binaries) -> bool:
        pid_files.disarm_stale(self._layout)
        self._child = self._launch(binaries)
        try:
            return self._wait_ready(self._child.pid)
        except BaseException:
            self._give_up()
            raise

    def _launch(self, binaries: Binaries) -> "_ServerProcess":
        command = [binaries.path("postgres"), "-D", self._layout.data, *self._settings()]
        log = self._open_log()
        try:
            return _ServerProcess(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._account.process_options(),
            )
        finally:
            os.close(log)

    def _settings(self) -> list[str]:
        """On the command line, where `alter system` cannot open what is to stay closed."""
        sockets = str(self._layout.socket_folder).replace('"', '""')
        settings = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": f'"{sockets}"',
            "unix_socket_permissions": "0700",
            "logging_collector": "off",
            "log_destination": "stderr",
            "log_checkpoints": "off",
        }
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def _rotate_log(self) -> None:
        """Each start begins a new log and keeps one old one, so that they cannot grow for ever."""
        with contextlib.suppress(FileNotFoundError):
            self._layout.log.replace(self._layout.previous_log)

    def _open_log(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(self._layout.log, flags, 0o600)
        self._account.own(descriptor)
        return descriptor

    def _wait_ready(self, pid: int) -> bool:
        """False when it ended instead."""

        def settled() -> bool:
            return pid_files.is_ready(self._layout, pid) or not self._lives(pid)

        if not self._wait(settled, START_S):
            raise self._failed(f"was not ready within {START_S:.0f} s")
        return pid_files.is_ready(self._layout, pid) and self._lives(pid)

    def _lives(self, pid: int) -> bool:
        self._reap()
        if self._child is not None and self._child.pid == pid:
            return self._child.returncode is None
        return pid_files.is_postmaster(pid, self._layout.data)

    def _wait(self, condition: Callable[[], bool], patience_s: float) -> bool:
        deadline = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def _reap(self) -> None:
        if self._child is not None:
            self._child.poll()

    def _give_up(self) -> None:
        """A start that was broken off leaves no server that nobody counts as a user of."""
        child = self._child
        if child is None or child.poll() is not None:
            return
        child.send_signal(signal.SIGQUIT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_S / 4)

    def _failed(self, what: str) -> EmbeddedError:
        return EmbeddedError(
            f"the embedded Postgres {what}; the end of {self._layout.log}:\n{self._log_tail()}",
            hint=f"mend what the log says, or {USE_A_DSN}",
        )

    def _log_tail(self) -> str:
        try:
            text = self._layout.log.read_text(errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join(text.strip().splitlines()[-LOG_LINES:]) or "(the log is empty)"


class _ServerProcess(subprocess.Popen[bytes]):
    """A child that may outlive this process, about which Popen would warn at its end."""

    def __del__(self) -> None:
        pass
