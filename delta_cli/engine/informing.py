"""Streams of objects into the database: encoded here, written in batches, one batch ahead.

While one batch is being written the next is collected and encoded, so that Python and Postgres
work at the same time.
"""

import asyncio
import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from delta_cli.engine.errors import ConfigError, InvalidObject
from delta_cli.engine.field_types import check_argument
from delta_cli.engine.gathering import gathered_in_threads
from delta_cli.engine.model.inform import InformCounts, InformOutcome
from delta_cli.engine.objects import EncodedObject, ObjectType, object_type_of
from delta_cli.engine.settings import DEFAULT_MAX_ATTEMPTS, InformOpts
from delta_cli.engine.store.inform import (
    Candidate,
    Expectation,
    batches_of_one_kind,
    count_outcomes,
)

BATCH: Final = 1_000
#: Objects that are encoded before the event loop gets its turn.
_BREATH: Final = 32
#: An informer that reports slowly has its objects stored with the next one after this time.
_LINGER_S: Final = 0.25
#: Share of a batch that must be unchanged for the next to send its hashes first.
_MOSTLY_UNCHANGED: Final = 0.3
#: Share of a batch that must be new for the next to be inserted without a look at what is stored.
_MOSTLY_NEW: Final = 0.9


@dataclass(frozen=True, slots=True)
class Encoder:
    """Objects of any class become candidates, with the application's defaults filled in."""

    max_bytes: int
    max_attempts: int = DEFAULT_MAX_ATTEMPTS

    def candidate(self, obj: Any, opts: InformOpts | None = None) -> Candidate:
        """Encode one object. Raises InvalidObject, which names the field."""
        if isinstance(obj, EncodedObject):
            return Candidate(obj, max_attempts=obj.max_attempts or self.max_attempts)
        if opts is not None:
            check_argument("opts", opts, InformOpts)
        object_type: ObjectType[Any] = object_type_of(obj)
        encoded = object_type.encode(obj, opts, max_bytes=self.max_bytes)
        return Candidate(
            encoded,
            max_attempts=encoded.max_attempts
            or object_type.settings.max_attempts
            or self.max_attempts,
            compare=(lambda stored: object_type.compare(obj, stored))
            if object_type.has_compare
            else None,
        )


class Writer(Protocol):
    """Stores one batch of one kind; `expect` says what most of it likely is."""

    async def __call__(
        self, batch: list[Candidate], *, expect: Expectation
    ) -> list[InformOutcome]: ...


