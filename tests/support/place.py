"""The folder of one test run, where its Postgres lives.

It is not below pytest's own temporary folder, which only root may enter when root runs the tests:
Postgres then runs as another user. Where memory serves as a disk it lies there: nothing of it
outlives the run, and dropping a database makes Postgres sync the files of all others. What a killed
run left is removed by the next one.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

from delta_cli.engine.embedded import EmbeddedServer

_PREFIX = "delta-tests-"
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
_ENOUGH_BYTES = 4 * 1024**3
_OWNER = "owner"
_SERVER = "server"


class Place:
    """A folder that is ours as long as we hold the lock on its file `owner`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_disk()))
        self.folder.chmod(0o755)
        # Locked before it has its name, so that nobody finds it free in between.
        unnamed = self.folder / f"{_OWNER}.new"
        self._owner = unnamed.open("w")
        fcntl.flock(self._owner, fcntl.LOCK_EX)
        unnamed.rename(self.folder / _OWNER)

    def remove(self) -> None:
        """Remove the folder; its servers are stopped by those who used them."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._owner.close()


def _disk() -> Path:
    """Memory, where there is enough of it, else the usual place."""
    writable = os.access(_MEMORY, os.W_OK | os.X_OK)
    if writable and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES:
        return _MEMORY
    return Path(tempfile.gettempdir())


def server_folder(place: Path) -> Path:
    """Where the server lives that all tests of a run share."""
    return place / _SERVER


def remove_abandoned_places() -> None:
    """Stop what killed runs of this user left running, and remove their folders."""
    for folder in _disk().glob(_PREFIX + "*"):
        # Other runs end and begin at the same time.
        with contextlib.suppress(FileNotFoundError):
            if folder.stat().st_uid == os.geteuid():
                _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    with (folder / _OWNER).open() as owner:
        if _is_free(owner):
            _stop_servers(folder)
            shutil.rmtree(folder, ignore_errors=True)


def _is_free(owner: IO[str]) -> bool:
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop_servers(place: Path) -> None:
    for data in place.glob("*/data"):
        EmbeddedServer(data.parent).stop(force=True)
