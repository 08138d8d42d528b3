"""Whole files only: what is written grows in a part, and is renamed when it is all there."""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

_CHUNK: Final = 1024 * 1024
_PART_PREFIX: Final = ".part-"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Wait for a lock that excludes threads and processes; it ends with its holder, if not here."""
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def part_of(
    folder: Path, lock: Path, size: int = 0, *, check: Callable[[], None] | None = None
) -> Iterator[IO[bytes]]:
    """A new part, open for reading and writing, that takes `size` bytes from the beginning.

    It is itself locked while its writer lives, and gone afterwards if it was not renamed. It is
    made under `lock`, together with `check`, which may raise: nobody else makes one meanwhile.
    """
    part = folder / f"{_PART_PREFIX}{secrets.token_hex(8)}"
    with ExitStack() as writing:
        with locked(lock):
            remove_dead_parts(folder)
            if check is not None:
                check()
            handle = writing.enter_context(part.open("xb+"))
            writing.callback(part.unlink, missing_ok=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
            handle.truncate(size)
        yield handle


def remove_dead_parts(folder: Path) -> None:
    """Remove the parts whose writers have died. Under their lock: a new part looks dead."""
    for part in folder.glob(f"{_PART_PREFIX}*"):
        with suppress(FileNotFoundError, BlockingIOError), part.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


def copy(reading: IO[bytes], writing: IO[bytes]) -> str:
    """Copy to the end, and to the disk. Returns the checksum of what was read."""
    digest = hashlib.sha256()
    for chunk in _chunks(reading):
        digest.update(chunk)
        writing.write(chunk)
    writing.flush()
    os.fsync(writing.fileno())
    return digest.hexdigest()


def checksum(handle: IO[bytes]) -> str:
    """The checksum of a whole open file."""
    handle.seek(0)
    digest = hashlib.sha256()
    for chunk in _chunks(handle):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(handle: IO[bytes]) -> Iterator[bytes]:
    while chunk := handle.read(_CHUNK):
        yield chunk
