"""One run of a worker process, from its start to its exit status."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from delta_cli.cli import output
from delta_cli.cli.exit_codes import ExitCode
from delta_cli.cli.failed_since import any_failed_since
from delta_cli.cli.metrics import metrics_server
from delta_cli.cli.output import Format
from delta_cli.cli.progress import progress_of_rest
from delta_cli.cli.session import open_client
from delta_cli.cli.settings import Settings
from delta_cli.cli.stopping import StopSignals, end_within
from delta_cli.cli.supervised import Supervised
from delta_cli.cli.talk import note
from delta_cli.engine.errors import ConnectionFailed
from delta_cli.engine.states import ResourceState

if TYPE_CHECKING:
    from delta_cli.engine.client import Client
    from delta_cli.engine.config import Config
    from delta_cli.engine.model.status import Status
    from delta_cli.engine.runtime import WorkerSummary

log = logging.getLogger(__name__)

_LOOK_INTERVAL_S: Final = 0.5
#: How long threads and exit handlers may take at the end.
_PATIENCE_S: Final = 5.0
_IMPATIENCE_S: Final = 0.5


class WorkerRun:
    """One run of a worker, from its start to its exit status."""

    def __init__(
        self,
        config: "Config",
        namespaces: Sequence[str] | None,
        concurrency: int | None,
        supervised: Supervised | None = None,
        metrics_port: int | None = None,
    ) -> None:
        self._metrics_port: int | None = metrics_port
        self._config: Config = config
        self._namespaces: Sequence[str] | None = namespaces
        self._concurrency: int | None = concurrency
        self._supervised: Supervised | None = supervised
        # The supervisor tells of signals and of what came of them, once for all.
        self._tell: Callable[[str], None] = note if supervised is None else log.debug
        self._form: Format | None = None
        self._begins: bool = False
        self._runs: bool = False
        self._signals: StopSignals = StopSignals(self._on_first_signal, self._on_second_signal)
        self._task: asyncio.Task[Any] | None = None

    async def run(self, settings: Settings, form: Format | None, *, drain: bool) -> ExitCode:
        """Work until a signal, or until nothing is due; then print what was done, if asked to."""
        self._form = form
        self._signals.listen()
        if self._supervised is not None:
            self._supervised.watch(self._on_supervisor_lost)
        self._task = asyncio.current_task()
        try:
            code = await self._connect_and_work(settings, drain=drain)
        except BaseException as error:
            if not (isinstance(error, asyncio.CancelledError) and self._signals.first.is_set()):
                end_within(_PATIENCE_S, ExitCode.FAILED)
                raise
            code = self._signals.exit_code
        hard = code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED)
        end_within(_IMPATIENCE_S if hard else _PATIENCE_S, code)
        return code

    async def _connect_and_work(self, settings: Settings, *, drain: bool) -> ExitCode:
        announce = self._supervised is None
        async with (
            open_client(settings, self._config, announce=announce, creates=True) as client,
            metrics_server(client, self._metrics_port),
        ):
            self._limit(client)
            before = await client.status()
            began = before.at
            self._begins = True
            await client.start(namespaces=self._namespaces)
            self._runs = True
            if self._supervised is not None:
                self._supervised.report_start(began)
            if drain:
                await self._until_any(
                    self._drain(client, before), self._signals.first.wait(), client.wait()
                )
            else:
                await self._until_any(self._signals.first.wait(), client.wait())
            return await self._stop(client, began, drain=drain)

    def _limit(self, client: "Client") -> None:
        # After the client has registered its kinds: the limit is this process's alone.
        if self._concurrency is not None:
            for kind in client.controllers:
                object_type = client.controllers.object_type(kind)
                object_type.settings = replace(object_type.settings, parallelism=self._concurrency)

    async def _stop(self, client: "Client", began: datetime, *, drain: bool) -> ExitCode:
        stopping = asyncio.create_task(client.stop())
        await self._until_any(asyncio.wait([stopping]), self._signals.second.wait())
        if not stopping.done():
            await client.stop(hard=True)
        summary = await stopping
        if self._supervised is not None and summary is not None:
            self._supervised.report_end(summary)
        if self._form is not None and summary is not None:
            output.write_object(_drained_record(summary), self._form)
        if summary is not None and not summary.drained:
            self._tell(_unfinished(summary))
            return self._signals.exit_code
        if not drain:
            return ExitCode.DONE
        if self._signals.first.is_set():
            return self._signals.exit_code  # asked to end before nothing was due
        some_failed = summary is not None and summary.counts.failed > 0
        if self._supervised is not None and self._supervised.drain_began is not None:
            # What failed in the process that this one replaces counts too.
            some_failed, began = True, self._supervised.drain_began
        if some_failed and await any_failed_since(
            client, began, client.controllers, self._namespaces
        ):
            return ExitCode.SOME_FAILED
        return ExitCode.DONE

    async def _drain(self, client: "Client", before: "Status") -> None:
        """Until nothing is due, telling how far it is; the supervisor shows it, if there is one."""
        supervised = self._supervised
        with (
            progress_of_rest("working", self._form or Format.TABLE)
            if supervised is None
            else nullcontext(supervised.report_left)
        ) as tell_left:
            tell_left(self._left(client, before))
            draining = asyncio.create_task(client.wait_until_drained())
            while not draining.done():
                await asyncio.wait([draining], timeout=_LOOK_INTERVAL_S)
                with suppress(ConnectionFailed):  # the worker waits for the database, and says so
                    tell_left(self._left(client, await client.status()))
            await draining

    def _left(self, client: "Client", status: "Status") -> int:
        return sum(
            kind.due + kind.states.get(ResourceState.PENDING, 0)
            for kind in status.kinds
            if kind.kind in client.controllers
            and (self._namespaces is None or kind.namespace in self._namespaces)
        )

    async def _until_any(self, *waits: Coroutine[Any, Any, Any]) -> None:
        """Until the first of them ends; raises what it raised."""
        tasks = [asyncio.create_task(wait) for wait in waits]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _on_first_signal(self) -> None:
        if not self._begins:
            self._cancel()
            return
        self._tell(
            "draining: running work is finished, nothing new begins; once more to stop at once"
        )

    def _on_second_signal(self) -> None:
        self._tell("stopping at once: running work is cancelled and given back")
        if not self._runs:
            self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _on_supervisor_lost(self) -> None:
        log.warning("supervisor lost", extra={"component": "worker"})
        self._signals.drain()


def _unfinished(summary: "WorkerSummary") -> str:
    given_back = f"{summary.returned} resources were given back unfinished"
    if not summary.stuck_threads and not summary.stuck_works:
        return given_back
    return (
        f"{given_back}; works that still run: {summary.stuck_works} async, "
        f"{summary.stuck_threads} in threads"
    )


def _drained_record(summary: "WorkerSummary") -> dict[str, int]:
    counts = summary.counts
    return {
        "synced": counts.synced,
        "failed": counts.failed,
        "deleted": counts.deleted,
        "returned": summary.returned,
    }
