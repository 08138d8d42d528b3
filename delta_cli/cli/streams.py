"""Makes up for standard streams that are closed, as by `>&-` or a careless daemon.

Their descriptors are taken: else the next connection would get one of them, and whatever a library
prints would be sent to the database.
"""

import errno
import io
import os
import sys
from pathlib import Path
from typing import Final

_DESCRIPTORS: Final = (0, 1, 2)


def make_up_for_closed_streams() -> None:
    """Take the descriptors that are free, and let stdout refuse and stderr swallow what comes."""
    for descriptor in _DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free is this one
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end


class _Closed(io.StringIO):
    """Where nothing can be written."""

    def write(self, _text: str, /) -> int:
        raise OSError(errno.EBADF, "stdout is closed")
