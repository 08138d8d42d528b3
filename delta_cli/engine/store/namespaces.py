"""The settings of namespaces, which the database keeps: set all, change some, list them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, Final

from psycopg.rows import class_row

from delta_cli.engine.database import Connection
from delta_cli.engine.errors import ConfigError, InvalidObject
from delta_cli.engine.model.fleet import NamespaceRow
from delta_cli.engine.queries import namespace as queries
from delta_cli.engine.queries import resource as resource_queries
from delta_cli.engine.settings import NamespaceConfig, check_durations, check_namespace

_SETTINGS: Final = tuple(field.name for field in fields(NamespaceConfig))
_LIMITS: Final = ("max_workers", "fleet_max_workers")


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that somebody had set, and what it was set to instead."""

    setting: str
    before: Any
    after: Any


async def set_namespace(
    connection: Connection, name: str, config: NamespaceConfig
) -> list[SettingChange]:
    """Set all settings of a namespace, which is made if it is not known. Raises ConfigError.

    Returns what differs from the settings that somebody gave it before.
    """
    _check(name, config)
    await _make_known(connection, name)
    return await _set(connection, name, config)


async def change_namespace(
    connection: Connection, name: str, settings: Mapping[str, Any]
) -> list[SettingChange]:
    """Set some settings of a namespace; the others stay. Raises ConfigError."""
    _check_settings(settings)
    _check_name(name)
    async with connection.transaction():
        await _make_known(connection, name)
        cursor = await connection.execute(queries.HOLD, {"name": name})
        row = await cursor.fetchone()
        assert row is not None
        config = replace(NamespaceConfig(*row), **settings)
        _check(name, config)
        return await _set(connection, name, config)


async def list_namespaces(connection: Connection, name: str | None = None) -> list[NamespaceRow]:
    """Every namespace, or the one of this name."""
    async with connection.cursor(row_factory=class_row(NamespaceRow)) as cursor:
        await cursor.execute(queries.LIST, {"name": name})
        return await cursor.fetchall()


async def _make_known(connection: Connection, name: str) -> None:
    await connection.execute(resource_queries.ENSURE_NAMESPACES, {"namespaces": [name]})


async def _set(connection: Connection, name: str, config: NamespaceConfig) -> list[SettingChange]:
    # A TTL of zero switches it off, as none does.
    values = [config.expiry_ttl or None, *(getattr(config, field) for field in _SETTINGS[1:])]
    given = dict(zip(_SETTINGS, values, strict=True))
    cursor = await connection.execute(queries.SET, {"name": name, **given})
    row = await cursor.fetchone()
    if row is None:
        return []
    was_configured, *before = row
    return [
        SettingChange(setting, old, new)
        for (setting, new), old in zip(given.items(), before, strict=True)
        if was_configured and old != new
    ]


def _check_settings(settings: Mapping[str, Any]) -> None:
    for setting, value in settings.items():
        if setting not in _SETTINGS:
            raise ConfigError(
                f"a namespace has no setting {setting!r}", hint=f"it has: {', '.join(_SETTINGS)}"
            )
        if setting not in _LIMITS and not isinstance(value, timedelta | None):
            raise ConfigError(f"{setting} must be a timedelta or None, got {value!r}")


def _check(name: str, config: NamespaceConfig) -> None:
    _check_name(name)
    check_durations(
        config, of=f" of namespace {name!r}", way_out="leave it out, or clear it with none"
    )


def _check_name(name: str) -> None:
    try:
        check_namespace(name)
    except InvalidObject as error:
        raise ConfigError(error.message, hint=error.hint) from None
