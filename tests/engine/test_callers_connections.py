"""Informs through the connections that applications have: set up by others, for themselves."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from delta_cli import Client, InformOpts, InformResult, SyncClient
from tests.support.engine import Item

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
