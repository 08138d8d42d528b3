"""What a client informs: encoded, stored with its namespaces known, and told to who works it."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, TypeAlias

from delta_cli.engine.callers import require_joinable
from delta_cli.engine.config import Config
from delta_cli.engine.errors import DeltaError
from delta_cli.engine.hints import WORK, lanes_of
from delta_cli.engine.informing import Encoder, InformStream, objects_of
from delta_cli.engine.model.inform import InformCounts, InformOutcome, InformResult
from delta_cli.engine.session import CallersConnection, Session
from delta_cli.engine.settings import InformOpts
from delta_cli.engine.store import read
from delta_cli.engine.store.inform import (
    Candidate,
    Expectation,
    InformPolicy,
    inform_batch,
    make_known_beside,
)

Hint: TypeAlias = Callable[[str, set[str], CallersConnection | None], Awaitable[None]]


class InformWriter:
    """Stores one object or many, on a connection of ours or in a caller's transaction."""

    def __init__(self, session: Session, config: Config, hint: Hint) -> None:
        self._session: Session = session
        self._hint: Hint = hint
        self._encoder: Encoder = Encoder(config.max_object_bytes, config.max_attempts)
        # A guess: what an inform writes says whether it holds.
        self._known_namespaces: frozenset[str] = frozenset()

    async def one(
        self, obj: Any, opts: InformOpts | None, connection: CallersConnection | None
    ) -> InformResult:
        """Store one object. Raises InvalidObject."""
        candidate = self._encoder.candidate(obj, opts)
        outcomes = await self._write([candidate], InformPolicy(), connection)
        encoded = candidate.encoded
        steps = read.get_steps(encoded.kind, encoded.namespace, encoded.object_id)
        row = await self._session.run(steps, connection)
        return InformResult(outcomes[0], row)

    async def many(
        self,
        objects: Iterable[Any] | AsyncIterable[Any],
        opts: InformOpts | None,
        policy: InformPolicy,
        connection: CallersConnection | None,
        on_progress: Callable[[InformCounts], None] | None,
    ) -> InformCounts:
        """Store a stream of objects in batches, and count. `policy` holds for each batch."""
        # A dry run: in one transaction, undone at the end and no sooner, so that an id that comes
        # again counts as what has been written before. Like the run itself, it keeps what it wrote
        # locked until then, and nothing in memory.
        own = (
            self._session.connection()
            if self._session.dry_run
            else contextlib.nullcontext(connection)
        )
        async with own as joined:
            stream = self._stream(opts, policy, joined, on_progress)
            try:
                async for obj in objects_of(objects, owned=False):
                    await stream.add(obj)
                return await stream.close()
            except BaseException as error:
                await stream.abandon(at_once=isinstance(error, asyncio.CancelledError))
                raise

    def _stream(
        self,
        opts: InformOpts | None,
        policy: InformPolicy,
        connection: CallersConnection | None,
        on_progress: Callable[[InformCounts], None] | None,
    ) -> InformStream:
        async def write(batch: list[Candidate], *, expect: Expectation) -> list[InformOutcome]:
            return await self._write(batch, replace(policy, expect=expect), connection)

        return InformStream(
            self._encoder,
            write,
            opts=opts,
            on_progress=on_progress,
            on_refused=policy.on_refused,
            # The iterable may use the caller's connection too.
            in_turn=connection is not None,
        )

    async def _write(
        self, batch: list[Candidate], policy: InformPolicy, connection: CallersConnection | None
    ) -> list[InformOutcome]:
        namespaces = {one.encoded.namespace for one in batch}
        if connection is not None:
            require_joinable(connection)
            await self._make_known(namespaces - self._known_namespaces)
        policy = replace(policy, known_namespaces=self._known_namespaces)
        outcomes = await self._session.run(inform_batch(batch, policy), connection)
        if connection is None:
            self._known_namespaces |= namespaces
        if "created" in outcomes or "updated" in outcomes:
            lanes = lanes_of(batch[0].encoded.kind, (one.encoded.namespace for one in batch))
            await self._hint(WORK, lanes, connection)
        return outcomes

    async def _make_known(self, namespaces: set[str]) -> None:
        """Make new namespaces known beside a caller's transaction, or leave it to that."""
        if not namespaces:
            return
        with contextlib.suppress(DeltaError):
            await self._session.run(make_known_beside(namespaces))
            self._known_namespaces |= namespaces
