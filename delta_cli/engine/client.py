"""The one object that applications hold: inform, repair, read, subscribe, and work when started."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

from delta_cli.engine.arguments import check_key, check_run
from delta_cli.engine.background import BackgroundWorker
from delta_cli.engine.config import Config
from delta_cli.engine.context import client_in_context
from delta_cli.engine.control import ControlPlane
from delta_cli.engine.controller import Controllers
from delta_cli.engine.database import Database
from delta_cli.engine.errors import ConfigError, InvalidObject
from delta_cli.engine.event_log import EventLog, chosen_events
from delta_cli.engine.events import Following, Subscription
from delta_cli.engine.field_types import check_argument
from delta_cli.engine.foreground import ForegroundInform, require_runnable
from delta_cli.engine.hints import INFORM
from delta_cli.engine.inform_writer import InformWriter
from delta_cli.engine.model.event import Event, EventCategory, SubscriptionRow
from delta_cli.engine.model.inform import InformCounts, InformResult, InformRun
from delta_cli.engine.model.pause import PauseScope
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.model.status import Status
from delta_cli.engine.model.tick import TickOutcome, TickRow
from delta_cli.engine.paging import resources_in_pages
from delta_cli.engine.repairing import Repairs
from delta_cli.engine.session import CallersConnection, Session, not_open
from delta_cli.engine.settings import DEFAULT_NAMESPACE, InformOptions, InformOpts
from delta_cli.engine.statements import Steps
from delta_cli.engine.states import ResourceState
from delta_cli.engine.store import events, read, repair, runs, subscriptions, ticks
from delta_cli.engine.store.events import EventFilter
from delta_cli.engine.store.inform import InformPolicy
from delta_cli.engine.store.read import ResourceFilter
from delta_cli.engine.store.repair import Repair
from delta_cli.engine.store.ticks import TickSettings
from delta_cli.engine.ticking import Ticks
from delta_cli.engine.ticks.service import TickService
from delta_cli.engine.waiting import AwaitedState, Wait, awaited_states, key_of

if TYPE_CHECKING:
    from delta_cli.engine.runtime import WorkerSummary


class Client:
    """A door to one Delta: use it as `async with Client(dsn, config) as client`.

    `dsn`: a libpq connection string; None resolves one as the command line does (`DELTA_DSN`,
    `DATABASE_URL`, `PG*`), down to the embedded server, which is migrated on the way.
    `config`: None for a client without controllers, which can do everything but work.
    `dry_run`: each change is refused or told as it would be, and undone at once; nobody hears of
    it, and rows are as they were. Such a client cannot `start()`, `tick()`, `inform()` one
    object (`inform_many()` counts what it would do), or `subscribe()` under a name. It joins no
    transaction of a caller's.
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
        self._worker: BackgroundWorker = BackgroundWorker(
            self._session, self.controllers, ticks=self._attached_ticks
        )
        self._writer: InformWriter = InformWriter(self._session, self.config, self._hint)
        self._repairs: Repairs = Repairs(self._session, self._hint)
        self._log: EventLog = EventLog(self._session, self.config.poll_interval)
        self._ticks: Ticks | None = None

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
        """Connect, check the schema, and make the application known.

        Raises ConfigError when it is open already, or another task is opening it. What an event
        loop that has ended left open is forgotten.
        """
        self._forget_if_lost()
        await self._session.open()
        try:
            self._ticks = Ticks(
                self.database,
                self._session.config,
                hints=self._session.hints,
                wake_here=self._worker.wake,
                may_judge=self._worker.may_judge,
            )
        except BaseException:
            await self._session.close()
            raise

    async def close(self) -> None:
        """Stop working (a drain), end every subscription and close every connection.

        Cancelled during the drain, it stops hard, and closes everything all the same. What an
        event loop that has ended left open is forgotten.
        """
        if self._forget_if_lost():
            return
        self._session.require_own_loop()
        async with AsyncExitStack() as closing:  # the last pushed is closed first
            closing.push_async_callback(self._session.close)
            closing.push_async_callback(self._close_ticks)
            closing.push_async_callback(self._log.close)
            closing.push_async_callback(self._worker.close)

    def _forget_if_lost(self) -> bool:
        """Let go of all that is open in an event loop that has ended; whether there was any."""
        is_lost = self._session.forget_if_lost()
        if is_lost:
            self._worker.forget()
            self._log.forget()
            ticks, self._ticks = self._ticks, None
            if ticks is not None:
                ticks.forget()
        return is_lost

    async def _close_ticks(self) -> None:
        ticks, self._ticks = self._ticks, None
        if ticks is not None:
            await ticks.close()

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
        with client_in_context(self):
            await self._worker.start(kinds=kinds, namespaces=namespaces)

    async def stop(self, *, hard: bool = False) -> "WorkerSummary | None":
        """Drain: let running works end. `hard`: cancel them and give their resources back.

        Returns what the worker did; None when it was not working. May be called again with `hard`
        while a drain is under way.
        """
        return await self._worker.stop(hard=hard)

    async def wait(self) -> "WorkerSummary | None":
        """Until the worker has ended, by `stop()` or by a failure, which is raised here."""
        return await self._worker.wait()

    async def drained(self, kinds: Sequence[str] | None = None) -> bool:
        """Whether nothing of the worker's kinds, or those named, is due, worked or reported.

        False without a worker.
        """
        check_argument("kinds", kinds, Sequence[str] | None)
        return await self._worker.drained(kinds)

    async def wait_until_drained(self, kinds: Sequence[str] | None = None) -> None:
        """Until nothing of the worker's kinds, or those named, is due, worked or reported.

        Resources that wait for a later retry are not waited for. Without a worker, which alone can
        change that, it returns at once; and as soon as the worker has ended.
        """
        check_argument("kinds", kinds, Sequence[str] | None)
        await self._worker.wait_until_drained(kinds)

    # Ticks

    async def tick(self, name: str, *, actor: str | None = None) -> TickOutcome:
        """Force one tick of a periodic service in this process, under the fleet's lock.

        It counts as the interval's run. `ticks()` says why it was skipped, and who has the lock;
        `actor`, who forced it, stands beside the run's holder. Raises NotFound for a tick that
        this process does not have: each has the built-in ones, and those of its
        `Config(ticks=[...])`.
        """
        self._session.refuse_in_dry_run("run ticks")
        with client_in_context(self):
            return await self._open_ticks.tick(name, actor=actor)

    async def tick_standing(self, name: str) -> TickRow:
        """How a tick of this process stands, which is not run; one that never ran has no times.

        Raises NotFound as `tick()` does.
        """
        settings = self._open_ticks.settings(name)
        async with self._session.connection() as connection:
            return await ticks.row_of(connection, settings)

    async def ticks(self) -> list[TickRow]:
        """Every periodic service that the fleet knows, with its health and its last 20 runs.

        A built-in one that has never run anywhere is listed with this client's settings.
        """
        async with self._session.connection() as connection:
            return await ticks.list_ticks(connection, self.built_in_ticks)

    @property
    def built_in_ticks(self) -> list[TickSettings]:
        """What this client says of the ticks that every Delta has."""
        return self._open_ticks.built_in

    @property
    def _open_ticks(self) -> Ticks:
        if not self.database or self._ticks is None:
            raise not_open()
        return self._ticks

    def _attached_ticks(self) -> list[TickService]:
        return self._open_ticks.attached()

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
        self._session.refuse_in_dry_run("inform one object")
        return await self._writer.one(obj, opts, connection)

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
        self._session.refuse_callers_in_dry_run(connection)
        policy = InformPolicy(process_existing=process_existing, on_refused=on_refused)
        return await self._writer.many(objects, opts, policy, connection, on_progress)

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
        Raises NotFound for a kind that never had a controller, and ConfigError for a run in this
        process that is to join a transaction: others could not see it.
        """
        check_argument("options", options, InformOptions | None)
        options = options or InformOptions()
        check_run(kind, options, requested_by)
        if run_foreground and connection is not None:
            raise ConfigError(
                "schedule_inform takes run_foreground or connection, not both",
                hint="queue it with connection, or run it here once you have committed",
            )
        self._session.refuse_callers_in_dry_run(connection)
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
        require_runnable(kind, self.controllers, self._worker)
        await self.control.require_unpaused(PauseScope.KIND, kind)
        if self._session.dry_run:
            return await self._session.rehearse(steps)
        with client_in_context(self):
            run_id = await ForegroundInform(self._session, self._worker, kind).run(steps)
        return await self.inform_run(run_id)

    async def inform_run(self, run_id: int) -> InformRun:
        """One inform run. Raises NotFound."""
        check_argument("run_id", run_id, int)
        async with self._session.connection() as connection:
            return await runs.get_run(connection, run_id)

    async def _hint(
        self, channel: str, payloads: set[str], connection: CallersConnection | None = None
    ) -> None:
        await self._session.hint(channel, payloads, connection)
        if connection is None:
            for payload in payloads:
                self._worker.wake(channel, payload)

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
        return await self._repairs.one(repair.INVALIDATE, kind, object_id, namespace, actor)

    async def retry(
        self,
        kind: str,
        object_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        actor: str | None = None,
    ) -> ResourceRow:
        """Begin a new round of attempts now. Raises NotFound, or StateConflict naming the state."""
        return await self._repairs.one(repair.RETRY, kind, object_id, namespace, actor)

    async def delete(
        self,
        kind: str,
        object_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        actor: str | None = None,
    ) -> ResourceRow:
        """Delete softly; the row stays for its retention. One that is deleted stays as it is.

        Raises NotFound, or StateConflict while it is pending.
        """
        return await self._repairs.one(repair.DELETE, kind, object_id, namespace, actor)

    async def repair_many(
        self, what: Repair, rows: Sequence[ResourceRow], *, actor: str | None = None
    ) -> list[int]:
        """Repair rows as they were seen: those whose state has changed since are left alone.

        `what` is `Repair.INVALIDATE`, `Repair.RETRY` or `Repair.DELETE`. Returns the ids
        that were repaired.
        """
        check_argument("what", what, Repair)
        return await self._repairs.many(what, rows, actor)

    # Reading

    async def get(
        self, kind: str, object_id: str, *, namespace: str = DEFAULT_NAMESPACE
    ) -> ResourceRow:
        """One resource. Raises NotFound."""
        check_key(kind, object_id, namespace)
        return await self._session.run(read.get_steps(kind, namespace, object_id))

    def resources(
        self, chosen: ResourceFilter | None = None, *, after_id: int = 0, limit: int | None = None
    ) -> AsyncIterator[ResourceRow]:
        """Resources in the order of their ids, read in keyset pages, at most `limit` of them."""
        check_argument("chosen", chosen, ResourceFilter | None)
        chosen = chosen or ResourceFilter()
        return resources_in_pages(self._session, chosen, after_id=after_id, limit=limit)

    async def status(self) -> Status:
        """Resources by kind, namespace and state, the workers that are there, what is paused."""
        async with self._session.connection() as connection, read.snapshot(connection):
            return await read.status(connection, self.config.schema)

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
        name, an `after` that is no id and no time, a filter that lets nothing through, or a name in
        a dry run.
        """
        chosen = chosen_events(categories, kinds, namespaces)
        following = Following(
            after=after, name=name, follow=follow, auto_acknowledge=auto_acknowledge
        )
        return self._log.subscribe(chosen, following)

    async def changed(self, within: timedelta) -> bool:
        """Until there are new events, at most `within`; whether they were told of.

        Those since the last call count. Whoever was not told may have missed it: look all the same.
        """
        check_argument("within", within, timedelta)
        return await self._log.changed(within)

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
        kind, object_id, namespace = key_of(resource, object_id, namespace)
        only = EventFilter(kinds=[kind], namespaces=[namespace], object_ids=[object_id])
        wait = Wait(
            states,
            look=partial(self.get, kind, object_id, namespace=namespace),
            subscribe=partial(self._log.subscribe, only, Following()),
        )
        return await wait.run(timeout)
