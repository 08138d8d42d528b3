"""Asks the database one question over and over, from a thread of its own."""

import contextlib
import threading
from collections.abc import Iterator
from typing import LiteralString

import psycopg

#: Short beside any work, and long enough to leave the machine to those who work.
_INTERVAL_S = 0.002


class Sampler:
    """What the question was answered with: how often, and what the highest answer was."""

    def __init__(self, dsn: str, question: LiteralString) -> None:
        self.samples = 0
        self.highest = 0
        self._dsn = dsn
        self._question: LiteralString = question
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            with psycopg.connect(
                self._dsn, autocommit=True, options="-c search_path=delta"
            ) as connection:
                while not self._stop.wait(_INTERVAL_S):
                    row = connection.execute(self._question, prepare=True).fetchone()
                    assert row is not None
                    self.highest = max(self.highest, row[0])
                    self.samples += 1
        except BaseException as error:
            self._failure = error

    def forget(self) -> None:
        """Begin afresh with the next answer."""
        self.highest = 0
        self.samples = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure


@contextlib.contextmanager
def sampling(dsn: str, question: LiteralString) -> Iterator[Sampler]:
    """A sampler that asks as long as the block lasts."""
    sampler = Sampler(dsn, question)
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.stop()
