import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from psycopg import sql

from delta_cli import Client
from delta_cli.engine.database import Connection, Database
from delta_cli.engine.hints import EVENT, INFORM, WORK, HintSender
from tests.support.engine import Item, Stage, item_controller, quick_config
from tests.support.observing import Observer
from tests.support.waiting import eventually

CHANNELS = (WORK, INFORM, EVENT)


@pytest.fixture
async def heard(dsn: str) -> AsyncIterator[list[str]]:
    """The channel and payload of each hint that anybody has sent so far."""
    hints: list[str] = []
    async with await Database(dsn).connect() as connection:
        for channel in CHANNELS:
            name = sql.Identifier(f"delta.{channel}")
            await connection.execute(sql.SQL("listen {}").format(name))
        connection.add_notify_handler(lambda hint: hints.append(f"{hint.channel} {hint.payload}"))
        hearing = asyncio.create_task(hear(connection))
        yield hints
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


async def hear(connection: Connection) -> None:
    while True:
        await connection.execute("select")
        await asyncio.sleep(0.01)


async def work_one(dsn: str, observer: Observer, *, notify: bool) -> None:
    controller = item_controller(Stage(opened=True).work)
    async with Client(dsn, quick_config(controller, notify=notify)) as client:
        await client.start()
        await client.inform(Item("a"))
        await observer.until_state("a", "synced")


async def test_informing_and_working_send_hints(
    dsn: str, observer: Observer, heard: list[str]
) -> None:
    await work_one(dsn, observer, notify=True)
    await eventually(lambda: {"delta.work item default", "delta.event "} <= set(heard))


async def test_a_client_that_is_not_to_notify_sends_no_hint_at_all(
    dsn: str, observer: Observer, heard: list[str]
) -> None:
    await work_one(dsn, observer, notify=False)
    # What was notified before this one is heard before it.
    await observer.connection.execute("""notify "delta.work", 'the end'""")
    await eventually(lambda: "delta.work the end" in heard)
    assert heard == ["delta.work the end"]


async def test_a_hint_that_is_refused_is_dropped_and_the_next_one_sent(
    dsn: str, heard: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    database = Database(dsn)
    await database.open()
    sender = HintSender(database)
    sending = asyncio.create_task(sender.run())
    sender.send(WORK, "x" * 10_000)  # a payload has less than 8000 bytes
    await eventually(lambda: "hints dropped" in caplog.messages)
    sender.send(EVENT)
    await eventually(lambda: heard == ["delta.event "])
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await database.close()


@pytest.mark.parametrize("scope", ["kind", "namespace"])
async def test_a_client_that_closes_right_after_a_command_still_sends_its_hint(
    dsn: str, observer: Observer, heard: list[str], scope: str
) -> None:
    await observer.do("insert into delta_controller (kind, parallelism) values ('default', 1)")
    await observer.do(
        "insert into delta_namespace (name) values ('default') on conflict do nothing"
    )
    async with Client(dsn) as client:
        await client.control.pause(scope, "default")
    async with Client(dsn) as client:
        await client.control.resume(scope, "default")
    lane = "default" if scope == "kind" else "default default"
    await eventually(lambda: f"delta.work {lane}" in heard)
