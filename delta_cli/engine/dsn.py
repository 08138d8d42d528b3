"""Where the database is: which setting names it, and how to speak of it without its password."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from delta_cli.engine.errors import ConfigError

MASK: Final = "***"
#: Any of these in the environment means that libpq knows a server.
_LIBPQ_VARIABLES: Final = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT", "PGUSER")
# Keys that libpq itself does not mark as secret, or that only some of its versions know.
_SECRET_KEYS: Final = frozenset(
    ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
)
_SCHEME: Final = re.compile(r"postgres(?:ql)?://")
_PORTS: Final = re.compile(r"[0-9, ]*")
# From the first quote to the last: what stands between may be a password with quotes in it.
_QUOTED: Final = re.compile(r"""\s*["«»„“”].*["«»„“”]""", re.DOTALL)
# Whoever controls the text controls how long masking takes: each of these takes linear time. The
# scheme's length is bounded for that, and the end of a URL's password is sought without a pattern.
_WORD: Final = re.compile(r"\S+")
_URL_HEAD: Final = re.compile(r"(?<!\w)\w{1,40}://[^:/@]*:")
# As DSNs write it, and as Python, JSON and YAML do: `'password': 'x'`, `{\"password\": \"x\"}`.
_ASSIGNED: Final = re.compile(
    r"(?i)(?P<key>(?:password|oauth_client_secret|scram_(?:client|server)_key)"
    r"(?:\\?[\"'])?(?:\s*=\s*|[ \t]*:[ \t]*))"
    r"('(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|\\[\"'][^\"'\\]*|[^\s&'\"]+)"
)


# A peer that is silent for so long is gone, such as a host without power.
_LIVENESS: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


@dataclass(frozen=True, slots=True)
class DsnSource:
    """A libpq connection string (None: use the embedded server) and the setting it came from."""

    dsn: str | None = field(repr=False)  # it may hold a password
    origin: str


def resolve_dsn(
    given: str | None, environ: Mapping[str, str], configured: str | None = None
) -> DsnSource:
    """Which database to use: the argument `dsn`, the environment, then the configuration file.

    None of them: the embedded server, told by `dsn` None. An empty string counts as not given.
    Raises ConfigError for a string that libpq cannot read.
    """
    candidates = (
        (given, "dsn"),
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
        parts = conninfo_to_dict(dsn)
    except (ProgrammingError, UnicodeEncodeError) as error:
        # libpq quotes the part that it cannot read, which may be the password.
        reason = mask_secrets(_QUOTED.sub(" ...", str(error))).strip()
        raise ConfigError(
            f"{origin} is not a connection string: {reason}",
            hint="use postgresql://user@host:5432/database or host=... dbname=...",
        ) from None
    if _is_cut_wrongly(dsn):
        raise ConfigError(
            f"{origin} is not a connection string: its user or password holds '@', '/' or ':'",
            hint="write these as %40, %2F and %3A there, and '@' in a database's name as %40",
        )
    if _has_strange_port(parts):
        # Not told which: it may be a password, where a URL names no host.
        raise ConfigError(
            f"{origin} is not a connection string: its port is not a number",
            hint="use postgresql://user@host:5432/database or host=... port=5432",
        )
    return dsn


def liveness_settings(dsn: str) -> dict[str, int]:
    """What notices within half a minute that the server is gone; what the DSN says itself wins."""
    said = conninfo_to_dict(check_dsn(dsn))
    return {key: value for key, value in _LIVENESS.items() if key not in said}


def connection_settings(dsn: str) -> dict[str, Any]:
    """What libpq is told of each connection of ours beside the DSN.

    Text is UTF-8, whatever the DSN, the environment or the role says: another encoding lacks
    characters that objects have.
    """
    return {"client_encoding": "UTF8", **liveness_settings(dsn)}


def mask_dsn(dsn: str) -> str:
    """The DSN with passwords replaced by `***`; all of it, where libpq cannot read it."""
    try:
        parts = conninfo_to_dict(dsn)
    except (ProgrammingError, UnicodeEncodeError):
        return MASK
    if _is_cut_wrongly(dsn) or _has_strange_port(parts):
        return MASK
    secret = _secret_keys()
    masked = {k: MASK if k in secret else mask_secrets(str(v)) for k, v in parts.items()}
    return make_conninfo("", **masked)


def mask_secrets(text: str) -> str:
    """Any text with the passwords of DSNs within it replaced by `***`."""
    if "@" in text:  # without one, as in most traces, no URL holds a password
        text = _WORD.sub(lambda word: _mask_url(word.group()), text)
    return _ASSIGNED.sub(rf"\g<key>{MASK}", text)


def _mask_url(word: str) -> str:
    end = word.rfind("@")
    head = _URL_HEAD.search(word, 0, end) if end > 0 else None
    return word if head is None else f"{word[: head.end()]}{MASK}{word[end:]}"


def _is_cut_wrongly(dsn: str) -> bool:
    """Whether libpq took part of a URL's password for its host, port or database.

    It does so when the password holds an `@`, `/` or `:` that is not written as `%40` and so on.
    """
    scheme = _SCHEME.match(dsn)
    if scheme is None:
        return False
    place = dsn[scheme.end() :]
    if "@" in place.partition("/")[0]:
        place = place.partition("@")[2]
    return "@" in place.partition("?")[0]


def _has_strange_port(parts: Mapping[str, object]) -> bool:
    return _PORTS.fullmatch(str(parts.get("port", ""))) is None


@cache
def _secret_keys() -> frozenset[str]:
    marked = (o.keyword.decode() for o in pq.Conninfo.get_defaults() if o.dispchar == b"*")
    return _SECRET_KEYS.union(marked)
