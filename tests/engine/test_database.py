import asyncio

import pytest

from delta_cli.engine.database import Database
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
