"""A pipe that the event loop reads line by line, so that what many processes write does not mix."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Final

_CHUNK_BYTES: Final = 65_536
#: At most so many at once, since signals and other pipes wait: more than a pipe can hold.
_CHUNKS_AT_ONCE: Final = 16
#: What is longer is handed on in parts: a writer of endless data must not fill the memory.
_LONGEST_LINE_BYTES: Final = 1_048_576


class LinePipe:
    """Hands whole lines, one or more at once, to `receive`. `write_end` is for whoever writes."""

    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self._receive: Callable[[bytes], None] = receive
        self._read_end, self.write_end = os.pipe()
        self._rest: bytes = b""
        self._open: bool = True
        os.set_blocking(self._read_end, False)
        asyncio.get_running_loop().add_reader(self._read_end, self.read)

    def read(self) -> None:
        """Read what has been written so far."""
        for _ in range(_CHUNKS_AT_ONCE):
            if not self._open:
                return
            try:
                chunk = os.read(self._read_end, _CHUNK_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self.close()
                return
            self._take(chunk)

    def close_write_end(self) -> None:
        """Leave the writing to those who have inherited it: the pipe ends with the last of them."""
        os.close(self.write_end)

    def close(self) -> None:
        """Read no more; a line without its end is handed on with one."""
        if not self._open:
            return
        self._open = False
        with contextlib.suppress(RuntimeError):  # the loop is closed
            asyncio.get_running_loop().remove_reader(self._read_end)
        os.close(self._read_end)
        if self._rest:
            self._receive(self._rest + b"\n")
            self._rest = b""

    def _take(self, chunk: bytes) -> None:
        lines, newline, rest = chunk.rpartition(b"\n")
        if newline:
            self._receive(self._rest + lines + newline)
            self._rest = rest
        else:
            self._rest += chunk
        if len(self._rest) > _LONGEST_LINE_BYTES:
            self._receive(self._rest + b"\n")
            self._rest = b""
