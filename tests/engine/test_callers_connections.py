"""Informs through the connections that applications have: set up by others, for themselves."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from delta_cli import (
    Client,
    Config,
    ConfigError,
    InformOpts,
    InformResult,
    NamespaceConfig,
    SyncClient,
)
from tests.support.engine import Item, item_controller, quick_config
from tests.support.observing import Observer

AsyncConnection = psycopg.AsyncConnection[Any]

CURSORS = [psycopg.Cursor, psycopg.ClientCursor, psycopg.RawCursor]
ASYNC_CURSORS = [psycopg.AsyncCursor, psycopg.AsyncClientCursor, psycopg.AsyncRawCursor]
EVERYTHING = InformOpts(metadata={"from": "signup"}, tags=("new-user",))


@dataclass
class Strict:
    """A row factory of a caller's that is of no use for other rows than its own."""

    cursor: Any

    def __call__(self, _: Any) -> None:
        raise AssertionError("a row of Delta's was given to the caller's row factory")


@pytest.fixture
async def client(dsn: str) -> AsyncGenerator[Client]:
    async with Client(dsn) as client:
        yield client


def inform_sync(
    dsn: str,
    item: Item,
    opts: InformOpts | None = None,
    *,
    prepare: Callable[[psycopg.Connection[Any]], object] = lambda _: None,
    **arguments: Any,
) -> InformResult:
    """Inform inside a transaction of the caller's that commits."""
    with SyncClient(dsn) as client, psycopg.connect(dsn, **arguments) as connection:
        prepare(connection)
        return client.inform(item, opts, connection=connection)


# How the caller's statements are sent and its rows are made


