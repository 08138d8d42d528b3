"""The worker that a client has in the background: started, asked to end, and waited for."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from delta_cli.engine.arguments import check_names
from delta_cli.engine.cancelling import cancel_all
from delta_cli.engine.controller import Controllers
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.failures import description_of, leaves_of
from delta_cli.engine.hints import CONTROL, INFORM, WORK
from delta_cli.engine.session import Session
from delta_cli.engine.settings import check_namespace
from delta_cli.engine.telling import Facts
from delta_cli.engine.ticks.service import TickService

if TYPE_CHECKING:
    from delta_cli.engine.runtime import Runtime, WorkerSummary

log = logging.getLogger(__name__)

_DRAINED_POLL_S: Final = 0.05
#: How long a worker whose start or drain was cancelled may take to give back what it holds.
_HARD_STOP_S: Final = 10.0


class BackgroundWorker:
    """At most one worker at a time. `runtime` is None while there is none.

    `ticks` gives the services that it runs beside its loops. Its methods are those of `Client`.
    """

    def __init__(
        self,
        session: Session,
        controllers: Controllers,
        *,
        ticks: Callable[[], Sequence[TickService]],
    ) -> None:
        self.runtime: Runtime | None = None
        self._session: Session = session
        self._controllers: Controllers = controllers
        self._ticks: Callable[[], Sequence[TickService]] = ticks
        self._working: asyncio.Task[WorkerSummary] | None = None

    async def start(
        self,
        *,
        kinds: Sequence[str] | None = None,
        namespaces: Sequence[str] | None = None,
        informs: bool = True,
    ) -> None:
        """Begin, and return when the worker has registered; its failure before that is raised.

        `informs` False: it takes up no inform run that it is not told to, and queues none.
        """
        controllers = self._chosen(kinds, namespaces)
        if self._working is not None:
            raise ConfigError("this client works already", hint="call stop() first")
        self._session.refuse_in_dry_run("work")
        # Commands that only look would spend a tenth of their time on loading it.
        from delta_cli.engine.runtime import Runtime  # noqa: PLC0415

        self.runtime = Runtime(
            self._session.database,
            self._session.config,
            controllers,
            hints=self._session.hints,
            listener=self._session.listener(WORK, INFORM, CONTROL),
            ticks=self._ticks(),
            namespaces=namespaces,
            informs=informs,
        )
        self._working = asyncio.create_task(_run(self.runtime))
        try:
            await self._registered(self.runtime, self._working)
        except asyncio.CancelledError:
            await self._end_now()
            raise

    async def _registered(self, runtime: "Runtime", working: "asyncio.Task[WorkerSummary]") -> None:
        registered = asyncio.create_task(runtime.registered.wait())
        try:
            await asyncio.wait([working, registered], return_when=asyncio.FIRST_COMPLETED)
        finally:
            registered.cancel()
        if working.done():
            await self.wait()

    def _chosen(self, kinds: Sequence[str] | None, namespaces: Sequence[str] | None) -> Controllers:
        controllers = self._controllers if kinds is None else self._controllers.only(kinds)
        if not controllers and (kinds is not None or not self._session.config.ticks):
            raise ConfigError(
                "there are no controllers to work, and no ticks to run",
                hint="give Config(controllers=[...]), Config(ticks=[...]), or both",
            )
        if namespaces is not None and not namespaces:
            raise ConfigError(
                "there are no namespaces to work", hint="name some, or give None for all"
            )
        check_names("namespaces", namespaces or (), check_namespace)
        return controllers

    async def stop(self, *, hard: bool = False) -> "WorkerSummary | None":
        """Drain, or with `hard` cancel what runs; returns when the worker has ended."""
        self._session.require_own_loop()
        if self.runtime is None:
            return None
        if hard:
            self.runtime.stop_now()
        else:
            self.runtime.drain()
        return await self.wait()

    async def close(self) -> None:
        """Drain; cancelled meanwhile, end at once: what it works with is closed after this."""
        try:
            await self.stop()
        finally:
            await self._end_now()

    def forget(self) -> None:
        """Let go of a worker that has ended with its event loop."""
        self.runtime, self._working = None, None

    async def _end_now(self) -> None:
        """Stop hard, and when that takes long cancel the worker itself."""
        working, runtime = self._working, self.runtime
        if working is None or runtime is None:
            return
        runtime.stop_now()
        try:
            await asyncio.wait([working], timeout=_HARD_STOP_S)
        finally:
            await cancel_all(working)
            self.forget()

    async def wait(self) -> "WorkerSummary | None":
        """Until the worker has ended; its failure is raised here."""
        self._session.require_own_loop()
        if self._working is None:
            return None
        working = self._working
        try:
            return await asyncio.shield(working)
        finally:
            if working.done():
                self.forget()

    async def drained(self, kinds: Sequence[str] | None = None) -> bool:
        """Whether nothing of the worker's kinds, or those named, is due, worked or reported."""
        self._session.require_own_loop()
        return self.runtime is not None and await self.runtime.nothing_left(kinds)

    async def wait_until_worked(self, kind: str) -> None:
        """Until no resource of a kind is due or worked, or the worker has ended."""
        while self.runtime is not None and self._working is not None and not self._working.done():
            if await self.runtime.nothing_left([kind], informs=False):
                return
            await asyncio.sleep(_DRAINED_POLL_S)

    async def wait_until_drained(self, kinds: Sequence[str] | None = None) -> None:
        """Until nothing is due, or the worker has ended, or at once where there is none."""
        while self._working is not None and not self._working.done():
            if await self.drained(kinds):
                return
            await asyncio.sleep(_DRAINED_POLL_S)

    def may_judge(self) -> bool:
        """Whether this process may tell which workers are lost."""
        return self.runtime is None or self.runtime.worker.may_judge

    def wake(self, channel: str, payload: str | None = None) -> None:
        """Look now at what a hint tells of, if there is a worker; None: at all of the channel."""
        if self.runtime is not None:
            self.runtime.wake(channel, payload)


async def _run(runtime: "Runtime") -> "WorkerSummary":
    """Run a worker; of a group of one failure, that failure is raised.

    One that fails once it works is logged too: an application that only starts it does not wait.
    """
    try:
        return await runtime.run()
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - raised below
        failure = _cause_of(error)
    if runtime.registered.is_set():
        worker_id = runtime.worker.id
        told = description_of(failure)
        log.error(
            "worker failed: %s",
            Facts(f"worker {worker_id}", told),
            exc_info=failure,
            extra={"component": "worker", "worker": worker_id, "error": told},
        )
    raise failure


def _cause_of(error: BaseException) -> BaseException:
    # One that ends whoever waits, such as GeneratorExit, stays inside.
    causes = list(leaves_of(error))
    if len(causes) == 1 and isinstance(causes[0], Exception):
        return causes[0]
    return error
