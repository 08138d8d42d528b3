"""Where each setting comes from: flag, then environment, then `delta.toml` or `[tool.delta]`.

The file may hold profiles. One that --profile names counts like flags, one that DELTA_PROFILE names
comes after the other variables of Delta, and one that the file names comes before the file's own
settings. Resolving imports nothing of the engine that is heavy.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from delta_cli.engine.errors import ConfigError, StateConflict

if TYPE_CHECKING:
    from delta_cli.engine.dsn import DsnSource

#: The files that may hold settings, the first that has them counts; and the table within.
FILES: Final = (("delta.toml", ()), ("pyproject.toml", ("tool", "delta")))
KEYS: Final = ("app", "dsn", "schema")
#: What a profile may hold beside these.
_SWITCHES: Final = ("read_only", "protected")
DEFAULT_SCHEMA: Final = "delta"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value (None: not set) and where it came from."""

    value: str | None
    origin: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A set of settings under one name. `read_only`: nothing may be changed with it; `protected`:
    changes are asked for by the profile's name.
    """

    name: str
    values: Mapping[str, str]
    read_only: bool = False
    protected: bool = False


@dataclass(frozen=True, slots=True)
class FileSettings:
    """What a configuration file holds; `file` None: there is none."""

    file: Path | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    default_profile: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What all commands share. `file`: the configuration file, None when there is none."""

    app: Setting
    schema: Setting
    profile: Setting
    given_dsn: Setting
    file_dsn: str | None
    file: Path | None
    read_only: bool = False
    protected: bool = False

    def database(self) -> "DsnSource":
        """Which database to use. Raises ConfigError for an address that libpq cannot read."""
        from delta_cli.engine.dsn import DsnSource, check_dsn, resolve_dsn

        given = self.given_dsn
        if given.value is not None:
            return DsnSource(check_dsn(given.value, given.origin), given.origin)
        return resolve_dsn(None, os.environ, self.file_dsn)

    def must_write(self, what: str = "this", way_out: str = "") -> None:
        """Raise StateConflict where nothing may be changed. `way_out`: to do without `what`."""
        if self.read_only:
            raise StateConflict(
                f"profile {self.profile.value!r} is read only, and {what} would change something",
                hint=f"{way_out and f'{way_out}, or '}choose another with --profile",
            )

    @property
    def schema_name(self) -> str:
        """The schema that holds Delta's tables."""
        return self.schema.value or DEFAULT_SCHEMA


def resolve_settings(
    *,
    dsn: str | None,
    app: str | None,
    schema: str | None,
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Flags, environment and the file of the current folder, merged. Empty strings do not count.

    Raises ConfigError for a file that is wrong, and for a profile that it does not hold.
    """
    environ = os.environ if environ is None else environ
    found = read_file(folder or Path.cwd())
    chosen = _first(
        (profile, "--profile"),
        (environ.get("DELTA_PROFILE"), "DELTA_PROFILE"),
        (found.default_profile, str(found.file)),
    )
    used = _profile(found, chosen)

    values = used.values if used else {}
    of_profile = f"profile {chosen.value}"

    def setting(key: str, flag: str | None) -> Setting:
        variable = f"DELTA_{key.upper()}"
        own = ((flag, f"--{key}"), (environ.get(variable), variable))
        profiled = (values.get(key), of_profile)
        last = (found.values.get(key), str(found.file))
        if chosen.origin == "--profile":
            return _first(own[0], profiled, own[1], last)
        return _first(*own, profiled, last)

    # libpq's variables come between: a profile that the file alone names comes after them.
    named = values.get("dsn") if chosen.origin != str(found.file) else None
    candidates = [(dsn, "--dsn"), (environ.get("DELTA_DSN"), "DELTA_DSN"), (named, of_profile)]
    if chosen.origin == "--profile":
        candidates = [candidates[0], candidates[2]]
    return Settings(
        app=setting("app", app),
        schema=setting("schema", schema),
        profile=chosen,
        given_dsn=_first(*candidates),
        file_dsn=values.get("dsn") or found.values.get("dsn"),
        file=found.file,
        read_only=used is not None and used.read_only,
        protected=used is not None and used.protected,
    )


def _profile(found: FileSettings, chosen: Setting) -> Profile | None:
    if chosen.value is None:
        return None
    if chosen.value not in found.profiles:
        known = ", ".join(found.profiles) or "none"
        raise ConfigError(
            f"there is no profile {chosen.value!r} ({chosen.origin})",
            hint=f"profiles of {found.file or 'delta.toml'}: {known}",
        )
    return found.profiles[chosen.value]


def read_file(folder: Path) -> FileSettings:
    """The settings of a folder's configuration file. Raises ConfigError for what is wrong in it."""
    for name, path in FILES:
        file = folder / name
        table = _table(file, path)
        if table is not None:
            return _checked(file, table)
    return FileSettings()


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


def _checked(file: Path, table: Any) -> FileSettings:
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: the settings of Delta must be a table, got {table!r}")
    left = dict(table)
    profiles = left.pop("profiles", {})
    default = left.pop("profile", None)
    if default is not None and not isinstance(default, str):
        raise ConfigError(f"{file}: profile must be a string, got {default!r}")
    if not isinstance(profiles, dict):
        raise ConfigError(f"{file}: profiles must be tables, got {profiles!r}")
    return FileSettings(
        file,
        _strings(file, left, (*KEYS, "profile", "profiles")),
        {name: _checked_profile(file, name, one) for name, one in profiles.items()},
        default,
    )


def _checked_profile(file: Path, name: str, table: Any) -> Profile:
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: profiles.{name} must be a table, got {table!r}")
    left = dict(table)
    switches = {key: left.pop(key, False) for key in _SWITCHES}
    for key, value in switches.items():
        if not isinstance(value, bool):
            raise ConfigError(f"{file}: profiles.{name}.{key} must be true or false, got {value!r}")
    return Profile(name, _strings(file, left, (*KEYS, *_SWITCHES)), **switches)


def _strings(file: Path, table: Mapping[str, Any], known: Sequence[str]) -> Mapping[str, str]:
    for key, value in table.items():
        if key not in KEYS:
            raise ConfigError(
                f"{file}: unknown setting {key!r}", hint=f"settings: {', '.join(known)}"
            )
        if not isinstance(value, str):
            raise ConfigError(f"{file}: {key} must be a string, got {value!r}")
    return table


def _first(*candidates: tuple[str | None, str]) -> Setting:
    for value, origin in candidates:
        if value:
            return Setting(value, origin)
    return Setting(None, "default")
