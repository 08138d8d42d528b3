"""Make an application's kinds and namespaces known to the database."""

from datetime import timedelta

from psycopg.types.json import Jsonb

from delta_cli.engine.controller import Controllers
from delta_cli.engine.database import Connection
from delta_cli.engine.queries import controller as controller_queries
from delta_cli.engine.queries import namespace as namespace_queries
from delta_cli.engine.settings import NamespaceConfig
from delta_cli.engine.store import maintenance

_ADOPT_BATCH = 1_000


async def register_namespace(connection: Connection, name: str, config: NamespaceConfig) -> None:
    """Keep the settings of one namespace; the last start wins."""
    await connection.execute(
        namespace_queries.REGISTER,
        {
            "name": name,
            "expiry_ttl": config.expiry_ttl or None,
            "max_workers": config.max_workers,
            "fleet_max_workers": config.fleet_max_workers,
            "synced_retention": config.synced_retention,
            "degraded_retention": config.degraded_retention,
            "deleted_retention": config.deleted_retention,
        },
    )


async def register_controllers(
    connection: Connection, controllers: Controllers, *, default_interval: timedelta
) -> int:
    """Make kinds known and adopt what waited for them. Returns how many were adopted."""
    for kind in controllers:
        object_type = controllers.object_type(kind)
        settings = object_type.settings
        own = settings.inform_interval
        interval = default_interval if own is None else own
        informs = controllers.controller(kind).has_informer and interval > timedelta(0)
        schema = object_type.json_schema()
        await connection.execute(
            controller_queries.REGISTER,
            {
                "kind": kind,
                "inform_interval": interval if informs else None,
                "parallelism": settings.parallelism,
                "fleet_parallelism": settings.fleet_parallelism,
                "object_schema": None if schema is None else Jsonb(schema),
            },
        )
    adopted = 0
    while count := await maintenance.adopt(connection, batch=_ADOPT_BATCH):
        adopted += count
    return adopted


async def max_workers_by_namespace(connection: Connection) -> dict[str, int]:
    """The limit per process of each namespace that has one."""
    cursor = await connection.execute(namespace_queries.LIMITS)
    return dict(await cursor.fetchall())
