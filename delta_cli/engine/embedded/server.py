"""The life of one embedded server, shared by all processes that use its folder.

Two kernel locks hold the truth: `lock` is held while somebody starts or stops the server, `users`
is held shared by every process that uses it. The last one out finds `users` free and stops it.
"""

import atexit
import contextlib
import os
import shutil
import threading
import weakref
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from delta_cli.engine.embedded.account import account_for
from delta_cli.engine.embedded.binaries import Binaries, find_binaries
from delta_cli.engine.embedded.layout import (
    ELSEWHERE,
    Layout,
    default_folder,
    layout_of,
    make_folder,
)
from delta_cli.engine.embedded.locks import LockFile
from delta_cli.engine.embedded.postmaster import Postmaster
from delta_cli.engine.errors import EmbeddedError, StateConflict


@dataclass(frozen=True, slots=True)
class EmbeddedStatus:
    """What is known of the server now. `pid` is None when it is down, or in another container."""

    folder: Path
    running: bool
    pid: int | None
    version: str
    dsn: str
    kept: bool
    used: bool
    """Whether another process uses it."""
    size_bytes: int


class EmbeddedServer:
    """A Postgres of one's own. Safe for threads, but not to be called from signal handlers.

    Each instance counts as a user of its own, also in one process.

    Raises EmbeddedError where no server can run: no binaries, no right to the folder, no locks.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._binaries: Binaries = find_binaries()
        self.folder: Path = (folder or default_folder()).expanduser().resolve()
        self._account = account_for(self.folder)
        self._layout: Layout = layout_of(self.folder, self._account)
        self._lock = LockFile(self._layout.lock, self._account)
        self._users = LockFile(self._layout.users, self._account)
        self._postmaster = Postmaster(self._binaries, self._layout, self._account)
        self._mutex = threading.RLock()
        _servers.add(self)

    @property
    def dsn(self) -> str:
        """Where the server is, while it runs: its socket and the database `delta`."""
        return self._layout.dsn

    def join(self) -> str:
        """Use the server until `leave()`, starting it unless it runs; returns the DSN.

        Called again, it starts a server that has died in the meantime. A process that SIGTERM may
        end should turn it into an ordinary exit, so that it leaves; otherwise the next one to
        leave stops the server.
        """
        with self._alone(make=True):
            joined = self._users.held
            self._users.share()
            try:
                self._postmaster.ensure_ready()
            except BaseException:
                if not joined:
                    self._leave()
                raise
            atexit.unregister(self.leave)
            atexit.register(self.leave)
        return self.dsn

    def leave(self) -> None:
        """Use it no more; the last one out stops it, unless it is kept. Also done at exit."""
        with self._mutex:
            if not self._users.held:
                return
            try:
                if self._is_made():
                    with self._alone():
                        self._leave()
            finally:
                self._users.release()
                atexit.unregister(self.leave)

    def start(self) -> EmbeddedStatus:
        """Start it and keep it up also while nobody uses it, until `stop()`."""
        with self._alone(make=True):
            self._postmaster.ensure_ready()
            self._mark_kept()
            return self._status()

    def stop(self, *, force: bool = False, dry_run: bool = False) -> bool:
        """Keep it up no more and stop it; False if it was not running.

        StateConflict, and nothing is changed, while other processes use it and not `force`. In a
        `dry_run` nothing is changed either.
        """
        with self._mutex:
            if not self._is_made():
                return False
            with self._alone():
                if not force:
                    self._refuse_if_used("stopped", hint="end them first, or use --force")
                was_running = self._postmaster.is_running()
                if not dry_run:
                    self._postmaster.stop()
                    self._layout.keep.unlink(missing_ok=True)
                    self._users.release()
                return was_running

    def status(self) -> EmbeddedStatus:
        """What is known of it now; waits while somebody starts or stops it."""
        with self._mutex:
            if not self._is_made():
                return self._status()
            with self._alone():
                return self._status()

    def reset(self, *, dry_run: bool = False) -> None:
        """Remove all its data (none in a `dry_run`); StateConflict while others use it."""
        with self._mutex:
            if not self._is_made():
                return
            with self._alone():
                self._refuse_if_used("reset", hint="end them first")
                if dry_run:
                    return
                self._postmaster.stop()
                self._users.release()
                self._remove_all()

    def restart(self) -> None:
        """Stop and start it, which breaks all connections; this process is a user of it then."""
        with self._alone(make=True):
            self._postmaster.stop()
            self.join()

    def binary(self, name: str) -> Path:
        """A program of this Postgres, such as `psql`."""
        return self._binaries.path(name)

    @contextlib.contextmanager
    def _alone(self, *, make: bool = False) -> Generator[None]:
        """Let nobody else start, stop, join or leave; enter it again at will."""
        with self._mutex:
            if self._lock.held:
                yield
                return
            try:
                if make:
                    make_folder(self._layout, self._account)
                with self._lock.exclusive():
                    yield
            except OSError as error:
                raise self._failed(error) from error

    def _is_made(self) -> bool:
        try:
            return self._layout.lock.exists()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> EmbeddedError:
        return EmbeddedError(
            f"the embedded Postgres in {self.folder} cannot be used: {error}",
            hint=f"mend that, or {ELSEWHERE}",
        )

    def _leave(self) -> None:
        kept = self._layout.keep.exists()
        # Without a pid it has died, or its own container has to end it.
        if not kept and self._postmaster.pid() and not self._users.shared_by_others():
            self._postmaster.stop()
        self._users.release()

    def _mark_kept(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
        descriptor = os.open(self._layout.keep, flags, 0o600)
        self._account.own(descriptor)
        os.close(descriptor)

    def _refuse_if_used(self, what: str, *, hint: str) -> None:
        if self._users.shared_by_others():
            raise StateConflict(
                f"the embedded Postgres in {self.folder} is in use by other processes, "
                f"so it is not {what}",
                hint=hint,
            )

    def _status(self) -> EmbeddedStatus:
        return EmbeddedStatus(
            folder=self.folder,
            running=self._postmaster.is_running(),
            pid=self._postmaster.pid(),
            version=self._binaries.version,
            dsn=self.dsn,
            kept=self._layout.keep.exists(),
            used=self._lock.held and self._users.shared_by_others(),
            size_bytes=_size_of(self._layout.data),
        )

    def _remove_all(self) -> None:
        """But the lock files: somebody may be waiting for them."""
        layout = self._layout
        for folder in (layout.data, *layout.unfinished()):
            if folder.exists():
                shutil.rmtree(folder)
        leftovers = (layout.keep, layout.log, layout.previous_log, layout.socket)
        for file in (*leftovers, *layout.pid_files):
            file.unlink(missing_ok=True)
        if layout.socket_folder != layout.folder and layout.socket_folder.exists():
            layout.socket_folder.rmdir()

    def forget_in_child(self) -> None:
        """A forked child is no user, and another thread of the parent may have held the mutex."""
        self._mutex = threading.RLock()
        self._postmaster.forget_child()


def _size_of(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # A running server removes files as it goes.
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_size
    return total


_servers: "weakref.WeakSet[EmbeddedServer]" = weakref.WeakSet()


def _forget_all_in_child() -> None:
    for server in list(_servers):
        server.forget_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all_in_child)
