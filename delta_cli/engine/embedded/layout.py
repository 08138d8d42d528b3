"""Where everything of one embedded server lies, and the making of its folder.

The folder is 0700 and belongs to the server's user. No other folder's mode is ever changed.
"""

import hashlib
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from delta_cli.engine.embedded.account import Account
from delta_cli.engine.embedded.binaries import USE_A_DSN, find_binaries
from delta_cli.engine.errors import EmbeddedError

# The system cuts socket addresses off at 103 (macOS) or 107 bytes.
LONGEST_SOCKET_PATH = 90
PRIVATE = 0o700
LOCK_NAME = "lock"
SOCKET_NAME = ".s.PGSQL.5432"
SHORT_PLACE = Path("/tmp")  # noqa: S108 - made 0700, and refused when it is somebody else's
SYSTEM_FOLDER = Path("/var/lib/delta")

ELSEWHERE = f"choose another folder with DELTA_DATA_DIR, or {USE_A_DSN}"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one server."""

    folder: Path
    socket_folder: Path

    @property
    def data(self) -> Path:
        """What initdb made, complete; it is renamed to here."""
        return self.folder / "data"

    @property
    def lock(self) -> Path:
        """Held while the server is started or stopped. The first file in the folder."""
        return self.folder / LOCK_NAME

    @property
    def users(self) -> Path:
        """Held shared by every process that uses the server."""
        return self.folder / "users"

    @property
    def keep(self) -> Path:
        """Exists while the server is to stay up although nobody uses it."""
        return self.folder / "keep"

    @property
    def log(self) -> Path:
        """The log since the last start; the one before it lies beside it."""
        return self.folder / "postgres.log"

    @property
    def previous_log(self) -> Path:
        """The log of the run before."""
        return self.folder / "postgres.log.1"

    @property
    def socket(self) -> Path:
        """Where the server listens, and nowhere else."""
        return self.socket_folder / SOCKET_NAME

    @property
    def pid_files(self) -> tuple[Path, Path]:
        """Both begin with the postmaster's pid, and either stops a start when it lies."""
        return self.data / "postmaster.pid", self.socket_folder / f"{SOCKET_NAME}.lock"

    @property
    def dsn(self) -> str:
        """A URL that libpq and psycopg take; there is no password, the socket's folder is shut."""
        host = quote(str(self.socket_folder), safe="")
        return f"postgresql://delta@/delta?host={host}&port=5432"

    def unfinished(self) -> list[Path]:
        """What cut-off first starts left."""
        return list(self.folder.glob("data.new-*"))


def default_folder() -> Path:
    """The user's data folder for the installed Postgres; for root one that others can reach."""
    major = find_binaries().major
    return _data_folder() / f"postgres-{major}"


def _data_folder() -> Path:
    if chosen := os.environ.get("DELTA_DATA_DIR"):
        return Path(chosen)
    if os.geteuid() == 0:
        return SYSTEM_FOLDER
    if chosen := os.environ.get("XDG_DATA_HOME"):
        return Path(chosen) / "delta"
    if sys.platform == "darwin":
        return _home() / "Library" / "Application Support" / "delta"
    return _home() / ".local" / "share" / "delta"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise EmbeddedError(f"no place for a data folder: {error}", hint=ELSEWHERE) from error


def layout_of(folder: Path, account: Account) -> Layout:
    """Every process computes the same paths from the folder, whatever its environment."""
    address = os.fsencode(folder / SOCKET_NAME)
    # libpq reads a comma as a list of hosts.
    if len(address) <= LONGEST_SOCKET_PATH and b"," not in address:
        return Layout(folder, folder)
    mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Layout(folder, SHORT_PLACE / f"delta-{account.uid}-{mark}")


def make_folder(layout: Layout, account: Account) -> None:
    """Make the server's folder and its parents where they are missing."""
    make_parents(layout.folder.parent)
    if not account.can_enter(layout.folder.parent):
        raise EmbeddedError(
            f"the server's user {account.name} cannot reach {layout.folder.parent}",
            hint=f"as root, {ELSEWHERE}",
        )
    make_private(layout.folder, account)


def make_parents(folder: Path) -> None:
    """Make a folder and those above it where they are missing, open to pass through for root's."""
    if folder.is_dir():
        return
    make_parents(folder.parent)
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        # The server's user passes through here, whatever root's umask is.
        folder.chmod(0o755)


def make_private(folder: Path, account: Account) -> None:
    """Make a folder that only the server's user can enter; refuse what somebody else made there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise EmbeddedError(
            f"{folder} cannot be used as a folder: {error.strerror}", hint=ELSEWHERE
        ) from error
    try:
        _refuse_foreign(folder, os.fstat(descriptor), account)
        account.own(descriptor)
        os.fchmod(descriptor, PRIVATE)
    finally:
        os.close(descriptor)


def _refuse_foreign(folder: Path, found: os.stat_result, account: Account) -> None:
    if found.st_uid not in (account.uid, os.geteuid()):
        raise EmbeddedError(
            f"{folder} belongs to another user (uid {found.st_uid})", hint=ELSEWHERE
        )
    if found.st_uid == account.uid and stat.S_IMODE(found.st_mode) == PRIVATE:
        return
    # The lock is the first file that Delta makes: with it, the folder is one of its own, which
    # another process may be making at this moment.
    names = {path.name for path in folder.iterdir()}
    if names and LOCK_NAME not in names:
        raise EmbeddedError(
            f"{folder} holds other things and is open to others, so it is not taken over",
            hint=f"use an empty or a new folder: {ELSEWHERE}",
        )
