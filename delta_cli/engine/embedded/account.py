"""The system user that the server runs as. Postgres refuses to run as root, so root hands it to
the owner of the data, or else to an unprivileged user; everybody else runs it themselves.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delta_cli.engine.embedded.binaries import USE_A_DSN
from delta_cli.engine.errors import EmbeddedError

try:
    import pwd
except ImportError:  # Windows, which find_binaries() refuses before anything here is called
    pwd = None

SERVERS_OF_ROOT = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A system user; `foreign` when this process has to become it first, which only root can."""

    uid: int
    gid: int
    foreign: bool

    @property
    def name(self) -> str:
        """Its name, or its number where the system knows no name."""
        return _name_of(self.uid)

    def run(
        self, command: Sequence[str | Path], *, given: str = "", timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end as this user; its output is one text."""
        return subprocess.run(  # noqa: S603 - programs of the wheel, and sh with fixed words
            command,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            **self.process_options(),
        )

    def process_options(self) -> Mapping[str, Any]:
        """What subprocess needs, so that a process runs as this user and like on every machine."""
        # "/", because this user may not be able to enter the current folder.
        options: dict[str, Any] = {"cwd": "/", "env": _environment()}
        if self.foreign:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options

    def can_enter(self, folder: Path) -> bool:
        """Asked of the system as that user: modes alone do not tell of access lists and mounts."""
        return not self.foreign or self._passes("-x", folder)

    def can_execute(self, program: Path) -> bool:
        """Whether this user reaches the program through all the folders above it."""
        return not self.foreign or self._passes("-x", program)

    def _passes(self, test: str, path: Path) -> bool:
        return self.run(["/bin/sh", "-c", 'test "$1" "$2"', "sh", test, path]).returncode == 0

    def own(self, descriptor: int) -> None:
        """Give an open file or folder to this user."""
        if self.foreign:
            os.fchown(descriptor, self.uid, self.gid)


def account_for(folder: Path) -> Account:
    """Who serves this folder: this process's user; for root, the folder's owner or a nobody."""
    uid = os.geteuid()
    if uid != 0:
        return Account(uid, os.getegid(), foreign=False)
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid, foreign=True)
    return _server_of_root()


def _server_of_root() -> Account:
    for name in SERVERS_OF_ROOT:
        try:
            entry = pwd.getpwnam(name) if pwd else None
        except KeyError:
            continue
        if entry:
            return Account(entry.pw_uid, entry.pw_gid, foreign=True)
    raise EmbeddedError(
        "Postgres does not run as root, and this system has neither of the users "
        + " and ".join(SERVERS_OF_ROOT),
        hint=f"run delta as an ordinary user, or {USE_A_DSN}",
    )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name if pwd else str(uid)
    except KeyError:
        return str(uid)


def _environment() -> dict[str, str]:
    """Without PGDATA, PGPORT and the like, and with messages and times alike everywhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}
