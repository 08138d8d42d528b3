"""Reads lines of a file or stdin in a thread: neither signals nor the database are kept waiting."""

import asyncio
import os
import sys
import threading
from codecs import BOM_UTF8
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from delta_cli.engine.errors import ConfigError

_CHUNK: Final = 256 * 1024
_CHUNKS_AHEAD: Final = 4
_STDERR: Final = 2


async def numbered_lines(file: str, longest: int) -> AsyncIterator[tuple[int, bytes | None]]:
    """Lines that are not blank with their numbers from 1; None for one longer than `longest`.

    The mark of its encoding with which editors of Windows begin a file is left out.
    """
    number, rest, skipping = 1, b"", False
    async for chunk in _chunks(file):
        *lines, rest = (rest + chunk).split(b"\n")
        if number == 1 and lines:
            lines[0] = lines[0].removeprefix(BOM_UTF8)
        for line in lines:
            if skipping or len(line) > longest:
                yield number, None
            elif line.strip():
                yield number, line
            number, skipping = number + 1, False
        if len(rest) > longest:
            rest, skipping = b"", True
    if skipping:
        yield number, None
    elif rest.strip():
        yield number, rest.removeprefix(BOM_UTF8) if number == 1 else rest


async def _chunks(file: str) -> AsyncIterator[bytes]:
    reader = _Reader(_open(file), asyncio.get_running_loop())
    # A daemon: nobody can wake a thread that waits for somebody to type.
    threading.Thread(target=reader.run, name="delta-lines", daemon=True).start()
    try:
        while chunk := await reader.chunks.get():
            if isinstance(chunk, OSError):
                raise ConfigError(f"{_name(file)} cannot be read: {chunk.strerror}")
            yield chunk
            reader.ahead.release()
    finally:
        reader.stop()


class _Reader:
    """Reads chunks a few ahead; an empty one or an error is the last."""

    def __init__(self, descriptor: int, loop: asyncio.AbstractEventLoop) -> None:
        self.chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue()
        self.ahead: threading.Semaphore = threading.Semaphore(_CHUNKS_AHEAD)
        self._descriptor: int = descriptor
        self._loop: asyncio.AbstractEventLoop = loop
        self._stopped: bool = False

    def run(self) -> None:
        while self._read_one():
            continue
        if self._descriptor > _STDERR:
            os.close(self._descriptor)

    def stop(self) -> None:
        self._stopped = True
        self.ahead.release()

    def _read_one(self) -> bool:
        self.ahead.acquire()
        if self._stopped:
            return False
        try:
            chunk: bytes | OSError = os.read(self._descriptor, _CHUNK)
        except OSError as error:
            chunk = error
        try:
            self._loop.call_soon_threadsafe(self.chunks.put_nowait, chunk)
        except RuntimeError:  # the loop has ended meanwhile
            return False
        return isinstance(chunk, bytes) and bool(chunk)


def _open(file: str) -> int:
    if file == "-":
        if sys.stdin is None:
            raise ConfigError("stdin is closed", hint="give a file, or objects with --object")
        return sys.stdin.fileno()
    try:
        return os.open(file, os.O_RDONLY)
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(
            f"{Path(file)} cannot be read: {told}", hint="give a file of JSON lines, or - for stdin"
        ) from error


def _name(file: str) -> str:
    return "stdin" if file == "-" else file
