"""The migrations that this Delta ships: files `NNN_words.sql`, numbered from 001 without a gap.

They lie inside the package in a wheel, and beside it in a checkout. A released file never changes:
its checksum is in every database that has applied it.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from delta_cli.engine.errors import ConfigError

NO_TRANSACTION = "-- delta: no transaction"

_FILE_NAME = re.compile(r"(?P<version>\d{3})_(?P<words>[a-z0-9]+(_[a-z0-9]+)*)\.sql")
_FIRST_LINES = 5

# What may hold a semicolon that ends nothing comes first; of the rest, only `;` and the end matter.
_SQL_PIECE = re.compile(
    r"""
    --[^\n]*
    | /\*.*?\*/
    | \b[eE]'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | \$(?P<tag>[A-Za-z_]?\w*)\$.*?\$(?P=tag)\$
    | (?P<end>;)
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its words, its SQL and the SHA-256 of that in hexadecimal."""

    version: int
    name: str
    sql: str
    checksum: str
    transactional: bool

    @property
    def file_name(self) -> str:
        """`001_initial.sql`"""
        return f"{self.version:03}_{self.name}.sql"

    def statements(self) -> Iterator[str]:
        """The statements one by one: sent together, Postgres would make them one transaction.

        Knows strings, quoted names, dollar quotes and comments, but not `begin atomic` bodies.
        """
        begin = 0
        for piece in _SQL_PIECE.finditer(self.sql):
            if piece["end"]:
                yield self.sql[begin : piece.start()].strip()
                begin = piece.end()
        rest = self.sql[begin:].strip()
        if _COMMENT.sub("", rest).strip():
            yield rest


def shipped_migrations(folder: Path | None = None) -> list[Migration]:
    """The migrations of `folder`, by default those that came with this Delta, in order."""
    source = folder if folder is not None else _shipped_folder()
    migrations = sorted(
        (_read(file) for file in source.iterdir() if file.name.endswith(".sql")),
        key=lambda migration: migration.version,
    )
    if not migrations:
        raise ConfigError(f"no migrations in {source}", hint="install deltaloop again")
    if migrations[0].version != 1:
        raise ConfigError(f"migrations begin with {migrations[0].file_name}, not with 001")
    for before, after in pairwise(migrations):
        if after.version != before.version + 1:
            raise ConfigError(
                f"migrations must be numbered without gaps or doubles: "
                f"{after.file_name} comes after {before.file_name}"
            )
    return migrations


def _shipped_folder() -> Path:
    # Found from this file, so that the code and its migrations always come from one tree: beside
    # an editable install lies a copy of the migrations that is as old as the install.
    package = Path(__file__).parents[2]
    for folder in (package / "migrations", package.parent / "migrations"):
        if folder.is_dir():
            return folder
    raise ConfigError(
        f"this installation has no migrations: {package / 'migrations'} does not exist",
        hint="install deltaloop again",
    )


def _read(file: Path) -> Migration:
    named = _FILE_NAME.fullmatch(file.name)
    if named is None:
        raise ConfigError(
            f"{file.name!r} is not the name of a migration", hint="name it like 002_more_words.sql"
        )
    # A checkout on Windows may have other line ends; it is the same migration.
    data = file.read_bytes().replace(b"\r\n", b"\n")
    sql = data.decode()
    return Migration(
        version=int(named["version"]),
        name=named["words"],
        sql=sql,
        checksum=hashlib.sha256(data).hexdigest(),
        transactional=NO_TRANSACTION not in sql.splitlines()[:_FIRST_LINES],
    )
