"""Provisions the users of one JSON API as accounts of another, over HTTP.

    export HTTP_USERS_SOURCE=https://people.example.com HTTP_USERS_TARGET=https://mail.example.com
    export HTTP_USERS_TOKEN=...
    delta run --app delta_cli.examples.http_users:config

The source answers `GET /users?after=<cursor>&limit=100` with `{"users": [...], "next": <cursor>}`,
in the order of `updated_at`; a cursor is a time, or the `next` of the page before, and no `next`
means the last page. `GET /users/<id>` is one user, 404 once it is gone. The target takes
`PUT /accounts/<id>` and `DELETE /accounts/<id>`. Both get the token, if there is one.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, ClassVar, Final
from urllib.parse import quote, urlsplit

from delta_cli import (
    Config,
    ConfigError,
    Controller,
    InformOptions,
    NamespaceConfig,
    ObjectSettings,
    Permanent,
    Resource,
    ResourceDelete,
    Snooze,
)

try:
    import httpx
except ImportError as error:
    raise ConfigError(
        "the example http_users needs httpx", hint="pip install 'deltaloop[http]'"
    ) from error

PAGE_LIMIT: Final = 100
#: An account is written again after this time, so that changes at the target do not last.
EXPIRY_TTL: Final = timedelta(hours=1)
#: How long to wait when a 429 does not say.
DEFAULT_RETRY_AFTER: Final = timedelta(seconds=30)
MAX_RETRY_AFTER: Final = timedelta(hours=1)


class ServiceError(Exception):
    """One of the two services did not do what it was asked."""


@dataclass(frozen=True, slots=True)
class User:
    """A user as the source tells it."""

    id: str
    email: str
    name: str
    updated_at: datetime

    kind: ClassVar[str] = "user"

    @property
    def created_at(self) -> datetime:
        """What the watermark counts: each change, so that a run lists all that changed since."""
        return self.updated_at

    def compare(self, other: "User") -> int:
        """A page that was read late must not undo a newer change."""
        return (self.updated_at > other.updated_at) - (self.updated_at < other.updated_at)

    @classmethod
    def settings(cls) -> ObjectSettings:
        return ObjectSettings(parallelism=16, inform_interval=timedelta(minutes=1))

    @classmethod
    def from_json(cls, data: Any) -> "User":
        """As it came: a user that lacks something is refused and counted when it is stored."""
        known = data if isinstance(data, dict) else {}
        fields: list[Any] = [known.get(name) for name in ("id", "email", "name")]
        return cls(*fields, updated_at=_time_or_as_it_came(known.get("updated_at")))


class UserController(Controller[User]):
    """Reads users from `source` and writes accounts to `target`, both the beginnings of URLs.

    Raises ConfigError for what is no URL. Close it with `aclose()` where the process lives on.
    """

    def __init__(self, source: str, target: str, *, token: str | None = None) -> None:
        self._source: str = _checked_url(source)
        self._target: str = _checked_url(target)
        self._headers: dict[str, str] = {"Authorization": f"Bearer {token}"} if token else {}
        self._opened: httpx.AsyncClient | None = None

    async def inform(self, options: InformOptions) -> AsyncIterator[User]:
        """List page by page. A page that fails ends the run; what came before it stays."""
        cursor = options.after.isoformat() if options.after else None
        while True:
            users, following = await self._page(cursor)
            for data in users:
                yield User.from_json(data)
            if following is None:
                return
            if following == cursor:
                raise ServiceError(f"GET /users gave its own cursor {cursor!r} as the next one")
            cursor = following

    async def work(self, resource: Resource[User]) -> None:
        """Write the account as the user is now, or remove it when the user is gone."""
        name = _segment(resource.object_id)
        found = await self._http.get(f"{self._source}/users/{name}")
        if found.status_code == HTTPStatus.NOT_FOUND:
            removed = await self._http.delete(f"{self._target}/accounts/{name}")
            if removed.status_code != HTTPStatus.NOT_FOUND:
                _check(removed)
            raise ResourceDelete(f"the source has no user {resource.object_id}")
        _check(found)
        user = found.json()
        account = {"email": user["email"], "name": user["name"]}
        _check(await self._http.put(f"{self._target}/accounts/{name}", json=account))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.aclose()
            self._opened = None

    async def _page(self, cursor: str | None) -> tuple[list[Any], str | None]:
        """The users beyond a cursor, and the cursor of the page after them."""
        parameters = {"limit": str(PAGE_LIMIT)} | ({"after": cursor} if cursor else {})
        answer = await self._http.get(f"{self._source}/users", params=parameters)
        if not answer.is_success:
            raise ServiceError(_told(answer))
        page = answer.json()
        if not isinstance(page, dict) or not isinstance(page.get("users"), list):
            raise ServiceError("GET /users answered without a list of users")
        return page["users"], page.get("next") or None

    @property
    def _http(self) -> httpx.AsyncClient:
        # Opened at first use: connections belong to the event loop that works.
        if self._opened is None:
            self._opened = httpx.AsyncClient(headers=self._headers)
        return self._opened


def make_config(source: str, target: str, *, token: str | None = None, **overrides: Any) -> Config:
    """The application that keeps the accounts; `overrides` are settings of `Config`."""
    settings: dict[str, Any] = {
        "controllers": [UserController(source, target, token=token)],
        "namespaces": {"default": NamespaceConfig(expiry_ttl=EXPIRY_TTL)},
    }
    return Config(**(settings | overrides))


def __getattr__(name: str) -> Any:
    """`config` is made when it is asked for: `--app delta_cli.examples.http_users:config`."""
    if name != "config":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return make_config(
        _setting("HTTP_USERS_SOURCE"),
        _setting("HTTP_USERS_TARGET"),
        token=os.environ.get("HTTP_USERS_TOKEN"),
    )


def _setting(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise ConfigError(
            f"{variable} is not set", hint=f"name a service: export {variable}=https://..."
        )
    return value


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        # Not shown: errors and logs name URLs.
        raise ConfigError("a URL holds a user or password", hint="give the token for that")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{url!r} is not a URL", hint="write http://host or https://host/path")
    return url.rstrip("/")


def _segment(object_id: str) -> str:
    """An id as one segment of a path. Dots alone would climb, however they are quoted."""
    if object_id in (".", ".."):
        raise Permanent(f"{object_id!r} cannot be part of a URL")
    return quote(object_id, safe="")


# --- answers ---------------------------------------------------------------------------------


def _check(answer: httpx.Response) -> None:
    """Tell Delta what follows from an answer: wait, give up, or try again with backoff."""
    if answer.is_success:
        return
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        raise Snooze(_retry_after(answer))
    if answer.is_server_error or answer.status_code == HTTPStatus.REQUEST_TIMEOUT:
        raise ServiceError(_told(answer))
    raise Permanent(_told(answer))


def _told(answer: httpx.Response) -> str:
    request = answer.request
    return f"{request.method} {request.url.path} answered {answer.status_code}"


def _retry_after(answer: httpx.Response) -> timedelta:
    """Retry-After in seconds, or as a time, which is read against the service's own clock."""
    value = answer.headers.get("Retry-After", "")
    if value.isdecimal():
        return min(timedelta(seconds=min(int(value), 10**9)), MAX_RETRY_AFTER)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, TypeError, ValueError):
        return DEFAULT_RETRY_AFTER
    return min(max(wait, timedelta(0)), MAX_RETRY_AFTER)


def _time_or_as_it_came(value: Any) -> Any:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
