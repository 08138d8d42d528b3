"""Make an application's kinds and namespaces known to the database."""

import logging
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from delta_cli.engine.controller import Controllers
from delta_cli.engine.database import Connection
from delta_cli.engine.model.fleet import ControllerRow
from delta_cli.engine.queries import controller as controller_queries
from delta_cli.engine.settings import NamespaceConfig
from delta_cli.engine.store import maintenance, namespaces
from delta_cli.engine.store.namespaces import SettingChange

log = logging.getLogger(__name__)

_ADOPT_BATCH = 1_000


async def register_namespace(connection: Connection, name: str, config: NamespaceConfig) -> None:
    """Keep the settings of one namespace; the last start wins, and says what it replaces."""
    for change in await namespaces.set_namespace(connection, name, config):
        _warn(change, namespace=name)


async def register_controllers(
    connection: Connection,
    controllers: Controllers,
    *,
    default_interval: timedelta,
    namespaces: Collection[str] = (),
) -> int:
    """Make kinds known and adopt what waited for them. Returns how many were adopted.

    `namespaces`: those of the application; one that is new has all of its kinds listed at once.
    """
    for kind in controllers:
        given = _given(controllers, kind, default_interval) | {"namespaces": list(namespaces)}
        await _register_controller(connection, given)
    adopted = 0
    while count := await maintenance.adopt(connection, batch=_ADOPT_BATCH):
        adopted += count
    return adopted


def _given(controllers: Controllers, kind: str, default_interval: timedelta) -> dict[str, Any]:
    """The settings of one kind, as columns."""
    object_type = controllers.object_type(kind)
    settings = object_type.settings
    own = settings.inform_interval
    interval = default_interval if own is None else own
    informs = controllers.controller(kind).has_informer and interval > timedelta(0)
    schema = object_type.json_schema()
    return {
        "kind": kind,
        "inform_interval": interval if informs else None,
        "parallelism": settings.parallelism,
        "fleet_parallelism": settings.fleet_parallelism,
        "object_schema": None if schema is None else Jsonb(schema),
    }


async def _register_controller(connection: Connection, given: dict[str, Any]) -> None:
    """Make one kind known; the last start wins, and says which limit of the fleet it replaces."""
    if await (await connection.execute(controller_queries.REGISTER, given)).fetchone():
        return
    row = await (await connection.execute(controller_queries.SET, given)).fetchone()
    limit = given["fleet_parallelism"]
    before = limit if row is None else row[0]
    if before != limit:
        _warn(SettingChange("fleet_parallelism", before, limit), kind=given["kind"])


def _warn(change: SettingChange, **of: str) -> None:
    """Two applications that differ would replace each other's settings for ever, unnoticed."""
    fields = {"setting": change.setting, "before": change.before, "after": change.after}
    log.warning("setting replaced", extra={"component": "registry"} | of | fields)


async def list_controllers(connection: Connection) -> list[ControllerRow]:
    """Every kind that has ever had a controller."""
    async with connection.cursor(row_factory=class_row(ControllerRow)) as cursor:
        await cursor.execute(controller_queries.LIST)
        return await cursor.fetchall()
