import asyncio

import pytest
from psycopg.conninfo import make_conninfo

from delta_cli import Client, SyncClient
from delta_cli.engine.database import Database
from tests.support.engine import Item
from tests.support.observing import Observer
from tests.support.waiting import eventually


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
