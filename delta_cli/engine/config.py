"""The settings of an application: its controllers, namespaces and ticks, and its workers' ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from delta_cli.engine.controller import Controller, Controllers
from delta_cli.engine.dsn import check_dsn
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.field_types import check_fields
from delta_cli.engine.objects import DEFAULT_MAX_OBJECT_BYTES
from delta_cli.engine.schema.names import check_schema_name, default_schema
from delta_cli.engine.settings import (
    DEFAULT_MAX_ATTEMPTS,
    NamespaceConfig,
    check_durations,
    check_limit,
    check_namespace,
    check_not_negative,
    check_positive,
)
from delta_cli.engine.tick_names import check_ticks

if TYPE_CHECKING:  # services sit above; only their type is named here
    from delta_cli.engine.ticks.service import TickService


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything an application sets. Defaults are upstream's where upstream has the setting.

    `ticks` are the application's periodic services, beside the built-in ones. `schema` holds
    Delta's tables: by default what DELTA_SCHEMA says, else `delta`; what the command line is asked
    for beats it. `max_object_bytes` is the most that an object takes as JSON with its metadata; a
    larger one is refused. Timeouts of
    None, zero or less: no limit. `resource_inform_interval` zero or less: no informer runs on its
    own. Retentions negative: kept for ever. `controller_inform_timeout` is how long an informer may
    take to report its next object. `poll_only` does without LISTEN; `direct_dsn` is the server
    itself where the DSN leads to a pooler such as PgBouncer: what needs a session of its own,
    LISTEN and the locks of ticks, goes there; without it Delta polls. `notify` off: no hints are
    sent, workers find new rows by polling. Durations are at most 36,500 days.
    """

    controllers: Sequence[Controller[Any]] = ()
    namespaces: Mapping[str, NamespaceConfig] = field(default_factory=dict)
    ticks: Sequence["TickService"] = ()
    schema: str = field(default_factory=default_schema)
    direct_dsn: str | None = field(default=None, repr=False)  # it may hold a password

    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    max_object_bytes: int = DEFAULT_MAX_OBJECT_BYTES
    resource_work_timeout: timedelta | None = timedelta(minutes=1)
    controller_inform_timeout: timedelta | None = timedelta(minutes=1)
    resource_inform_interval: timedelta = timedelta(hours=1)
    resource_inform_jitter: timedelta = timedelta(minutes=1)

    maintenance_interval: timedelta = timedelta(minutes=1)
    rescue_interval: timedelta = timedelta(seconds=5)
    rebalance_interval: timedelta = timedelta(seconds=5)
    cleaner_interval: timedelta = timedelta(minutes=15)
    cleaner_timeout: timedelta = timedelta(seconds=30)
    synced_resource_retention_period: timedelta = timedelta(hours=24)
    degraded_resource_retention_period: timedelta = timedelta(hours=24)
    deleted_resource_retention_period: timedelta = timedelta(hours=24)
    event_retention_period: timedelta = timedelta(hours=72)

    poll_interval: timedelta = timedelta(seconds=1)
    poll_only: bool = False
    notify: bool = True
    heartbeat_interval: timedelta = timedelta(seconds=5)
    worker_lost_after: timedelta = timedelta(seconds=15)
    lease_grace: timedelta = timedelta(seconds=30)
    shutdown_timeout: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        check_fields(self)
        check_durations(self)
        check_schema_name(self.schema)
        Controllers(self.controllers)
        check_ticks(self.ticks, self.schema)
        if self.direct_dsn is not None:
            check_dsn(self.direct_dsn, "direct_dsn")
        for name in self.namespaces:
            check_namespace(name)
        check_limit("max_attempts", self.max_attempts)
        if self.max_object_bytes < 1:
            raise ConfigError(f"max_object_bytes must be 1 or more, got {self.max_object_bytes}")
        for name in _POSITIVE:
            check_positive(name, getattr(self, name))
        for name in _NOT_NEGATIVE:
            check_not_negative(name, getattr(self, name))
        if self.worker_lost_after < 2 * self.heartbeat_interval:
            raise ConfigError(
                f"worker_lost_after ({self.worker_lost_after}) must be at least twice "
                f"heartbeat_interval ({self.heartbeat_interval})"
            )


_POSITIVE = (
    "maintenance_interval",
    "rescue_interval",
    "rebalance_interval",
    "cleaner_interval",
    "cleaner_timeout",
    "poll_interval",
    "heartbeat_interval",
    "worker_lost_after",
)
_NOT_NEGATIVE = ("resource_inform_jitter", "lease_grace", "shutdown_timeout")


def limit_or_none(specific: timedelta | None, general: timedelta | None) -> timedelta | None:
    """A kind's timeout, or the general one where it inherits; None when there is no limit."""
    chosen = general if specific is None else specific
    return chosen if chosen is not None and chosen > timedelta(0) else None