@pytest.mark.parametrize("cursor_factory", CURSORS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("row_factory", [dict_row, Strict], ids=["dict", "strict"])
async def test_the_callers_cursors_and_rows_are_no_matter_to_a_sync_inform(
    dsn: str, client: Client, cursor_factory: type[Any], row_factory: Any
) -> None:
    arguments = {"cursor_factory": cursor_factory, "row_factory": row_factory}
    result = await asyncio.to_thread(inform_sync, dsn, Item("a", 7), EVERYTHING, **arguments)
    assert (result.outcome, result.row.object) == ("created", {"key": "a", "value": 7})
    assert (result.row.metadata, result.row.tags) == ({"from": "signup"}, ["new-user"])
    assert await client.get("item", "a") == result.row


@pytest.mark.parametrize("cursor_factory", ASYNC_CURSORS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("row_factory", [dict_row, Strict], ids=["dict", "strict"])
async def test_the_callers_cursors_and_rows_are_no_matter_to_an_inform(
    dsn: str, client: Client, cursor_factory: type[Any], row_factory: Any
) -> None:
    async with await psycopg.AsyncConnection.connect(
        dsn, cursor_factory=cursor_factory, row_factory=row_factory
    ) as connection:
        result = await client.inform(Item("a", 7), EVERYTHING, connection=connection)
        assert (await client.inform_many([Item("b")], connection=connection)).created == 1
    assert result.row.object == {"key": "a", "value": 7}
    assert await client.get("item", "a") == result.row


def test_the_callers_own_json_is_no_matter(dsn: str) -> None:
    result = inform_sync(
        dsn, Item("a", 7), prepare=lambda one: set_json_loads(lambda _: "nothing of ours", one)
    )
    assert result.row.object == {"key": "a", "value": 7}


# Connections that will not do


async def test_a_connection_that_is_not_async_is_refused_by_its_type(
    dsn: str, client: Client
) -> None:
    with psycopg.connect(dsn) as connection:
        wrong: Any = connection
        with pytest.raises(ConfigError, match="AsyncConnection, got a psycopg") as e:
            await client.inform(Item("a"), connection=wrong)
        assert "SyncClient takes sync" in str(e.value.hint)
        with pytest.raises(ConfigError, match=r"got a psycopg\.Connection"):
            await client.inform_many([Item("a")], connection=wrong)
        with pytest.raises(ConfigError, match=r"got a psycopg\.Connection"):
            await client.schedule_inform("item", connection=wrong)
    assert [row async for row in client.resources()] == []


@pytest.mark.filterwarnings("error")  # such as of a coroutine that nobody awaited
async def test_a_connection_that_is_not_sync_is_refused_by_its_type(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        wrong: Any = connection
        with SyncClient(dsn) as client:
            with pytest.raises(ConfigError, match=r"got a psycopg\.AsyncConnection") as e:
                client.inform(Item("a"), connection=wrong)
            assert "Client takes async" in str(e.value.hint)
            for no_connection in (dsn, object()):
                wrong = no_connection
                with pytest.raises(ConfigError, match=r"got a builtins.(str|object)"):
                    client.inform(Item("a"), connection=wrong)


async def test_a_connection_in_pipeline_mode_is_refused_and_is_good_after_it(
    dsn: str, client: Client
) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        async with connection.pipeline():
            await connection.execute("create table app ()")
            with pytest.raises(ConfigError, match="pipeline mode"):
                await client.inform(Item("a"), connection=connection)
        assert (await client.inform(Item("a"), connection=connection)).outcome == "created"


def test_a_sync_connection_in_pipeline_mode_is_refused_too(dsn: str) -> None:
    with SyncClient(dsn) as client, psycopg.connect(dsn) as connection:
        with connection.pipeline(), pytest.raises(ConfigError, match="pipeline mode"):
            client.inform(Item("a"), connection=connection)
        assert client.inform(Item("a"), connection=connection).outcome == "created"


@pytest.mark.parametrize("encoding", ["latin1", "sql_ascii"])
async def test_a_connection_that_lacks_characters_is_refused_before_anything_is_written(
    dsn: str, client: Client, encoding: str
) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, client_encoding=encoding) as connection:
        with pytest.raises(ConfigError, match=f"(?i)client_encoding {encoding}") as caught:
            await client.inform(Item("ä"), InformOpts(namespace="acme"), connection=connection)
        assert [row.name for row in await client.control.namespaces()] == []
        assert "UTF8" in str(caught.value.hint)
        await connection.execute("set client_encoding = 'UTF8'")
        result = await client.inform(Item("ä€"), connection=connection)
    assert [row.object_id async for row in client.resources()] == [result.row.object_id] == ["ä€"]


async def test_a_sync_connection_that_lacks_characters_is_refused_too(
    dsn: str, client: Client
) -> None:
    opts = InformOpts(namespace="acme")
    with pytest.raises(ConfigError, match="client_encoding LATIN1"):
        await asyncio.to_thread(inform_sync, dsn, Item("a"), opts, client_encoding="latin1")
    assert [row.name for row in await client.control.namespaces()] == []
    assert (await asyncio.to_thread(inform_sync, dsn, Item("a"), opts)).outcome == "created"


async def test_a_closed_connection_is_told_as_such(dsn: str, client: Client) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.close()
        with pytest.raises(ConfigError, match="connection is closed"):
            await client.inform(Item("a"), connection=connection)


async def test_a_connection_that_the_server_ended_stays_psycopgs_error(
    dsn: str, client: Client, observer: Observer
) -> None:
    connection = await psycopg.AsyncConnection.connect(dsn)
    await observer.rows("select pg_terminate_backend(%s, 10000)", connection.info.backend_pid)
    for _ in ("breaks", "broken"):
        with pytest.raises(psycopg.OperationalError):
            await client.inform(Item("a"), connection=connection)


async def test_a_connection_that_is_closed_under_an_inform_is_told_as_such(
    dsn: str, client: Client
) -> None:
    connection = await psycopg.AsyncConnection.connect(dsn)

    def objects() -> Generator[Item]:
        yield Item("a")
        asyncio.get_running_loop().create_task(connection.close())
        yield from (Item(str(number)) for number in range(1_000))

    with pytest.raises(ConfigError, match="connection is closed"):
        await client.inform_many(objects(), connection=connection)


async def test_informs_side_by_side_on_one_connection_are_refused_but_the_first(
    dsn: str, client: Client
) -> None:
    await client.inform(Item("before"))
    async with await psycopg.AsyncConnection.connect(dsn) as connection, asyncio.TaskGroup() as on:
        first = on.create_task(client.inform(Item("first"), connection=connection))
        others = [client.inform(Item(f"other-{n}"), connection=connection) for n in range(4)]
        refused = await asyncio.gather(*others, return_exceptions=True)
        assert all(isinstance(one, ConfigError) for one in refused), refused
        assert "one inform at a time" in str(getattr(refused[0], "hint", None))
        assert (await first).outcome == "created"
        again = await client.inform(Item("again"), connection=connection)
        assert again.outcome == "created"
    assert [row.object_id async for row in client.resources()] == ["before", "first", "again"]


async def test_a_connection_of_another_database_is_told_by_its_name(
    dsn: str, client: Client, empty_dsn: str
) -> None:
    async with await psycopg.AsyncConnection.connect(empty_dsn) as connection:
        database = connection.info.dbname
        with pytest.raises(ConfigError, match=f"{database}.*no Delta in schema 'delta'") as caught:
            await client.inform(Item("a"), connection=connection)
        assert isinstance(caught.value.__cause__, psycopg.errors.UndefinedTable)
        assert caught.value.message.endswith("or an older one")
        assert str(caught.value.hint).endswith(": delta migrate")
        await connection.execute("select 1")
    with pytest.raises(ConfigError, match=f"{database}.*no Delta"):
        await asyncio.to_thread(inform_between, dsn, empty_dsn)


def inform_between(dsn: str, connection_dsn: str) -> None:
    with SyncClient(dsn) as client, psycopg.connect(connection_dsn) as connection:
        client.inform(Item("a"), connection=connection)


async def test_a_failed_transaction_is_told_and_serves_when_it_is_rolled_back(
    dsn: str, client: Client
) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await connection.execute("select 1 / 0")
        with pytest.raises(ConfigError, match="failed transaction") as caught:
            await client.inform(Item("a"), connection=connection)
        assert "roll it back first" in str(caught.value.hint)
        await connection.rollback()
        assert (await client.inform(Item("a"), connection=connection)).outcome == "created"


# New namespaces


async def nobody_waits_for(
    dsn: str, namespace: str, inform_within: Callable[[AsyncConnection, InformOpts], Any]
) -> None:
    """A caller's transaction that stays open keeps nobody from its namespace."""
    opts = InformOpts(namespace=namespace)
    async with (
        await psycopg.AsyncConnection.connect(dsn) as connection,
        Client(dsn) as other,
        asyncio.timeout(20),
    ):
        await inform_within(connection, opts)
        assert (await other.inform(Item("other"), opts)).outcome == "created"
        await other.control.set_namespace(namespace, NamespaceConfig(max_workers=1))
        async with Client(dsn, Config(namespaces={namespace: NamespaceConfig()})):
            await connection.rollback()
        assert [row.object_id async for row in other.resources()] == ["other"]


@pytest.mark.parametrize("namespace", ["default", "acme"])
async def test_nobody_waits_for_the_first_inform_of_a_namespace(
    dsn: str, client: Client, namespace: str
) -> None:
    async def inform(connection: AsyncConnection, opts: InformOpts) -> None:
        await client.inform(Item("a"), opts, connection=connection)
        await client.inform_many([Item("b")], opts, connection=connection)

    await nobody_waits_for(dsn, namespace, inform)


@pytest.mark.parametrize("namespace", ["default", "acme"])
async def test_nobody_waits_for_the_first_inform_of_a_sync_client(dsn: str, namespace: str) -> None:
    with SyncClient(dsn) as client, psycopg.connect(dsn) as connection:

        async def inform(_: AsyncConnection, opts: InformOpts) -> None:
            await asyncio.to_thread(client.inform, Item("a"), opts, connection=connection)

        await nobody_waits_for(dsn, namespace, inform)
        connection.rollback()


async def test_a_namespace_that_the_callers_transaction_made_keeps_the_inform_only_for_a_moment(
    dsn: str, client: Client
) -> None:
    opts = InformOpts(namespace="acme")
    async with await psycopg.AsyncConnection.connect(dsn) as connection, asyncio.timeout(20):
        await connection.execute("insert into delta.delta_namespace (name) values ('acme')")
        await client.inform(Item("a"), opts, connection=connection)
        await connection.commit()
    assert [row.name for row in await client.control.namespaces()] == ["acme"]


@pytest.mark.parametrize("level", [*psycopg.IsolationLevel], ids=lambda one: one.name)
async def test_a_new_namespace_does_not_fail_a_transaction_that_sees_what_was(
    dsn: str, client: Client, level: psycopg.IsolationLevel
) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.set_isolation_level(level)
        await connection.execute("select from delta.delta_namespace")
        await client.inform(Item("a"), InformOpts(namespace="acme"), connection=connection)
        await connection.commit()
    assert [row.namespace async for row in client.resources()] == ["acme"]


async def test_a_namespace_that_was_removed_is_made_known_again(
    dsn: str, client: Client, observer: Observer
) -> None:
    opts = InformOpts(namespace="acme")
    with SyncClient(dsn) as sync_client, psycopg.connect(dsn) as connection:
        informs = [
            lambda item: client.inform(item, opts),
            lambda item: asyncio.to_thread(sync_client.inform, item, opts),
            lambda item: asyncio.to_thread(sync_client.inform, item, opts, connection=connection),
        ]
        for number, inform in enumerate(informs):
            await inform(Item(f"known-{number}"))
            connection.commit()
            assert await observer.do("delete from delta_namespace") == 1
            await inform(Item(f"removed-{number}"))
            connection.commit()
            assert [row.name for row in await client.control.namespaces()] == ["acme"]


# In a dry run


async def test_a_dry_run_joins_no_transaction_which_could_commit_what_it_does(dsn: str) -> None:
    async with Client(dsn, quick_config(item_controller(print))):
        pass  # the kind is known
    async with (
        Client(dsn, dry_run=True) as client,
        await psycopg.AsyncConnection.connect(dsn) as connection,
    ):
        for use in (
            lambda: client.inform(Item("a"), connection=connection),
            lambda: client.inform_many([Item("a")], connection=connection),
            lambda: client.schedule_inform("item", connection=connection),
        ):
            with pytest.raises(ConfigError, match="in a dry run does not"):
                await use()
        await connection.commit()
        counts = await client.inform_many(Item(f"item-{number % 2_000}") for number in range(3_000))
        assert (counts.created, counts.unchanged) == (2_000, 1_000)
        assert [row async for row in client.resources()] == []
        assert await client.control.inform_runs("item") == []


FIRST_MOMENT = datetime.min.replace(tzinfo=UTC)


@dataclass
class Dated(Item):
    created_at: datetime = FIRST_MOMENT


async def test_the_first_moment_of_the_calendar_is_read_in_whatever_zone_the_caller_is(
    client: Client, dsn: str
) -> None:
    zone = "-c TimeZone=America/New_York"
    async with await AsyncConnection.connect(dsn, options=zone) as connection:
        await client.inform(Dated("a"), connection=connection)
        assert (await client.inform(Dated("a", 2), connection=connection)).outcome == "updated"
        row = await (await connection.execute("show timezone")).fetchone()
        assert row == ("America/New_York",)
    assert inform_sync(dsn, Dated("a", 3), options=zone).outcome == "updated"
    resource = await client.get("item", "a")
    assert resource is not None
    assert resource.external_created_at == FIRST_MOMENT
