"""Where each setting comes from: flag, then environment, then `delta.toml` or `[tool.delta]`.

Resolving imports nothing of the engine that is heavy; the database's address is read when needed.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from delta_cli.engine.errors import ConfigError

if TYPE_CHECKING:
    from delta_cli.engine.dsn import DsnSource

#: The files that may hold settings, the first that has them counts; and the table within.
FILES: Final = (("delta.toml", ()), ("pyproject.toml", ("tool", "delta")))
KEYS: Final = ("app", "dsn", "schema")
DEFAULT_SCHEMA: Final = "delta"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value (None: not set) and where it came from."""

    value: str | None
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What all commands share. `file`: the configuration file, None when there is none."""

    app: Setting
    schema: Setting
    given_dsn: str | None
    file_dsn: str | None
    file: Path | None

    def database(self) -> "DsnSource":
        """Which database to use. Raises ConfigError for an address that libpq cannot read."""
        from delta_cli.engine.dsn import resolve_dsn

        return resolve_dsn(self.given_dsn, os.environ, self.file_dsn)

    @property
    def schema_name(self) -> str:
        """The schema that holds Delta's tables."""
        return self.schema.value or DEFAULT_SCHEMA


def resolve_settings(
    *,
    dsn: str | None,
    app: str | None,
    schema: str | None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Flags, environment and the file of the current folder, merged. Empty strings do not count."""
    environ = os.environ if environ is None else environ
    file, values = read_file(folder or Path.cwd())
    return Settings(
        app=_first((app, "--app"), (environ.get("DELTA_APP"), "DELTA_APP"), (values, file, "app")),
        schema=_first(
            (schema, "--schema"),
            (environ.get("DELTA_SCHEMA"), "DELTA_SCHEMA"),
            (values, file, "schema"),
        ),
        given_dsn=dsn,
        file_dsn=values.get("dsn"),
        file=file,
    )


def read_file(folder: Path) -> tuple[Path | None, dict[str, str]]:
    """The settings of a folder's configuration file. Raises ConfigError for what is wrong in it."""
    for name, path in FILES:
        file = folder / name
        table = _table(file, path)
        if table is not None:
            return file, _checked(file, table)
    return None, {}


def _table(file: Path, path: tuple[str, ...]) -> Any | None:
    try:
        content: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        if path:
            return None  # somebody else's pyproject.toml is not ours to complain about
        raise ConfigError(f"{file} cannot be read: {error}", hint="mend or remove it") from error
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _checked(file: Path, table: Any) -> dict[str, str]:
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: the settings of Delta must be a table, got {table!r}")
    for key, value in table.items():
        if key not in KEYS:
            raise ConfigError(
                f"{file}: unknown setting {key!r}", hint=f"settings: {', '.join(KEYS)}"
            )
        if not isinstance(value, str):
            raise ConfigError(f"{file}: {key} must be a string, got {value!r}")
    return table


def _first(
    flag: tuple[str | None, str],
    environment: tuple[str | None, str],
    configured: tuple[Mapping[str, str], Path | None, str],
) -> Setting:
    for value, origin in (flag, environment):
        if value:
            return Setting(value, origin)
    values, file, key = configured
    value = values.get(key)
    return Setting(value, str(file)) if value else Setting(None, "default")
