"""Delta for code without an event loop (Django, Flask, scripts): the same steps, run in place."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, Final, Self, TypeVar

import psycopg
from psycopg_pool import PoolTimeout

from delta_cli.engine.arguments import check_key, check_run, check_text
from delta_cli.engine.callers import require_joinable_sync, within_sync
from delta_cli.engine.config import Config
from delta_cli.engine.database import CONFIGURE, describe_connection_error
from delta_cli.engine.dsn import connection_settings, mask_dsn, resolve_dsn
from delta_cli.engine.errors import ConfigError, DeltaError
from delta_cli.engine.explain import explain, not_text
from delta_cli.engine.field_types import check_argument
from delta_cli.engine.hints import EVENT, INFORM, WORK, lanes_of
from delta_cli.engine.informing import BATCH, Encoder
from delta_cli.engine.living import take_living_sync
from delta_cli.engine.model.inform import InformCounts, InformOutcome, InformResult, InformRun
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.own_pool import OwnPool
from delta_cli.engine.pooler import CONFIGURE_LOCALLY, is_pooled_sync
from delta_cli.engine.settings import DEFAULT_NAMESPACE, InformOptions, InformOpts
from delta_cli.engine.statements import Steps, run_steps_sync, run_through_sync
from delta_cli.engine.store import events, read, repair, runs
from delta_cli.engine.store.inform import (
    Candidate,
    InformPolicy,
    batches_of_one_kind,
    count_outcomes,
    inform_batch,
    make_known_beside,
)

R = TypeVar("R")
AnyConnection = psycopg.Connection[Any]

#: How long a call waits for a connection, and a connection for the server.
_CONNECT_S: Final = 10


class SyncClient:
    """Informs, invalidates and queues inform runs: use it as `with SyncClient(dsn) as client`.

    Each call takes `connection`, a caller's own sync psycopg connection, whose transaction it then
    joins. It may be shared by threads, opened again, and used after a fork: each process makes
    connections of its own. Settings are those of `Client`; it does
    not work resources, registers nothing, and needs a database that is configured and migrated.
    Opening it proves that the server answers: ConnectionFailed says why it does not.

    One that is not open serves callers' connections too; but then a namespace's first inform keeps
    everybody else's there waiting until the caller's transaction ends.
    """

    def __init__(self, dsn: str | None = None, config: Config | None = None) -> None:
        check_argument("dsn", dsn, str | None)
        check_argument("config", config, Config | None)
        self.config: Config = config or Config()
        source = resolve_dsn(dsn, os.environ)
        if source.dsn is None:
            raise ConfigError(
                "SyncClient needs a database, and none is configured",
                hint="give a DSN, or set DELTA_DSN or DATABASE_URL",
            )
        self.dsn: str = source.dsn
        self._encoder: Encoder = Encoder(self.config.max_object_bytes, self.config.max_attempts)
        # A guess: what an inform writes says whether it holds.
        self._known_namespaces: frozenset[str] = frozenset()
        self._is_open: bool = False
        self._pools: dict[int, OwnPool] = {}  # by the process that made it

    def __repr__(self) -> str:
        return f"SyncClient({mask_dsn(self.dsn)!r}, schema={self.config.schema!r})"

    def __enter__(self) -> Self:
        if not self._is_open:
            self._prove_server()
            self._is_open = True
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._is_open = False
        pool = self._pools.pop(os.getpid(), None)
        self._pools.clear()
        if pool is not None:
            pool.close()

    def _make_pool(self) -> OwnPool:
        return OwnPool(
            self.dsn,
            min_size=0,
            max_size=10,
            open=False,
            kwargs=self._arguments(),
            configure=self._configure,
            timeout=_CONNECT_S,
            # After an outage the next call tries at once instead of waiting out a long backoff.
            reconnect_timeout=_CONNECT_S,
        )

    def _arguments(self) -> dict[str, Any]:
        return {
            "autocommit": True,
            "application_name": "delta",
            "connect_timeout": _CONNECT_S,
            **connection_settings(self.dsn),
        }

    def _prove_server(self) -> None:
        """Connect outside the pool, which only logs why it cannot. Raises ConnectionFailed."""
        try:
            psycopg.connect(self.dsn, **self._arguments()).close()
        except psycopg.Error as error:
            raise describe_connection_error(error, self.dsn) from None

    @property
    def _pool(self) -> OwnPool:
        if not self._is_open:
            raise _not_open()
        pool = self._pools.get(os.getpid())
        if pool is not None:
            return pool
        # Without a lock, which a thread could hold while another forks: the first one made is kept.
        made = self._make_pool()
        made.open()
        pool = self._pools.setdefault(os.getpid(), made)
        if pool is not made:
            made.close()
        elif not self._is_open:
            # Closed by another thread, perhaps before this pool was there to be closed.
            self._pools.pop(os.getpid(), None)
            made.close()
            raise _not_open()
        return pool

    def inform(
        self,
        obj: Any,
        opts: InformOpts | None = None,
        *,
        connection: AnyConnection | None = None,
    ) -> InformResult:
        """As `Client.inform`."""
        candidate = self._encoder.candidate(obj, opts)
        outcomes = self._inform_batch([candidate], connection)
        encoded = candidate.encoded
        row = self._get(encoded.kind, encoded.object_id, encoded.namespace, connection)
        return InformResult(outcomes[0], row)

    def inform_many(
        self,
        objects: Iterable[Any],
        opts: InformOpts | None = None,
        *,
        connection: AnyConnection | None = None,
        on_progress: Callable[[InformCounts], None] | None = None,
    ) -> InformCounts:
        """As `Client.inform_many`. Raises InvalidObject with the batches before it stored."""
        if not isinstance(objects, Iterable):
            got = "None" if objects is None else f"one {type(objects).__name__}"
            raise ConfigError(
                f"objects must give an iterable of objects, got {got}", hint="give a list of them"
            )
        counts = InformCounts()
        iterator: Iterator[Any] = iter(objects)
        while chunk := list(islice(iterator, BATCH)):
            candidates = [self._encoder.candidate(obj, opts) for obj in chunk]
            for batch in batches_of_one_kind(candidates):
                counts += count_outcomes(self._inform_batch(batch, connection))
            if on_progress is not None:
                on_progress(counts)
        return counts

    def invalidate(
        self,
        kind: str,
        object_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        actor: str | None = None,
        connection: AnyConnection | None = None,
    ) -> ResourceRow:
        """As `Client.invalidate`. Raises NotFound, or StateConflict naming the state."""
        check_key(kind, object_id, namespace)
        if actor is not None:
            check_text("actor", actor)
        row = self._get(kind, object_id, namespace, connection)
        steps = repair.apply_repair(repair.INVALIDATE, [row.id], actor=actor)
        repaired = self._run(steps, connection)
        after = self._get(kind, object_id, namespace, connection)
        if not repaired:
            repair.require_settled(repair.INVALIDATE, after)
        self._notify(EVENT, [""], connection)
        self._notify(WORK, [kind], connection)
        return after

    def schedule_inform(
        self,
        kind: str,
        options: InformOptions | None = None,
        *,
        from_watermark: bool = True,
        connection: AnyConnection | None = None,
        requested_by: str = "client",
    ) -> InformRun:
        """As `Client.schedule_inform`, queued for any worker of the kind. Raises NotFound."""
        check_argument("options", options, InformOptions | None)
        options = options or InformOptions()
        check_run(kind, options, requested_by)
        steps = runs.queue_run(
            kind, options, requested_by=requested_by, from_watermark=from_watermark
        )
        run = self._run(steps, connection)
        self._notify(INFORM, [kind], connection)
        return run

    def _inform_batch(
        self, batch: list[Candidate], connection: AnyConnection | None
    ) -> list[InformOutcome]:
        namespaces = {one.encoded.namespace for one in batch}
        if connection is not None and self._is_open:
            require_joinable_sync(connection)
            self._make_known(namespaces - self._known_namespaces)
        policy = InformPolicy(known_namespaces=self._known_namespaces)
        outcomes = self._run(inform_batch(batch, policy), connection)
        if connection is None:
            self._known_namespaces |= namespaces
        if "created" in outcomes or "updated" in outcomes:
            lanes = lanes_of(batch[0].encoded.kind, (one.encoded.namespace for one in batch))
            self._notify(WORK, sorted(lanes), connection)
        return outcomes

    def _make_known(self, namespaces: set[str]) -> None:
        """Make new namespaces known beside a caller's transaction, or leave it to that."""
        if not namespaces:
            return
        with suppress(DeltaError):
            self._run_alone(make_known_beside(namespaces))
            self._known_namespaces |= namespaces

    def _get(
        self, kind: str, object_id: str, namespace: str, connection: AnyConnection | None
    ) -> ResourceRow:
        return self._run(read.get_steps(kind, namespace, object_id), connection)

    def _notify(self, channel: str, payloads: list[str], connection: AnyConnection | None) -> None:
        if self.config.notify:
            self._run(events.notify_steps(channel, payloads), connection)

    def _run(self, steps: Steps[R], connection: AnyConnection | None) -> R:
        try:
            if connection is None:
                return self._run_alone(steps)
            with within_sync(connection, self.config.schema) as cursor:
                return run_through_sync(cursor, steps)
        except UnicodeEncodeError as error:
            raise not_text(error) from None

    def _run_alone(self, steps: Steps[R]) -> R:
        try:
            with self._connection() as own, self._configured(own):
                return run_steps_sync(own, steps)
        except (psycopg.Error, PoolTimeout) as error:
            if isinstance(error, PoolTimeout):
                self._prove_server()
            raise explain(error, self.dsn, self.config.schema) or error from error

    @contextmanager
    def _connection(self) -> Generator[AnyConnection]:
        pool = self._pool
        connection = take_living_sync(pool, self._prove_server)
        try:
            with connection:
                yield connection
        finally:
            pool.putconn(connection)

    def _configure(self, connection: AnyConnection) -> None:
        if is_pooled_sync(connection):
            connection.prepare_threshold = None  # a prepared statement is of one server session
        else:
            connection.execute(CONFIGURE, {"schema": self.config.schema})

    @contextmanager
    def _configured(self, connection: AnyConnection) -> Generator[None]:
        """Behind a pooler, a transaction that begins with Delta's settings."""
        if connection.prepare_threshold is not None:
            yield
            return
        with connection.transaction():
            connection.execute(CONFIGURE_LOCALLY, {"schema": self.config.schema})
            yield


def _not_open() -> DeltaError:
    return DeltaError("the client is not open", hint="use it as: with SyncClient(...) as client")
