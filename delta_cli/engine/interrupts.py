"""Ctrl-C reaches every process at the terminal, also those that are not meant."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_for_the_child() -> Iterator[None]:
    """Leave Ctrl-C to a program that has the terminal until it ends: psql cancels a query with it.

    It does nothing here, but it is not ignored: what is ignored stays so in the child.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
