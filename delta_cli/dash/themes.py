"""The themes that one can choose: those of Textual, and one's own from TOML files.

A file `themes/NAME.toml` in the configuration folder is the theme NAME. A file that is wrong takes
only its own theme away, and is told.
"""

import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

from delta_cli.engine.errors import ConfigError

#: Colours of a theme; the first is the only one that it needs.
COLOURS: Final = (
    *("primary", "secondary", "warning", "error", "success", "accent"),
    *("foreground", "background", "surface", "panel", "boost"),
)
_KEYS: Final = (*COLOURS, "dark", "variables")


@dataclass(frozen=True, slots=True)
class Themes:
    """One's own themes by name, and what is wrong with the files of others."""

    own: Mapping[str, Theme] = field(default_factory=dict)
    broken: Mapping[str, ConfigError] = field(default_factory=dict)

    def check(self, name: str) -> None:
        """Raise ConfigError for a name that is no theme's; one whose file is wrong counts."""
        if name not in {*BUILTIN_THEMES, *self.own, *self.broken}:
            known = ", ".join([*self.own, *BUILTIN_THEMES])
            raise ConfigError(f"there is no theme {name!r}", hint=f"themes: {known}")


def themes_folder() -> Path:
    """Where one's own themes are: `delta/themes` in the folder for configuration."""
    if chosen := os.environ.get("XDG_CONFIG_HOME"):
        return Path(chosen) / "delta" / "themes"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "delta" / "themes"
    return Path.home() / ".config" / "delta" / "themes"


def read_themes(folder: Path) -> Themes:
    """All themes of a folder, which need not be there."""
    own: dict[str, Theme] = {}
    broken: dict[str, ConfigError] = {}
    for file in _files(folder):
        try:
            own[file.stem] = read_theme(file)
        except ConfigError as error:
            broken[file.stem] = error
    return Themes(own, broken)


def _files(folder: Path) -> Sequence[Path]:
    try:
        return sorted(folder.glob("*.toml"))
    except OSError:
        return []


def read_theme(file: Path) -> Theme:
    """The theme of one file. Raises ConfigError, which names file, setting and value."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}", hint="mend or remove it") from error
    if file.stem in BUILTIN_THEMES:
        raise ConfigError(f"{file}: there is a theme of this name", hint="rename the file")
    for key, value in table.items():
        _check(file, key, value)
    if "primary" not in table:
        raise ConfigError(f"{file}: primary is missing", hint='as in: primary = "#0178d4"')
    return _built(file, table)


def _check(file: Path, key: str, value: Any) -> None:
    if key not in _KEYS:
        raise ConfigError(f"{file}: unknown setting {key!r}", hint=f"settings: {', '.join(_KEYS)}")
    if key == "dark":
        if not isinstance(value, bool):
            raise ConfigError(f"{file}: dark must be true or false, got {value!r}")
    elif key == "variables":
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise ConfigError(f"{file}: variables must be a table of strings, got {value!r}")
    else:
        _check_colour(file, key, value)


def _check_colour(file: Path, key: str, value: Any) -> None:
    try:
        Color.parse(value if isinstance(value, str) else "")
    except ColorParseError:
        raise ConfigError(
            f"{file}: {key} must be a colour, got {value!r}", hint="as #0178d4 or orange"
        ) from None


def _built(file: Path, table: Mapping[str, Any]) -> Theme:
    theme = Theme(name=file.stem, **table)
    try:
        theme.to_color_system().generate()
    except Exception as error:
        raise ConfigError(f"{file} makes no theme: {error}", hint="mend or remove it") from error
    return theme
