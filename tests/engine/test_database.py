import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from delta_cli import Client, Config, ConnectionFailed, NamespaceConfig, SyncClient
from delta_cli.engine.database import Database, LastingConnection, describe_lost_connection
from tests.support.engine import Item
from tests.support.observing import Observer
from tests.support.waiting import eventually

STYLES = [
    "-c datestyle=German,DMY -c bytea_output=escape",
    "-c datestyle=SQL,MDY -c intervalstyle=sql_standard",
    "-c datestyle=Postgres,DMY -c intervalstyle=iso_8601",
]
LONG_AGO = datetime(1999, 2, 1, 4, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIMITED = NamespaceConfig(expiry_ttl=timedelta(days=3, seconds=800), max_workers=1)


@dataclass
class Dated(Item):
    """An item of long ago."""

    kind: ClassVar[str] = "dated"
    created_at: ClassVar[datetime] = LONG_AGO


async def test_a_connection_that_is_given_up_while_it_is_made_is_closed(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuring = asyncio.Event()

    async def never_done(self: Database, connection: object) -> None:
        configuring.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Database, "_configure", never_done)
    connecting = asyncio.create_task(Database(dsn, application_name="given-up").connect())
    await configuring.wait()
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting

    async def none_is_left() -> bool:
        query = "select count(*) from pg_stat_activity where application_name = 'given-up'"
        return await observer.value(query) == 0

    await eventually(none_is_left)


async def test_a_session_that_the_server_ended_a_moment_ago_is_not_used_again(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever pace this machine has, no connection is asked because it rested for long.
    monkeypatch.setattr("delta_cli.engine.database._FRESH_S", 3600.0)
    database = Database(dsn, application_name="ended", max_connections=1)
    await database.open()
    lasting = LastingConnection(database)
    async with database.connection() as one, lasting.use() as other:
        before = {one.info.backend_pid, other.info.backend_pid}
    await observer.do(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
        " where application_name = 'ended'"
    )
    async with database.connection() as one, lasting.use() as other:
        for connection in (one, other):
            await connection.execute("select 1")
        assert before.isdisjoint({one.info.backend_pid, other.info.backend_pid})
    await lasting.close()
    await database.close()


async def test_a_connection_that_breaks_under_a_call_is_told_as_lost(
    dsn: str, observer: Observer
) -> None:
    await observer.do(
        "create function delta.end_session() returns trigger language plpgsql as"
        " 'begin perform pg_terminate_backend(pg_backend_pid()); return new; end';"
        "create trigger end_session before insert on delta.delta_resource"
        " for each row execute function delta.end_session()"
    )
    async with Client(dsn) as client:
        with pytest.raises(ConnectionFailed, match=r"^lost the connection to .*: terminating"):
            await client.inform(Item("a"))


def test_what_libpq_guesses_is_not_taken_for_the_reason() -> None:
    error = psycopg.OperationalError(
        "server closed the connection unexpectedly\n"
        "\tThis probably means the server terminated abnormally\n"
        "\tbefore or while processing the request."
    )
    lost = describe_lost_connection(error, "host=db1")
    assert str(lost) == "lost the connection to host=db1: server closed the connection unexpectedly"


async def test_text_is_utf_8_whatever_the_environment_the_dsn_or_the_database_says(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await observer.do(
        "do $$ begin execute format("
        "'alter database %I set client_encoding to latin1', current_database()); end $$"
    )
    monkeypatch.setenv("PGCLIENTENCODING", "latin1")
    item = Item("ä€漢")
    async with Client(make_conninfo(dsn, client_encoding="latin1")) as client:
        assert (await client.inform(item)).row.object_id == item.key
        with SyncClient(client.database.dsn) as sync_client:
            assert (await asyncio.to_thread(sync_client.inform, item)).outcome == "unchanged"
    assert await observer.value("select convert_to(object_id, 'UTF8') from delta_resource") == (
        item.key.encode()
    )


@pytest.mark.parametrize("styles", STYLES)
async def test_times_and_durations_are_read_in_whatever_style_the_database_writes_them(
    dsn: str, observer: Observer, styles: str
) -> None:
    styled = make_conninfo(dsn, options=styles)
    async with Client(styled, Config(namespaces={"eu": LIMITED})) as client:
        # Changing one of its settings reads the others.
        row = await client.control.change_namespace("eu", {"max_workers": 2})
        assert (row.expiry_ttl_s, row.max_workers) == (260_000, 2)
        assert (await client.control.namespaces())[-1].created_at == row.created_at
        result = await client.inform(Dated("a"))
        assert result.row.external_created_at == LONG_AGO
        assert await client.get("dated", "a") == result.row
        assert abs(await observer.value("select now()") - result.row.created_at) < HOUR
        with SyncClient(styled) as sync_client:
            assert (await asyncio.to_thread(sync_client.inform, Dated("a"))).row == result.row
        async with await psycopg.AsyncConnection.connect(styled) as connection:
            within = await client.inform(Dated("b"), connection=connection)
        assert await client.get("dated", "b") == within.row
        assert within.row.external_created_at == LONG_AGO
