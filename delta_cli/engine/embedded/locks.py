"""Kernel locks on files: whatever ends a process, its locks end with it.

`flock` locks belong to the open file, which a forked child shares; so a child closes its copies at
once, and only the process that took a lock holds it.
"""

import contextlib
import os
import threading
import time
from collections.abc import Generator
from pathlib import Path

from delta_cli.engine.embedded.account import Account
from delta_cli.engine.embedded.layout import ELSEWHERE
from delta_cli.engine.errors import EmbeddedError

try:
    import fcntl
except ImportError:  # Windows, which find_binaries() refuses before anything here is called
    fcntl = None

# A start may wait a minute for readiness, and a stop for as long; then the holder is stuck.
PATIENCE_S = 150.0
POLL_S = 0.005

# Held while the set changes and during a fork, so that a child never inherits a file unseen.
_guard = threading.RLock()
_held: "set[LockFile]" = set()


class LockFile:
    """One lock file; not safe for threads, its owner takes care of that."""

    def __init__(self, path: Path, account: Account) -> None:
        self.path: Path = path
        self._account: Account = account
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process holds it, shared or exclusively."""
        return self._descriptor is not None

    @contextlib.contextmanager
    def exclusive(self) -> Generator[None]:
        """Hold it alone, waiting for those before."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._take(exclusive=True):
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"another process has held {self.path} for {PATIENCE_S:.0f} s",
                    hint=f"find it with `fuser {self.path}` and end it",
                )
            time.sleep(POLL_S)
        try:
            yield
        finally:
            self.release()

    def share(self) -> None:
        """Hold it together with others. Call it only while nobody can hold it exclusively."""
        if self.held and not self._is_current():
            # The folder was removed and made again: the lock that counts is another file.
            self.release()
        if not self._take(exclusive=False):
            raise EmbeddedError(
                f"another program holds {self.path}", hint=f"find it with `fuser {self.path}`"
            )

    def shared_by_others(self) -> bool:
        """Call it only while nobody can take or release it: a try gives up one's own share."""
        mine = self.held
        if mine and not self._is_current():
            # The folder was removed under us. Whoever uses the new one is not known by this file.
            return True
        alone = self._take(exclusive=True)
        if mine:
            self.share()
        else:
            self.release()
        return not alone

    def release(self) -> None:
        """Give it up; without effect when it is not held."""
        if self._descriptor is None:
            return
        # Unlocked by name, and not only closed: a child between fork and exec has a copy.
        self._flock("unlock")
        self._close()

    def forget(self) -> None:
        """Close a forked child's copy; to unlock it would unlock the parent's."""
        self._close()

    def _take(self, *, exclusive: bool) -> bool:
        fresh = self._descriptor is None
        if fresh:
            self._open()
        if self._flock("exclusive" if exclusive else "shared") and (
            not fresh or self._is_current()
        ):
            return True
        if fresh:
            self._close()
        return False

    def _open(self) -> None:
        with _guard:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            self._account.own(descriptor)
            self._descriptor = descriptor
            _held.add(self)

    def _close(self) -> None:
        with _guard:
            descriptor, self._descriptor = self._descriptor, None
            _held.discard(self)
            if descriptor is not None:
                os.close(descriptor)

    def _is_current(self) -> bool:
        """Whether the path still leads to the file that is open."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.lstat())
        except FileNotFoundError:
            return False

    def _flock(self, wish: str) -> bool:
        if fcntl is None or self._descriptor is None:
            return False
        operation = {
            "exclusive": fcntl.LOCK_EX | fcntl.LOCK_NB,
            "shared": fcntl.LOCK_SH | fcntl.LOCK_NB,
            "unlock": fcntl.LOCK_UN,
        }[wish]
        try:
            fcntl.flock(self._descriptor, operation)
        except BlockingIOError:
            return False
        except OSError as error:
            raise EmbeddedError(
                f"the file system of {self.path} has no locks: {error.strerror}", hint=ELSEWHERE
            ) from error
        return True


def _close_copies_in_child() -> None:
    for lock in list(_held):
        lock.forget()
    _guard.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_guard.acquire,
        after_in_parent=_guard.release,
        after_in_child=_close_copies_in_child,
    )
