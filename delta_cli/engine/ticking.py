"""The ticks of one process: the built-in ones and the application's, on one session of locks."""

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Final

from delta_cli.engine.config import Config
from delta_cli.engine.database import AWAY, Database
from delta_cli.engine.errors import NotFound
from delta_cli.engine.hints import HintSender
from delta_cli.engine.locks import PostgresAdvisoryLocker
from delta_cli.engine.model.tick import TickOutcome
from delta_cli.engine.store import ticks
from delta_cli.engine.store.ticks import TickSettings
from delta_cli.engine.tick_names import BUILT_IN_TICKS
from delta_cli.engine.ticks.base import PassPlace
from delta_cli.engine.ticks.clean import clean_service
from delta_cli.engine.ticks.expire import expire_service
from delta_cli.engine.ticks.inform import inform_service
from delta_cli.engine.ticks.rebalance import rebalance_service
from delta_cli.engine.ticks.records import DatabaseClock
from delta_cli.engine.ticks.rescue import rescue_service
from delta_cli.engine.ticks.service import TickService

_BUILT_IN: Final = (
    inform_service,
    rescue_service,
    expire_service,
    clean_service,
    rebalance_service,
)


class Ticks:
    """Every service that this process may run, attached to one database while it is open.

    `wake_here` is told the channel when a pass has moved rows; other processes get hints.
    `may_judge`: whether this process may tell which workers are lost.
    """

    def __init__(
        self,
        database: Database,
        config: Config,
        *,
        hints: HintSender,
        wake_here: Callable[[str], None],
        may_judge: Callable[[], bool],
    ) -> None:
        self._database: Database = database
        self._hints: HintSender = hints
        self._wake_here: Callable[[str], None] = wake_here
        of_locks = database
        if config.direct_dsn is not None:
            of_locks = Database(config.direct_dsn, schema=config.schema)
        self._clock: DatabaseClock = DatabaseClock()
        self._holder: str = f"{socket.gethostname()}:{os.getpid()}"
        self._locker: PostgresAdvisoryLocker = PostgresAdvisoryLocker(
            of_locks, lost_after=config.worker_lost_after
        )
        place = PassPlace(database, config, wake=self._wake, may_judge=may_judge)
        self._services: dict[str, TickService] = {
            service.name: service
            for service in (*(make(place) for make in _BUILT_IN), *config.ticks)
        }

    def attached(self) -> list[TickService]:
        """Every service, ready to run. Raises ConfigError if one runs for another client."""
        return [self._attach(service) for service in self._services.values()]

    async def tick(self, name: str, *, actor: str | None = None) -> TickOutcome:
        """Force one tick now. Raises NotFound for one that this process does not have."""
        return await self._attach(self._service(name)).tick(force=True, actor=actor)

    def settings(self, name: str) -> TickSettings:
        """What this process says of a tick. Raises NotFound for one that it does not have."""
        service = self._attach(self._service(name))
        return TickSettings(name, service.interval.total_seconds(), service.lock_id)

    @property
    def built_in(self) -> list[TickSettings]:
        """What this process says of the ticks that every Delta has."""
        return [self.settings(name) for name in BUILT_IN_TICKS]

    def _service(self, name: str) -> TickService:
        service = self._services.get(name)
        if service is None:
            raise NotFound(
                f"there is no tick {name!r} in this process",
                hint=f"ticks here: {', '.join(self._services)}; "
                "one of an application needs its Config(ticks=[...])",
            )
        return service

    async def close(self) -> None:
        """Give the locks back, and leave the services to other clients."""
        self._detach()
        await self._locker.close()

    def forget(self) -> None:
        """As `close()`, once the event loop of these was closed."""
        self._detach()
        self._locker.forget()

    def _detach(self) -> None:
        for service in self._services.values():
            service.detach(self._database)

    def _attach(self, service: TickService) -> TickService:
        service.attach(self._database, self._locker, holder=self._holder, clock=self._clock)
        return service

    async def _wake(self, channel: str) -> None:
        self._wake_here(channel)
        # What the pass has done stays done, whether or not others hear of it at once.
        with contextlib.suppress(*AWAY):
            async with self._database.connection() as connection:
                for kind in await ticks.known_kinds(connection):
                    self._hints.send(channel, kind)
