import contextlib
import json
import sys
import threading
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from delta_cli import (
    Client,
    Config,
    ConfigError,
    ExponentialBackoff,
    InformRun,
    ResourceRow,
    ResourceState,
)
from delta_cli.examples import http_users
from delta_cli.examples.http_users import UserController, make_config
from tests.support.programs import run_python
from tests.support.waiting import eventually

TOKEN = "not-to-be-shown"  # noqa: S105 - of the server below
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)

Answer = tuple[int, dict[str, str], Any]


def user(number: int) -> dict[str, Any]:
    return {
        "id": f"user-{number:03}",
        "email": f"{number}@example.com",
        "name": f"User {number}",
        "updated_at": (BEGIN + timedelta(minutes=number)).isoformat(),
    }


@dataclass
class Service:
    """Source and target in one; `answers` are given instead of the true ones, each once."""

    url: str = ""
    users: dict[str, Any] = field(default_factory=dict)
    accounts: dict[str, Any] = field(default_factory=dict)
    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)

    def add_users(self, count: int) -> None:
        for number in range(count):
            self.users[f"user-{number:03}"] = user(number)

    def once(self, method: str, path: str, status: int, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.setdefault((method, path), []).append((status, named, {}))

    def listings(self) -> list[str | None]:
        """The cursors that pages were asked for."""
        queries = [parse_qs(urlsplit(url).query) for _, url in self.requests if "/users?" in url]
        return [query.get("after", [None])[0] for query in queries]

    def answer(self, method: str, url: str, body: Any) -> Answer:
        parts = urlsplit(url)
        if waiting := self.answers.get((method, parts.path)):
            return waiting.pop(0)
        if parts.path == "/users":
            return 200, {}, self._page(parse_qs(parts.query))
        collection, _, quoted = parts.path.removeprefix("/").partition("/")
        found = self.users if collection == "users" else self.accounts
        key = unquote(quoted)
        if method == "PUT":
            found[key] = body
        if key not in found:
            return 404, {}, {}
        return 200, {}, found.pop(key) if method == "DELETE" else found[key]

    def _page(self, query: dict[str, list[str]]) -> Any:
        after, limit = query.get("after", [""])[0], int(query["limit"][0])
        found = sorted(self.users.values(), key=lambda user: str(user.get("updated_at")))
        found = [user for user in found if str(user.get("updated_at")) > after]
        page = found[:limit]
        return {"users": page, "next": page[-1]["updated_at"] if len(found) > limit else None}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def respond(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        self.service.requests.append((self.command, self.path))
        self.service.tokens.add(self.headers.get("Authorization"))
        status, headers, data = self.service.answer(self.command, self.path, body)
        content = json.dumps(data).encode()
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_DELETE = respond  # noqa: N815 - the base class asks for these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in the base class
        pass


@pytest.fixture
def service() -> Generator[Service]:
    service = Service()
    handler = type("ServiceHandler", (Handler,), {"service": service})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        service.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield service
        server.shutdown()
        thread.join()


@contextlib.asynccontextmanager
async def opened(dsn: str, service: Service) -> AsyncIterator[Client]:
    controller = UserController(service.url, service.url, token=TOKEN)
    controller.backoff = ExponentialBackoff(base=timedelta(milliseconds=10))
    config = make_config(service.url, service.url, controllers=[controller])
    async with Client(dsn, config) as client:
        yield client
        await client.stop(hard=True)
    await controller.aclose()


async def sync(client: Client) -> InformRun:
    return await client.schedule_inform("user", run_foreground=True)


async def states(client: Client) -> dict[ResourceState, int]:
    return {state: count for state, count in (await client.status()).states.items() if count}


async def until_state(client: Client, object_id: str, state: ResourceState) -> ResourceRow:
    async def reached() -> bool:
        return (await client.get("user", object_id)).state is state

    await eventually(reached)
    return await client.get("user", object_id)


async def test_all_pages_are_provisioned(dsn: str, service: Service) -> None:
    service.add_users(250)
    async with opened(dsn, service) as client:
        await sync(client)
        assert await states(client) == {ResourceState.SYNCED: 250}
    assert service.accounts == {
        user["id"]: {"email": user["email"], "name": user["name"]}
        for user in service.users.values()
    }
    assert service.tokens == {f"Bearer {TOKEN}"}


async def test_the_next_run_lists_what_changed_since(dsn: str, service: Service) -> None:
    service.add_users(120)
    async with opened(dsn, service) as client:
        await sync(client)
        service.users["user-003"] |= {"name": "Renamed", "updated_at": user(500)["updated_at"]}
        service.requests.clear()
        run = await sync(client)
    # The newest user's time, less the overlap of a minute.
    assert service.listings() == [user(118)["updated_at"]]
    assert (run.counts.seen, run.counts.updated) == (2, 1)
    assert service.accounts["user-003"]["name"] == "Renamed"


async def test_a_listing_that_fails_half_way_keeps_what_it_gave_and_the_old_watermark(
    dsn: str, service: Service
) -> None:
    service.add_users(250)
    second_page = user(99)["updated_at"]
    answer = service.answer
    failing = threading.Event()
    failing.set()

    def fail_half_way(method: str, url: str, body: Any) -> Answer:
        after = parse_qs(urlsplit(url).query).get("after")
        if failing.is_set() and after == [second_page]:
            return 503, {}, {}
        return answer(method, url, body)

    service.answer = fail_half_way
    async with opened(dsn, service) as client:
        run = await sync(client)
        assert run.state == "failed"
        assert run.error == "ServiceError: GET /users answered 503"
        assert await states(client) == {ResourceState.SYNCED: 100}

        failing.clear()
        service.requests.clear()
        run = await sync(client)
        assert run.error is None
        assert await states(client) == {ResourceState.SYNCED: 250}
    assert service.listings()[:3] == [None, second_page, user(199)["updated_at"]]


async def test_a_user_that_is_gone_loses_the_account(dsn: str, service: Service) -> None:
    service.add_users(2)
    async with opened(dsn, service) as client:
        await sync(client)
        del service.users["user-000"]
        await client.invalidate("user", "user-000")
        await client.start()
        await until_state(client, "user-000", ResourceState.DELETED)
    assert list(service.accounts) == ["user-001"]


async def test_429_waits_as_long_as_asked_and_counts_no_attempt(dsn: str, service: Service) -> None:
    service.add_users(1)
    service.once("PUT", "/accounts/user-000", 429, Retry_After="3600")
    async with opened(dsn, service) as client:
        await sync(client)
        row = await client.get("user", "user-000")
    assert (row.state, row.attempt, row.errors) == (ResourceState.SCHEDULED, 0, [])
    assert row.due_at is not None
    assert row.attempted_at is not None
    waits = row.due_at - row.attempted_at
    assert timedelta(minutes=59) < waits < timedelta(minutes=61)


@pytest.mark.parametrize(
    ("retry_after", "date", "wait"),
    [
        ("0", None, timedelta(0)),
        ("999999999999", None, http_users.MAX_RETRY_AFTER),
        ("Mon, 01 Jan 2024 00:02:00 GMT", "Mon, 01 Jan 2024 00:00:00 GMT", timedelta(minutes=2)),
        ("Mon, 01 Jan 2024 00:00:00 GMT", "Mon, 01 Jan 2024 00:02:00 GMT", timedelta(0)),
        ("Mon, 01 Jan 2024 00:02:00 GMT", None, http_users.DEFAULT_RETRY_AFTER),
        ("soon", None, http_users.DEFAULT_RETRY_AFTER),
        (None, None, http_users.DEFAULT_RETRY_AFTER),
    ],
)
def test_retry_after_is_read_by_the_clock_of_the_service(
    retry_after: str | None, date: str | None, wait: timedelta
) -> None:
    given = {"Retry-After": retry_after, "Date": date}
    headers = {name: value for name, value in given.items() if value is not None}
    answer = http_users.httpx.Response(429, headers=headers)
    assert http_users._retry_after(answer) == wait


async def test_500_is_tried_again(dsn: str, service: Service) -> None:
    service.add_users(1)
    service.once("GET", "/users/user-000", 500)
    service.once("PUT", "/accounts/user-000", 502)
    async with opened(dsn, service) as client:
        await client.start()
        await eventually(lambda: "user-000" in service.accounts, within=20)
        row = await until_state(client, "user-000", ResourceState.SYNCED)
        assert row.sync_count == 1
    puts = [method for method, _ in service.requests if method == "PUT"]
    assert len(puts) == 2


async def test_other_refusals_are_not_tried_again(dsn: str, service: Service) -> None:
    service.add_users(1)
    service.once("PUT", "/accounts/user-000", 422)
    async with opened(dsn, service) as client:
        await sync(client)
        row = await client.get("user", "user-000")
    assert (row.state, row.attempt) == (ResourceState.DEGRADED, 1)
    assert row.errors[-1].message == "PUT /accounts/user-000 answered 422"


async def test_ids_stay_one_segment_of_the_path(dsn: str, service: Service) -> None:
    strange = ["a/b", "a b?c=d#e", "naïve", "%2e%2e"]
    for number, object_id in enumerate([*strange, ".."]):
        service.users[object_id] = user(number) | {"id": object_id}
    async with opened(dsn, service) as client:
        await sync(client)
        climbing = await client.get("user", "..")
    assert sorted(service.accounts) == sorted(strange)
    assert climbing.state is ResourceState.DEGRADED


async def test_a_user_that_lacks_something_is_refused_and_the_others_go_on(
    dsn: str, service: Service
) -> None:
    service.add_users(4)
    del service.users["user-001"]["email"]
    service.users["user-002"]["updated_at"] = "2024-13-01"
    async with opened(dsn, service) as client:
        run = await client.schedule_inform("user", from_watermark=False, run_foreground=True)
        assert await states(client) == {ResourceState.SYNCED: 2}
    assert (run.state, run.counts.refused) == ("succeeded", 2)
    assert "2 of 4 objects refused" in str(run.error)
    assert "field 'email'" in str(run.error)


async def test_a_cursor_that_does_not_move_fails_the_run(dsn: str, service: Service) -> None:
    service.answer = lambda method, url, body: (200, {}, {"users": [], "next": "same"})
    async with opened(dsn, service) as client:
        run = await sync(client)
    assert run.state == "failed"
    assert "'same'" in str(run.error)


def test_the_application_is_configured_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_USERS_SOURCE", "https://people.example.com/api/")
    monkeypatch.delenv("HTTP_USERS_TARGET", raising=False)
    with pytest.raises(ConfigError, match="HTTP_USERS_TARGET is not set"):
        _ = http_users.config
    monkeypatch.setenv("HTTP_USERS_TARGET", "http://localhost:8080")
    monkeypatch.setenv("HTTP_USERS_TOKEN", TOKEN)
    assert isinstance(http_users.config, Config)
    assert TOKEN not in repr(http_users.config)


@pytest.mark.parametrize("url", ["people.example.com", "ftp://people.example.com", "http://"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is not a URL"):
        UserController(url, "http://localhost")


def test_a_password_in_a_url_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        UserController(f"http://me:{TOKEN}@localhost", "http://localhost")
    assert TOKEN not in str(refused.value)


def test_without_httpx_the_error_says_how_to_get_it() -> None:
    program = """
import sys
from delta_cli import ConfigError
sys.modules["httpx"] = None
try:
    import delta_cli.examples.http_users
except ConfigError as error:
    print(error.hint)
"""
    assert "[http]" in run_python(program)
    assert "httpx" in sys.modules
