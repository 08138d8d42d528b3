import logging
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from delta_cli import Client, Config, ConfigError, ConnectionFailed, InformOptions, Resource
from delta_cli.engine.database import Database
from delta_cli.engine.dsn import check_dsn, mask_dsn, mask_secrets, resolve_dsn
from tests.support.engine import Item, Stage, item_controller, quick_config, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

SECRET = "t0p-s3cret"  # noqa: S105 - what must not be seen
URL = f"postgresql://bob:{SECRET}@127.0.0.1:1/none"
WORDS = f"host=127.0.0.1 port=1 user=bob password={SECRET} dbname=none"
DSNS = pytest.mark.parametrize("dsn_with_secret", [URL, WORDS], ids=["url", "words"])


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything that any logger was told, its fields and tracebacks included."""
    caplog.set_level(logging.DEBUG)

    def everything() -> str:
        formatter = logging.Formatter("%(message)s")
        return "\n".join(f"{formatter.format(r)} {r.__dict__!r}" for r in caplog.records)

    return everything


def whole(error: BaseException) -> str:
    """An error as everything shows it."""
    return "".join([str(error), repr(error), *traceback.format_exception(error)])


@pytest.fixture
def secret_dsn(dsn: str) -> str:
    """The test's database, by a DSN with a password (which this server does not ask for)."""
    return make_conninfo(dsn, password=SECRET)


@DSNS
async def test_a_failing_connection_does_not_tell_the_password(
    logged: Callable[[], str], dsn_with_secret: str
) -> None:
    with pytest.raises(ConnectionFailed) as failure:
        async with Client(dsn_with_secret):
            pass
    assert "127.0.0.1" in str(failure.value)
    assert SECRET not in whole(failure.value)
    assert SECRET not in logged()


@DSNS
def test_nothing_that_holds_a_dsn_shows_it(dsn_with_secret: str) -> None:
    database = Database(dsn_with_secret)
    for shown in (
        repr(database),
        repr(Client(dsn_with_secret)),
        repr(Config(direct_dsn=dsn_with_secret)),
        repr(resolve_dsn(dsn_with_secret, {})),
    ):
        assert SECRET not in shown


@pytest.mark.parametrize(
    "broken",
    [
        f"postgresql://bob:{SECRET}@host:port:port/x?y",
        f"password={SECRET} nonsense",
        f"{URL}?x=%zz",
        f"postgresql://bob:%zz{SECRET}@host/db",
        f'postgresql://bob:%zz"{SECRET}"@host/db',
        f"postgresql://bob:a {SECRET}@host/db",
        f"postgresql://bob:a?{SECRET}@{SECRET}@host/db",
        f"postgresql://bob:1/a?{SECRET}@host/db",
        f"postgresql://bob:a/{SECRET}@host/db",
        f"postgresql://bob:1/{SECRET}@host/db",
        f"postgresql://bob:a@{SECRET}@host/db",
        f"postgresql://bob@corp:{SECRET}@host/db",
        f"postgresql://{SECRET}:{SECRET}:1/db",
        f"host=h password=a {SECRET}",
        f"host=h password=a {SECRET}=b",
        f"host=h password={SECRET}\udcff",
    ],
)
def test_a_dsn_that_cannot_be_read_is_refused_without_its_password(broken: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        resolve_dsn(broken, {})
    assert SECRET not in whole(refusal.value)
    assert SECRET not in mask_dsn(broken)


def test_a_direct_dsn_that_cannot_be_read_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigError, match="direct_dsn is not") as refusal:
        Config(direct_dsn=f"postgresql://bob:a/{SECRET}@host/db")
    assert SECRET not in whole(refusal.value)


@pytest.mark.parametrize(
    "fine",
    [
        "",
        "postgresql://",
        "postgresql:///delta?host=/run/postgresql",
        "postgresql://bob:a%2Fb%40c@host:5432/a%40b",
        "postgresql://bob:a?b@host/db?user=bob@corp",
        "postgresql://one:5432,two:5433/delta",
        "postgresql://host/db?user=bob@corp",
        "postgresql://[::1]:5432/delta",
        "host=h dbname=a@b",
    ],
)
def test_a_dsn_that_libpq_reads_rightly_is_accepted(fine: str) -> None:
    assert check_dsn(fine) == fine


@pytest.mark.parametrize(
    "key",
    ["password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"],
)
def test_every_secret_that_libpq_takes_is_masked(key: str) -> None:
    assert SECRET not in mask_secrets(f"host=h {key}={SECRET} port=1")
    assert SECRET not in mask_dsn(make_conninfo("host=h", **{key: SECRET}))


