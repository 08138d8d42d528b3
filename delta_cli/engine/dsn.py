"""Where the database is: which setting names it, and how to speak of it without its password."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from delta_cli.engine.errors import ConfigError

MASK: Final = "***"
#: Any of these in the environment means that libpq knows a server.
_LIBPQ_VARIABLES: Final = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT", "PGUSER")
_SECRET_KEYS: Final = ("password", "sslpassword")
# The scheme's length is bounded: else a long text without any costs the square of its length.
_URL_PASSWORD: Final = re.compile(
    r"(?P<head>(?<!\w)\w{1,40}://[^\s:/@]*):[^\s]*@(?=[^@\s]*(?:\s|$))"
)
_WORD_PASSWORD: Final = re.compile(
    r"(?i)(?<!\w)(?P<key>\w{0,40}password\s*=\s*)('(?:\\.|[^'\\])*'|[^\s&'\"]+)"
)


@dataclass(frozen=True, slots=True)
class DsnSource:
    """A libpq connection string (None: use the embedded server) and the setting it came from."""

    dsn: str | None = field(repr=False)  # it may hold a password
    origin: str


def resolve_dsn(
    given: str | None, environ: Mapping[str, str], configured: str | None = None
) -> DsnSource:
    """Which database to use: given, then the environment, then the configuration file.

    None of them: the embedded server, told by `dsn` None. An empty string counts as not given.
    Raises ConfigError for a string that libpq cannot read.
    """
    candidates = (
        (given, "--dsn"),
        (environ.get("DELTA_DSN"), "DELTA_DSN"),
        (environ.get("DATABASE_URL"), "DATABASE_URL"),
    )
    for value, origin in candidates:
        if value:
            return DsnSource(check_dsn(value, origin), origin)
    for name in _LIBPQ_VARIABLES:
        if environ.get(name):
            return DsnSource("", name)
    if configured:
        return DsnSource(check_dsn(configured, "configuration file"), "configuration file")
    return DsnSource(None, "embedded")


def check_dsn(dsn: str, origin: str = "dsn") -> str:
    """The DSN itself, if libpq can read it. The message of the error holds no password."""
    try:
        conninfo_to_dict(dsn)
    except ProgrammingError as error:
        raise ConfigError(
            f"{origin} is not a connection string: {mask_secrets(str(error)).strip()}",
            hint="use postgresql://user@host:5432/database or host=... dbname=...",
        ) from None
    return dsn


def mask_dsn(dsn: str) -> str:
    """The DSN with passwords replaced by `***`; what libpq cannot read is masked by pattern."""
    try:
        parts = conninfo_to_dict(dsn)
    except ProgrammingError:
        return mask_secrets(dsn)
    masked = {key: MASK if key in _SECRET_KEYS else value for key, value in parts.items()}
    return make_conninfo("", **masked)


def mask_secrets(text: str) -> str:
    """Any text with the passwords of DSNs within it replaced by `***`."""
    text = _URL_PASSWORD.sub(rf"\g<head>:{MASK}@", text)
    return _WORD_PASSWORD.sub(rf"\g<key>{MASK}", text)