class InformStream:
    """Feeds objects to a writer in batches. `counts` and `newest` tell how far it has come.

    `in_turn`: a batch is written before the next object is taken, not meanwhile.
    """

    def __init__(
        self,
        encoder: Encoder,
        write: Writer,
        *,
        opts: InformOpts | None = None,
        on_progress: Callable[[InformCounts], None] | None = None,
        on_refused: Callable[[InvalidObject], None] | None = None,
        only_kind: str | None = None,
        in_turn: bool = False,
    ) -> None:
        self.counts: InformCounts = InformCounts()
        self.newest: datetime | None = None  # the largest created_at of the objects stored
        self._encoder: Encoder = encoder
        self._write: Writer = write
        self._opts: InformOpts | None = opts
        self._on_progress: Callable[[InformCounts], None] | None = on_progress
        self._on_refused: Callable[[InvalidObject], None] | None = on_refused
        self._only_kind: str | None = only_kind
        self._in_turn: bool = in_turn
        self._batch: list[Candidate] = []
        self._batch_began: float = 0.0
        self._writing: asyncio.Task[None] | None = None
        self._expect: Expectation = "mixed"

    async def add(self, obj: Any) -> None:
        """Take one object, and write what is due. Raises as `take()` does."""
        await self.take(obj)
        if self.is_due:
            await self.flush()

    async def take(self, obj: Any) -> None:
        """Take one object. Raises InvalidObject unless it was told what to do with those."""
        try:
            candidate = self._encoder.candidate(obj, self._opts)
            self._check_kind(candidate)
        except InvalidObject as error:
            if self._on_refused is None:
                raise
            self._on_refused(error)
            self.counts += InformCounts(seen=1, refused=1)
            return
        if not self._batch:
            self._batch_began = time.monotonic()
        self._batch.append(candidate)
        if len(self._batch) % _BREATH == 0:
            # Without this, a plain iterable would keep the event loop from writing meanwhile.
            await asyncio.sleep(0)

    @property
    def is_due(self) -> bool:
        """Whether what was taken is to be written before more is."""
        return len(self._batch) >= BATCH or (
            bool(self._batch) and time.monotonic() - self._batch_began > _LINGER_S
        )

    async def flush(self) -> None:
        """Write what was taken, after what is being written; returns while it is being written."""
        await self._written()
        if self._batch:
            batch, self._batch = self._batch, []
            self._writing = asyncio.create_task(self._write_batch(batch))
            if self._in_turn:
                await self._written()

    async def close(self) -> InformCounts:
        """Write what is left. Returns the counts of the whole stream."""
        await self.flush()
        await self._written()
        return self.counts

    async def abandon(self, *, at_once: bool) -> None:
        """After a failure outside: nothing of the stream is still being written when this returns.

        The batch that is being written is cancelled `at_once`, or else stored; the rest is dropped.
        """
        self._batch = []
        if self._writing is not None:
            writing, self._writing = self._writing, None
            if at_once:
                writing.cancel()
            # Its own failure, if any, is second to the one that led here.
            await asyncio.gather(writing, return_exceptions=True)

    def _check_kind(self, candidate: Candidate) -> None:
        kind = candidate.encoded.kind
        if self._only_kind is not None and kind != self._only_kind:
            raise InvalidObject(
                f"the informer of kind {self._only_kind!r} reported an object of kind {kind!r}",
                field="kind",
                hint="let each kind have its own controller",
            )

    async def _written(self) -> None:
        if self._writing is None:
            return
        writing = self._writing
        try:
            # A time limit that cuts off the wait must not cut off the batch.
            await asyncio.shield(writing)
        finally:
            if writing.done():
                self._writing = None

    async def _write_batch(self, batch: list[Candidate]) -> None:
        for of_one_kind in batches_of_one_kind(batch):
            outcomes = await self._write(of_one_kind, expect=self._expect)
            counts = count_outcomes(outcomes)
            self._expect = _expectation_after(counts)
            self.counts += counts
            stored = zip(of_one_kind, outcomes, strict=True)
            times = [one.encoded.created_at for one, outcome in stored if outcome != "refused"]
            self.newest = max((time for time in (*times, self.newest) if time), default=None)
        if self._on_progress is not None:
            self._on_progress(self.counts)


def _expectation_after(counts: InformCounts) -> Expectation:
    """What the next batch is like, if it is like the last."""
    if counts.unchanged > _MOSTLY_UNCHANGED * counts.seen:
        return "unchanged"
    return "new" if counts.created > _MOSTLY_NEW * counts.seen else "mixed"


async def objects_of(
    source: Any, *, owned: bool, named: str = "objects"
) -> AsyncGenerator[Any, None]:
    """The objects of an iterable of any sort: async, plain, or an awaitable that gives one.

    `owned`: nobody else reads it. So a plain one is advanced in a thread, since it may block, and a
    generator is closed together with the objects, which raises what its cleanup raises.
    Raises ConfigError, which says what is `named` so, for anything else.
    """
    while inspect.isawaitable(source):
        source = await source
    if isinstance(source, AsyncIterable):
        try:
            async for obj in source:
                yield obj
        finally:
            if owned and isinstance(source, AsyncGenerator):
                await source.aclose()
    elif not isinstance(source, Iterable):
        got = "None" if source is None else f"one {type(source).__name__}"
        raise ConfigError(
            f"{named} must give an iterable of objects, got {got}: "
            "yield each object, or give a list of them"
        )
    elif owned and not isinstance(source, (list, tuple)):
        async with aclosing(gathered_in_threads(iter(source))) as gathered:
            async for obj in gathered:
                yield obj
    else:
        for obj in source:
            yield obj
