"""Delta keeps records in step with systems outside, on Postgres.

These are the public names; everything else may change. They load when first used, so that a tool
that needs one of them does not pay for all.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from delta_cli.engine.backoff import ExponentialBackoff as ExponentialBackoff
    from delta_cli.engine.backoff import RetryPolicy as RetryPolicy
    from delta_cli.engine.changes import Change as Change
    from delta_cli.engine.client import Client as Client
    from delta_cli.engine.config import Config as Config
    from delta_cli.engine.context import client_from_context as client_from_context
    from delta_cli.engine.context import client_in_context as client_in_context
    from delta_cli.engine.control import ControlPlane as ControlPlane
    from delta_cli.engine.controller import Controller as Controller
    from delta_cli.engine.controller import Controllers as Controllers
    from delta_cli.engine.errors import ConfigError as ConfigError
    from delta_cli.engine.errors import ConnectionFailed as ConnectionFailed
    from delta_cli.engine.errors import DeltaError as DeltaError
    from delta_cli.engine.errors import EmbeddedError as EmbeddedError
    from delta_cli.engine.errors import InvalidObject as InvalidObject
    from delta_cli.engine.errors import LockLost as LockLost
    from delta_cli.engine.errors import MigrationEdited as MigrationEdited
    from delta_cli.engine.errors import MigrationPartial as MigrationPartial
    from delta_cli.engine.errors import NotFound as NotFound
    from delta_cli.engine.errors import Permanent as Permanent
    from delta_cli.engine.errors import ResourceDelete as ResourceDelete
    from delta_cli.engine.errors import SchemaBehind as SchemaBehind
    from delta_cli.engine.errors import SchemaError as SchemaError
    from delta_cli.engine.errors import SchemaForeign as SchemaForeign
    from delta_cli.engine.errors import SchemaNewer as SchemaNewer
    from delta_cli.engine.errors import Snooze as Snooze
    from delta_cli.engine.errors import StateConflict as StateConflict
    from delta_cli.engine.errors import WaitTimeout as WaitTimeout
    from delta_cli.engine.events import Subscription as Subscription
    from delta_cli.engine.locks import AdvisoryLocker as AdvisoryLocker
    from delta_cli.engine.model.event import Event as Event
    from delta_cli.engine.model.event import EventCategory as EventCategory
    from delta_cli.engine.model.event import EventGap as EventGap
    from delta_cli.engine.model.event import SubscriptionRow as SubscriptionRow
    from delta_cli.engine.model.fleet import ControllerRow as ControllerRow
    from delta_cli.engine.model.fleet import NamespaceRow as NamespaceRow
    from delta_cli.engine.model.fleet import QuotaRow as QuotaRow
    from delta_cli.engine.model.fleet import WorkerRow as WorkerRow
    from delta_cli.engine.model.inform import InformCounts as InformCounts
    from delta_cli.engine.model.inform import InformResult as InformResult
    from delta_cli.engine.model.inform import InformRun as InformRun
    from delta_cli.engine.model.inform import InformRunState as InformRunState
    from delta_cli.engine.model.pause import Pause as Pause
    from delta_cli.engine.model.pause import PauseScope as PauseScope
    from delta_cli.engine.model.resource_row import AttemptError as AttemptError
    from delta_cli.engine.model.resource_row import ResourceRow as ResourceRow
    from delta_cli.engine.model.status import Status as Status
    from delta_cli.engine.model.tick import SkipReason as SkipReason
    from delta_cli.engine.model.tick import TickOutcome as TickOutcome
    from delta_cli.engine.model.tick import TickRow as TickRow
    from delta_cli.engine.model.tick import TickRun as TickRun
    from delta_cli.engine.model.tick import WorkerHealth as WorkerHealth
    from delta_cli.engine.resource import Resource as Resource
    from delta_cli.engine.runtime import WorkerSummary as WorkerSummary
    from delta_cli.engine.settings import InformOptions as InformOptions
    from delta_cli.engine.settings import InformOpts as InformOpts
    from delta_cli.engine.settings import NamespaceConfig as NamespaceConfig
    from delta_cli.engine.settings import ObjectSettings as ObjectSettings
    from delta_cli.engine.states import ResourceState as ResourceState
    from delta_cli.engine.store.read import ResourceFilter as ResourceFilter
    from delta_cli.engine.store.repair import Repair as Repair
    from delta_cli.engine.sync_client import SyncClient as SyncClient
    from delta_cli.engine.ticks.base import component_logger as component_logger
    from delta_cli.engine.ticks.passes import QuotaMetricsRefresher as QuotaMetricsRefresher
    from delta_cli.engine.ticks.passes import handle_pass_result as handle_pass_result
    from delta_cli.engine.ticks.service import TickService as TickService

_HOMES = {
    "backoff": ("ExponentialBackoff", "RetryPolicy"),
    "changes": ("Change",),
    "client": ("Client",),
    "config": ("Config",),
    "context": ("client_from_context", "client_in_context"),
    "control": ("ControlPlane",),
    "controller": ("Controller", "Controllers"),
    "errors": (
        "ConfigError",
        "ConnectionFailed",
        "DeltaError",
        "EmbeddedError",
        "InvalidObject",
        "LockLost",
        "MigrationEdited",
        "MigrationPartial",
        "NotFound",
        "Permanent",
        "ResourceDelete",
        "SchemaBehind",
        "SchemaError",
        "SchemaForeign",
        "SchemaNewer",
        "Snooze",
        "StateConflict",
        "WaitTimeout",
    ),
    "events": ("Subscription",),
    "locks": ("AdvisoryLocker",),
    "model.event": ("Event", "EventCategory", "EventGap", "SubscriptionRow"),
    "model.fleet": ("ControllerRow", "NamespaceRow", "QuotaRow", "WorkerRow"),
    "model.inform": ("InformCounts", "InformResult", "InformRun", "InformRunState"),
    "model.pause": ("Pause", "PauseScope"),
    "model.resource_row": ("AttemptError", "ResourceRow"),
    "model.status": ("Status",),
    "model.tick": ("SkipReason", "TickOutcome", "TickRow", "TickRun", "WorkerHealth"),
    "resource": ("Resource",),
    "runtime": ("WorkerSummary",),
    "settings": ("InformOptions", "InformOpts", "NamespaceConfig", "ObjectSettings"),
    "states": ("ResourceState",),
    "store.read": ("ResourceFilter",),
    "store.repair": ("Repair",),
    "sync_client": ("SyncClient",),
    "ticks.base": ("component_logger",),
    "ticks.passes": ("QuotaMetricsRefresher", "handle_pass_result"),
    "ticks.service": ("TickService",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

# A list that is computed is one all the same.
__all__ = sorted(_HOME_OF)  # noqa: PLE0605  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        versions = import_module("delta_cli.engine.versions")
        return versions.installed_version("deltaloop") or "0+unknown"
    if name not in _HOME_OF:
        raise AttributeError(f"module 'delta_cli' has no attribute {name!r}")
    value = getattr(import_module(f"delta_cli.engine.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