@pytest.mark.parametrize(
    "unit",
    [
        "a://a:",
        "a://a:@",
        "a",
        "password",
        "password='",
        "password='\\'",
        "password= ",
        'password: "',
        "@",
    ],
)
def test_masking_takes_linear_time(unit: str) -> None:
    began = time.process_time()
    mask_secrets(unit * 100_000)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "text",
    [
        f"cannot reach {URL}, giving up",
        f"({URL})",
        f"'{URL}'",
        f'{{"dsn": "{URL}"}}',
        f"a {URL} and b {URL}",
        f"two lines {URL}\n{WORDS}",
        f"password='{SECRET} with spaces'",
        f"password = {SECRET}",
        f"password: {SECRET}",
        f"{{'password': '{SECRET} with spaces'}}",
        f'{{"db_password":"{SECRET}"}}',
        f'{{\\"password\\": \\"{SECRET}\\"}}',
        f'password="{SECRET}"',
        f"PGPASSWORD={SECRET}",
        f"postgresql+psycopg://bob:{SECRET}@host/db",
        f"postgresql://host/db?user=bob&password={SECRET}&sslmode=require",
        f"postgresql://host/db?sslpassword={SECRET}",
        f"postgres://bob:{SECRET}:with:colons@host/db",
        f"postgres://bob:{SECRET}@with-at@host/db",
        f"postgres://:{SECRET}@host/db",
        f"redis://:{SECRET}@cache:6379/0",
    ],
)
def test_any_text_is_masked(text: str) -> None:
    masked = mask_secrets(text)
    assert SECRET not in masked
    assert "***" in masked


def test_masking_keeps_what_is_no_secret() -> None:
    for text in ("see https://example.com/a:b", "user bob@example.com", "the password is wrong"):
        assert mask_secrets(text) == text
    assert conninfo_to_dict(mask_dsn(URL))["host"] == "127.0.0.1"


async def test_the_errors_of_works_are_stored_logged_and_told_without_secrets(
    secret_dsn: str, observer: Observer, logged: Callable[[], str]
) -> None:
    async def work(resource: Resource[Item]) -> None:
        try:
            raise ValueError(f"could not reach {URL}")
        except ValueError as error:
            raise RuntimeError(f"failed with {WORDS}") from error

    async with working(secret_dsn, item_controller(work), max_attempts=1) as client:
        await client.inform(Item("a"))
        row = await observer.until_state("a", "degraded")
        assert "***" in row["errors"][0]["message"]
        assert "***" in row["errors"][0]["trace"]
        await eventually(lambda: last_error(observer))
        await nothing_shows_it(observer, logged)


async def last_error(observer: Observer) -> Any:
    return await observer.value("select last_error from delta_worker")


async def nothing_shows_it(observer: Observer, logged: Callable[[], str]) -> None:
    for table in ("delta_resource", "delta_event", "delta_worker", "delta_inform"):
        query = sql.SQL("select string_agg(t::text, ' ') from {} as t")
        cursor = await observer.connection.execute(query.format(sql.Identifier(table)))
        assert SECRET not in str(await cursor.fetchone())
    assert SECRET not in logged()


async def test_the_errors_of_informers_are_stored_and_logged_without_secrets(
    secret_dsn: str, observer: Observer, logged: Callable[[], str]
) -> None:
    async def inform(options: InformOptions) -> AsyncIterator[Item]:
        yield Item("a")
        raise ConnectionError(f"could not reach {URL}")

    controller = item_controller(Stage(opened=True).work, inform=inform)
    async with working(secret_dsn, controller) as client:
        await client.schedule_inform("item")
        await eventually(lambda: inform_error(observer))
        assert "***" in await inform_error(observer)
        await nothing_shows_it(observer, logged)


async def inform_error(observer: Observer) -> Any:
    return await observer.value("select error from delta_inform")


async def test_a_retry_policy_s_errors_are_logged_without_secrets(
    secret_dsn: str, observer: Observer, logged: Callable[[], str]
) -> None:
    class Leaking:
        def delay(self, attempt: int, error: BaseException) -> Any:
            raise ValueError(f"no policy for {URL}")

    async def work(resource: Resource[Item]) -> None:
        raise ValueError("no")

    async with working(secret_dsn, item_controller(work, backoff=Leaking())) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "failed")
        assert SECRET not in logged()


async def test_lost_connections_are_logged_without_secrets(
    secret_dsn: str, observer: Observer, logged: Callable[[], str]
) -> None:
    async with Client(secret_dsn, quick_config(item_controller(Stage(opened=True).work))) as client:
        await client.start()

        async def listens() -> bool:
            return await observer.value(
                "select count(*) > 0 from pg_stat_activity"
                " where datname = current_database() and query ilike 'listen %%'"
            )

        await eventually(listens)
        await observer.do(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        await eventually(lambda: "listener lost" in logged())

        async def informs() -> bool:
            with suppress(ConnectionFailed):  # of a session that ends only now
                await client.inform(Item("a"))
                return True
            return False

        await eventually(informs)
        await observer.until_state("a", "synced")
        assert SECRET not in logged()
