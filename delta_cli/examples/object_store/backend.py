"""One backend: a folder that holds at most one copy of each object, and so many bytes in all."""

import errno
import hashlib
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from delta_cli.examples.object_store.catalogue import StoredObject, is_name
from delta_cli.examples.object_store.files import (
    checksum,
    copy,
    locked,
    part_of,
    remove_dead_parts,
)
from delta_cli.examples.object_store.placing import Fill


class Backend:
    """A folder with a quota in bytes; `locks` is the folder where all its writers meet.

    A folder that is lost is made again when a copy comes; its parent is not. So an unmounted disk
    takes no copies where the backend is a folder below its mount point.
    """

    def __init__(self, folder: Path, quota: int, locks: Path) -> None:
        self.folder: Path = folder.resolve()
        self.name: str = str(self.folder)
        self.quota: int = quota
        digest = hashlib.sha256(self.name.encode()).hexdigest()
        self._lock: Path = locks / f"backend-{digest[:16]}"

    def fill(self) -> Fill:
        """How full it is. Every file in its folder counts, those of growing copies too."""
        try:
            with locked(self._lock):
                remove_dead_parts(self.folder)
                used = self._measure()
            return Fill(self.name, used, self.quota, is_there=self.folder.parent.is_dir())
        except OSError:  # its disk fails
            return Fill(self.name, 0, self.quota, is_there=False)

    def _measure(self) -> int:
        """The bytes in use. Under the lock: nothing is renamed meanwhile."""
        used = 0
        for file in self._files():
            with suppress(FileNotFoundError):  # removed since the listing
                used += file.lstat().st_size
        return used

    def _files(self) -> list[Path]:
        try:
            return list(self.folder.iterdir())
        except FileNotFoundError:
            return []

    def copy_of(self, name: str) -> Path:
        """Where the copy of an object lies."""
        return self.folder / name

    def holds(self, name: str) -> bool:
        """Whether there is a copy, good or not."""
        return is_name(name) and self.copy_of(name).is_file()

    def is_good(self, wanted: StoredObject) -> bool:
        """Whether the copy is there and holds what it should, byte for byte."""
        return is_good(self.copy_of(wanted.name), wanted)

    def add(self, wanted: StoredObject, content: Path) -> None:
        """Add a copy, whole and verified, or none.

        Raises OSError, with EDQUOT when the quota leaves no room.
        """
        self.folder.mkdir(exist_ok=True)
        # The part takes its full size from the beginning, so that two writers at a time see each
        # other's bytes and never pass the quota together.
        reserving = part_of(
            self.folder, self._lock, wanted.size, check=partial(self._check_room, wanted.size)
        )
        with reserving as part, content.open("rb") as reading:
            copy(reading, part)
            if not _holds(part, wanted):
                raise OSError(errno.EIO, "the copy is not what was written", self.name)
            # Under the lock, so that nobody who measures misses it between its two names.
            with locked(self._lock):
                Path(part.name).replace(self.copy_of(wanted.name))

    def _check_room(self, size: int) -> None:
        if self._measure() + size > self.quota:
            raise OSError(errno.EDQUOT, f"no room for {size:,} bytes", self.name)

    def remove(self, name: str) -> None:
        """Remove a copy, if it is there."""
        self.copy_of(name).unlink(missing_ok=True)


def is_good(file: Path, wanted: StoredObject) -> bool:
    """Whether a file is there and has an object's content. Raises OSError if it is unreadable."""
    try:
        with file.open("rb") as handle:
            return _holds(handle, wanted)
    except FileNotFoundError:
        return False


def _holds(handle: IO[bytes], wanted: StoredObject) -> bool:
    return os.fstat(handle.fileno()).st_size == wanted.size and checksum(handle) == wanted.sha256
