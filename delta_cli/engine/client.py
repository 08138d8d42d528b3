"""The one object that applications hold: inform, repair, read, subscribe, and work when started."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, overload
from weakref import WeakSet

from delta_cli.engine.callers import require_joinable
from delta_cli.engine.cancelling import cancel_all
from delta_cli.engine.config import Config
from delta_cli.engine.context import current_client
from delta_cli.engine.control import ControlPlane
from delta_cli.engine.controller import Controllers
from delta_cli.engine.database import Database
from delta_cli.engine.errors import ConfigError, DeltaError, InvalidObject
from delta_cli.engine.events import Changes, Following, Subscription
from delta_cli.engine.field_types import check_argument
from delta_cli.engine.hints import CONTROL, EVENT, INFORM, WORK, lanes_of
from delta_cli.engine.informing import Encoder, InformStream, objects_of
from delta_cli.engine.model.event import Event, EventCategory, SubscriptionRow
from delta_cli.engine.model.inform import InformCounts, InformOutcome, InformResult, InformRun
from delta_cli.engine.model.pause import PauseScope
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.model.status import Status
from delta_cli.engine.model.tick import TickOutcome, TickRow
from delta_cli.engine.runtime import Runtime, WorkerSummary
from delta_cli.engine.session import CallersConnection, Session
from delta_cli.engine.settings import DEFAULT_NAMESPACE, InformOptions, InformOpts
from delta_cli.engine.statements import Steps
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store import events, pauses, read, repair, runs, subscriptions, ticks
from delta_cli.engine.store.events import EventFilter
from delta_cli.engine.store.inform import (
    Candidate,
    Expectation,
    InformPolicy,
    inform_batch,
    make_known_beside,
)
from delta_cli.engine.store.read import ResourceFilter
from delta_cli.engine.store.repair import Repair
from delta_cli.engine.ticking import Ticks
from delta_cli.engine.waiting import AwaitedState, Wait, awaited_states

log = logging.getLogger(__name__)

_PAGE: Final = 500
_SETTLED_POLL_S: Final = 0.05


class Client:
    """A door to one Delta: use it as `async with Client(dsn, config) as client`.

    `dsn`: a libpq connection string; None resolves one as the command line does (`DELTA_DSN`,
    `DATABASE_URL`, `PG*`), down to the embedded server, which is migrated on the way.
    `config`: None for a client without controllers, which can do everything but work.
    `dry_run`: each change is refused or told as it would be, and undone at once; nobody hears of
    it, and rows are as they were. Such a client cannot `start()`, `tick()`, or `inform()` one
    object: `inform_many()` counts what it would do.
    Opening it raises ConnectionFailed when no server answers, and SchemaError when the schema is
    not this Delta's. Opening it also makes the controllers and namespaces of `config` known.
    """

    def __init__(
        self, dsn: str | None = None, config: Config | None = None, *, dry_run: bool = False
    ) -> None:
        check_argument("dsn", dsn, str | None)
        check_argument("config", config, Config | None)
        self.config: Config = config or Config()
        self.controllers: Controllers = Controllers(self.config.controllers)
        self._session: Session = Session(dsn, self.config, self.controllers, dry_run=dry_run)
        #: What operators do to the fleet and look at: pauses, cancels, limits, workers, runs.
        self.control: ControlPlane = ControlPlane(self._session, self._hint)
        self._runtime: Runtime | None = None
        self._working: asyncio.Task[WorkerSummary] | None = None
        self._ticks: Ticks | None = None
        # A guess: what an inform writes says whether it holds.
        self._known_namespaces: frozenset[str] = frozenset()
        self._encoder: Encoder = Encoder(self.config.max_object_bytes, self.config.max_attempts)
        self._subscriptions: WeakSet[Subscription] = WeakSet()
        self._changes: Changes | None = None

    # Opening and closing

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect, check the schema, and make the application known."""
        await self._session.open()
        try:
            self._ticks = Ticks(
                self.database,
                self._session.config,
                hints=self._session.hints,
                wake_here=self._wake_here,
                may_judge=lambda: self._runtime is None or self._runtime.worker.may_judge,
            )
        except BaseException:
            await self._session.close()
            raise

    async def close(self) -> None:
        """Stop working (a drain), end every subscription and close every connection."""
        try:
            if self._working is not None:
                await self.stop()
        finally:
            for subscription in tuple(self._subscriptions):
                await subscription.aclose()
            changes, self._changes = self._changes, None
            if changes is not None:
                changes.close()
            ticking, self._ticks = self._ticks, None
            if ticking is not None:
                await ticking.close()
            await self._session.close()

    @property
    def database(self) -> Database:
        """The open database. Raises DeltaError when the client is not open."""
        return self._session.database

    # Working

    async def start(
        self, *, kinds: Sequence[str] | None = None, namespaces: Sequence[str] | None = None
    ) -> None:
        """Work in the background until `stop()`: all kinds and namespaces, or those named.

        An application of ticks alone runs these. Raises ConfigError when there is nothing to work,
        or it works already.
        """
        check_argument("kinds", kinds, Sequence[str] | None)
        check_argument("namespaces", namespaces, Sequence[str] | None)
        controllers = self.controllers if kinds is None else self.controllers.only(kinds)
        if not controllers and (kinds is not None or not self.config.ticks):
            raise ConfigError(
                "there are no controllers to work, and no ticks to run",
                hint="give Config(controllers=[...]), Config(ticks=[...]), or both",
            )
        if namespaces is not None and not namespaces:
            raise ConfigError(
                "there are no namespaces to work", hint="name some, or give None for all"
            )
        if self._working is not None:
            raise ConfigError("this client works already", hint="call stop() first")
        self._refuse_in_dry_run("work")
        self._runtime = Runtime(
            self.database,
            self._session.config,
            controllers,
            hints=self._session.hints,
            listener=self._session.listener(WORK, INFORM, CONTROL),
            ticks=self._open_ticks.attached(),
            namespaces=namespaces,
        )
        token = current_client.set(self)
        try:
            self._working = asyncio.create_task(self._runtime.run())
        finally:
            current_client.reset(token)
        registered = asyncio.create_task(self._runtime.registered.wait())
        await asyncio.wait([self._working, registered], return_when=asyncio.FIRST_COMPLETED)
        registered.cancel()
        if self._working.done():
            await self._ended()

    async def stop(self, *, hard: bool = False) -> WorkerSummary | None:
        """Drain: let running works end. `hard`: cancel them and give their resources back.

        Returns what the worker did; None when it was not working. May be called again with `hard`
        while a drain is under way.
        """
        if self._runtime is None or self._working is None:
            return None
        if hard:
            self._runtime.stop_now()
        else:
            self._runtime.drain()
        return await self.wait()

    async def wait(self) -> WorkerSummary | None:
        """Until the worker has ended, by `stop()` or by a failure, which is raised here."""
        if self._working is None:
            return None
        return await self._ended()

    async def _ended(self) -> WorkerSummary:
        assert self._working is not None
        working = self._working
        try:
            return await asyncio.shield(working)
        finally:
            if working.done():
                self._runtime, self._working = None, None

    async def drained(self, kinds: Sequence[str] | None = None) -> bool:
        """Whether nothing of the worker's kinds, or those named, is due, worked or reported."""
        return self._runtime is not None and await self._runtime.nothing_left(kinds)

    async def wait_until_drained(self, kinds: Sequence[str] | None = None) -> None:
        """Until nothing is due. Resources that wait for a later retry are not waited for."""
        while self._working is not None and not self._working.done():
            if await self.drained(kinds):
                return
            await asyncio.sleep(_SETTLED_POLL_S)

    # Ticks

    async def tick(self, name: str, *, actor: str | None = None) -> TickOutcome:
        """Force one tick of a periodic service in this process, under the fleet's lock.

        It counts as the interval's run. `ticks()` says why it was skipped, and who has the lock;
        `actor`, who forced it, stands beside the run's holder. Raises NotFound for a tick that
        this process does not have: each has the built-in ones, and those of its
        `Config(ticks=[...])`.
        """
        self._refuse_in_dry_run("run ticks")
        token = current_client.set(self)
        try:
            return await self._open_ticks.tick(name, actor=actor)
        finally:
            current_client.reset(token)

    async def tick_standing(self, name: str) -> TickRow:
        """How a tick of this process stands, which is not run; one that never ran has no times.

        Raises NotFound as `tick()` does.
        """
        settings = self._open_ticks.settings(name)
        async with (
            self._session.connection() as connection,
            connection.transaction(force_rollback=True),
        ):
            await ticks.register(connection, settings, replace=False)
            rows = await ticks.list_ticks(connection)
        return next(row for row in rows if row.name == name)

    def _refuse_in_dry_run(self, what: str) -> None:
        if self._session.dry_run:
            raise ConfigError(f"a client in a dry run does not {what}")

    async def ticks(self) -> list[TickRow]:
        """Every periodic service that the fleet knows, with its health and its last 20 runs."""
        async with self._session.connection() as connection:
            return await ticks.list_ticks(connection)

    @property
    def _open_ticks(self) -> Ticks:
        assert self.database
        assert self._ticks is not None
        return self._ticks

    def _wake_here(self, channel: str) -> None:
        if self._runtime is not None:
            self._runtime.wake(channel, None)

    # Informing

    async def inform(
        self,
        obj: Any,
        opts: InformOpts | None = None,
        *,
        connection: CallersConnection | None = None,
    ) -> InformResult:
        """Tell Delta of one object: it is stored as desired, and worked if it is new or changed.

        With `connection`, inside the transaction of a caller's own psycopg connection; a namespace
        that is new is made known beside it, so that nobody waits for that transaction.
        Raises InvalidObject, which names the field, and stores nothing.
        """
        self._refuse_in_dry_run("inform one object")
        candidate = self._encoder.candidate(obj, opts)
        outcomes = await self._inform_batch([candidate], InformPolicy(), connection)
        encoded = candidate.encoded
        steps = read.get_steps(encoded.kind, encoded.namespace, encoded.object_id)
        row = await self._session.run(steps, connection)
        return InformResult(outcomes[0], row)

    async def _inform_batch(
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

    async def inform_many(
        self,
        objects: Iterable[Any] | AsyncIterable[Any],
        opts: InformOpts | None = None,
        *,
        connection: CallersConnection | None = None,
        process_existing: bool = False,
        on_progress: Callable[[InformCounts], None] | None = None,
        on_refused: Callable[[InvalidObject], None] | None = None,
    ) -> InformCounts:
        """Stream objects in batches of 1,000, each committed as it is written.

        With `connection`, all inside the transaction of a caller's own psycopg connection.
        `on_progress` is called after each batch with the counts so far. An invalid object raises
        InvalidObject, with the batches before it stored; with `on_refused`, it is counted, told,
        and passed over.
        """

        async def write(batch: list[Candidate], *, expect: Expectation) -> list[InformOutcome]:
            policy = InformPolicy(
                process_existing=process_existing, expect=expect, on_refused=on_refused
            )
            return await self._inform_batch(batch, policy, connection)

        stream = InformStream(
            self._encoder,
            write,
            opts=opts,
            on_progress=on_progress,
            on_refused=on_refused,
            # The iterable may use the caller's connection too.
            in_turn=connection is not None,
        )
        try:
            async for obj in objects_of(objects, in_thread=False):
                await stream.add(obj)
            return await stream.close()
        except BaseException as error:
            await stream.abandon(at_once=isinstance(error, asyncio.CancelledError))
            raise

    async def schedule_inform(
        self,
        kind: str,
        options: InformOptions | None = None,
        *,
        from_watermark: bool = True,
        connection: CallersConnection | None = None,
        requested_by: str = "client",
        run_foreground: bool = False,
    ) -> InformRun:
        """Queue a run of a kind's informer, for any worker of that kind.

        Without `options.after` the run begins at the watermark; `from_watermark=False`: it lists
        everything. `run_foreground` runs it in this process, which must have the controller, and
        returns when the run has ended and its resources have been worked; cancelled, it ends the
        run, which has then failed.
        Raises NotFound for a kind that never had a controller.
        """
        check_argument("options", options, InformOptions | None)
        options = options or InformOptions()
        steps = runs.queue_run(
            kind, options, requested_by=requested_by, from_watermark=from_watermark
        )
        if run_foreground:
            return await self._inform_foreground(kind, steps)
        if self._session.dry_run:
            return await self._session.rehearse(steps)
        run = await self._session.run(steps, connection)
        await self._hint(INFORM, {kind}, connection)
        return run

    async def _inform_foreground(self, kind: str, steps: Steps[InformRun]) -> InformRun:
        self._require_runnable(kind)
        await self.control.require_unpaused(PauseScope.KIND, kind)
        if self._session.dry_run:
            return await self._session.rehearse(steps)
        # Queued before the worker starts, whose interval might else queue the same listing first.
        run = await self._session.run(steps)
        was_working = self._runtime is not None
        # In a task, which is asked again to end where the pool drops its cancellation.
        working = asyncio.create_task(self._inform_and_work(kind, run.id))
        try:
            await asyncio.wait([working])
            await working
        except asyncio.CancelledError:
            await cancel_all(working)
            # Before the worker stops, whose runs are then queued for others.
            await asyncio.shield(self._interrupt(run))
            raise
        finally:
            if not was_working:
                await self.stop()
        return await self.inform_run(run.id)

    async def _inform_and_work(self, kind: str, run_id: int) -> None:
        if self._runtime is None:
            await self.start(kinds=[kind])
        assert self._runtime is not None
        token = current_client.set(self)
        try:
            await self._runtime.inform_now(kind, run_id)
            await self.wait_until_drained([kind])
        finally:
            current_client.reset(token)

    async def _interrupt(self, run: InformRun) -> None:
        worker_id = None if self._runtime is None else self._runtime.worker.id
        async with self._session.connection() as connection:
            now = await runs.interrupt(connection, run.id, worker_id=worker_id)
        log.warning(
            "foreground inform interrupted",
            extra={"component": "client", "kind": run.kind, "run": run.id, "state": now.state},
        )

    def _require_runnable(self, kind: str) -> None:
        if kind not in self.controllers:
            raise ConfigError(
                f"kind {kind!r} has no controller in this process",
                hint="queue the run instead, or give the application with --app",
            )
        if self._runtime is not None and kind not in self._runtime.worker.controllers:
            raise ConfigError(
                f"this client works, and not kind {kind!r}",
                hint="queue the run instead, or name the kind in start()",
            )

    async def inform_run(self, run_id: int) -> InformRun:
        """One inform run. Raises NotFound."""
        async with self._session.connection() as connection:
            return await runs.get_run(connection, run_id)

    async def _hint(
        self, channel: str, payloads: set[str], connection: CallersConnection | None = None
    ) -> None:
        await self._session.hint(channel, payloads, connection)
        if connection is None and self._runtime is not None:
            for payload in payloads:
                self._runtime.wake(channel, payload)

    # Repairing

    async def invalidate(
        self,
        kind: str,
        object_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        actor: str | None = None,
    ) -> ResourceRow:
        """Work a synced resource again. Raises NotFound, or StateConflict naming the state."""
        return await self._repair_one(repair.INVALIDATE, kind, object_id, namespace, actor)

    async def retry(
        self,
        kind: str,
        object_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        actor: str | None = None,
    ) -> ResourceRow:
        """Begin a new round of attempts now. Raises NotFound, or StateConflict naming the state."""
        return await self._repair_one(repair.RETRY, kind, object_id, namespace, actor)

    async def delete(
        self,
        kind: str,
        object_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        actor: str | None = None,
    ) -> ResourceRow:
        """Delete softly; the row stays for its retention. Raises NotFound or StateConflict."""
        return await self._repair_one(repair.DELETE, kind, object_id, namespace, actor)

    async def repair_many(
        self, what: Repair, rows: Sequence[ResourceRow], *, actor: str | None = None
    ) -> list[int]:
        """Repair rows as they were seen: those whose state has changed since are left alone.

        Returns the ids that were repaired.
        """
        by_state: dict[ResourceState, list[int]] = {}
        for row in rows:
            by_state.setdefault(row.state, []).append(row.id)
        repaired: list[int] = []
        for state, ids in by_state.items():
            steps = repair.apply_repair(what, ids, actor=actor, from_states=[state])
            repaired += await self._session.run(steps)
        if repaired:
            await self._hint_repaired(what, {row.kind for row in rows})
        return repaired

    async def _repair_one(
        self, what: Repair, kind: str, object_id: str, namespace: str, actor: str | None
    ) -> ResourceRow:
        row = await self.get(kind, object_id, namespace=namespace)
        # In whatever state it is by now, if only the repair allows that.
        repaired = await self._session.run(repair.apply_repair(what, [row.id], actor=actor))
        after = await self.get(kind, object_id, namespace=namespace)
        if not repaired:
            raise repair.refusal(what, after)
        await self._hint_repaired(what, {kind})
        return after

    async def _hint_repaired(self, what: Repair, kinds: set[str]) -> None:
        await self._hint(EVENT, {""})
        if what.due:
            await self._hint(WORK, kinds)

    # Reading

    async def get(
        self, kind: str, object_id: str, *, namespace: str = DEFAULT_NAMESPACE
    ) -> ResourceRow:
        """One resource. Raises NotFound."""
        return await self._session.run(read.get_steps(kind, namespace, object_id))

    async def resources(
        self, chosen: ResourceFilter | None = None, *, after_id: int = 0, limit: int | None = None
    ) -> AsyncIterator[ResourceRow]:
        """Resources in the order of their ids, read in keyset pages, at most `limit` of them."""
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            async with self._session.connection() as connection:
                page = await read.page(
                    connection, chosen or ResourceFilter(), after_id=after_id, limit=size
                )
            for row in page:
                yield row
            if len(page) < size:
                return
            after_id = page[-1].id
            left = None if left is None else left - len(page)

    async def status(self) -> Status:
        """Resources by kind, namespace and state, the workers that are there, what is paused."""
        async with self._session.connection() as connection, read.snapshot(connection):
            return Status(
                at=await read.now(connection),
                schema=self.config.schema,
                kinds=await read.counts(connection),
                workers=await read.workers(connection),
                pauses=await pauses.in_force(connection),
            )

    async def timeline(self, row: ResourceRow, *, limit: int = 20) -> list[Event]:
        """The last events of a resource, the newest last, among the newest 3,000,000 of the log."""
        async with self._session.connection() as connection:
            return await events.timeline(connection, row.id, limit=limit)

    # Events

    def subscribe(
        self,
        *categories: EventCategory | str,
        kinds: Sequence[str] | None = None,
        namespaces: Sequence[str] | None = None,
        after: int | datetime | None = None,
        name: str | None = None,
        follow: bool = True,
        auto_acknowledge: bool = True,
    ) -> Subscription:
        """The ordered log as an async iterator: of the named categories, or all.

        `after`: None for from now, an event id (exclusive; 0: from the beginning), or a time
        with a time zone. From now means when `async with` is entered or `begin()` awaited, and only
        without these when the first event is asked for.
        `name`: the database keeps the position under this name, and a later subscription goes on
        after what this one has acknowledged; `after` sets it anew. One reader at a time: two of one
        name both get everything. `auto_acknowledge=False`: only `acknowledge()` moves the position.
        `follow=False` ends at the newest event. Raises ConfigError for an unknown category, a bad
        name, an `after` that is no id and no time, or a filter that lets nothing through.
        """
        chosen = EventFilter(
            categories=[_category(category) for category in categories] or None,
            kinds=_some("kinds", kinds),
            namespaces=_some("namespaces", namespaces),
        )
        following = Following(
            after=after, name=name, follow=follow, auto_acknowledge=auto_acknowledge
        )
        return self._subscribe(chosen, following)

    def _subscribe(self, chosen: EventFilter, following: Following) -> Subscription:
        subscription = Subscription(
            self.database,
            chosen,
            following,
            listener=self._session.listener(EVENT) if following.follow else None,
            poll_interval=self.config.poll_interval,
        )
        self._subscriptions.add(subscription)
        return subscription

    async def changed(self, within: timedelta) -> bool:
        """Until there are new events, at most `within`; whether they were told of.

        Those since the last call count. Whoever was not told may have missed it: look all the same.
        """
        check_argument("within", within, timedelta)
        if self._changes is None:
            self._changes = Changes(self._session.listener(EVENT))
        return await self._changes.wait(within)

    async def subscriptions(self) -> list[SubscriptionRow]:
        """The names of subscriptions, and how far each has come."""
        async with self._session.connection() as connection:
            return await subscriptions.subscriptions(connection)

    async def remove_subscription(self, name: str) -> None:
        """Forget a name; who still reads under it gets NotFound. Raises NotFound."""
        async with self._session.connection() as connection:
            await subscriptions.remove(connection, name)

    @overload
    async def wait_for(
        self,
        resource: ResourceRow | InformResult,
        *,
        state: AwaitedState = ...,
        timeout: timedelta | None = ...,
    ) -> ResourceRow: ...

    @overload
    async def wait_for(
        self,
        resource: str,
        object_id: str,
        *,
        namespace: str = ...,
        state: AwaitedState = ...,
        timeout: timedelta | None = ...,
    ) -> ResourceRow: ...

    async def wait_for(
        self,
        resource: ResourceRow | InformResult | str,
        object_id: str | None = None,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        state: AwaitedState = ResourceState.SYNCED,
        timeout: timedelta | None = None,
    ) -> ResourceRow:
        """Until a resource (a row, or its kind and id) is in a state, or one of several.

        Returns its row as it stands then; at once if it is there already. It follows the events of
        the log, so only states that these tell of can be waited for: synced, failed, degraded and
        deleted, else ConfigError. Raises NotFound; WaitTimeout, naming the state, when that takes
        longer than `timeout` (None: no limit); and StateConflict as soon as the resource is
        degraded or deleted and waited for in another state, since it stays so by itself.
        """
        check_argument("timeout", timeout, timedelta | None)
        states = awaited_states(state)
        kind, object_id, namespace = _key_of(resource, object_id, namespace)
        only = EventFilter(kinds=[kind], namespaces=[namespace], object_ids=[object_id])
        wait = Wait(
            states,
            look=partial(self.get, kind, object_id, namespace=namespace),
            subscribe=partial(self._subscribe, only, Following()),
        )
        return await wait.run(timeout)


def _category(value: EventCategory | str) -> str:
    try:
        return EventCategory(value).value
    except ValueError:
        raise ConfigError(
            f"unknown event category {str(value)!r}",
            hint=f"categories: {', '.join(EventCategory)}",
        ) from None


def _some(name: str, values: Sequence[str] | None) -> list[str] | None:
    """A filter that lets something through; None: everything."""
    if values is None:
        return None
    if isinstance(values, str) or not values:
        raise ConfigError(
            f"{name} is {values!r}, not a list of some", hint="name some, or give None for all"
        )
    return list(values)


def _key_of(
    resource: ResourceRow | InformResult | str, object_id: str | None, namespace: str
) -> tuple[str, str, str]:
    row = resource.row if isinstance(resource, InformResult) else resource
    if isinstance(row, ResourceRow):
        return row.kind, row.object_id, row.namespace
    if object_id is None:
        raise ConfigError(
            f"kind {row!r} alone names no resource", hint="give the object's id beside it"
        )
    return row, object_id, namespace
