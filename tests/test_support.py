import os
from pathlib import Path

import psycopg
import pytest

from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.schema import require_current
from tests.support.waiting import eventually


async def test_a_condition_is_waited_for():
    answers = iter([0, None, "yes"])
    assert await eventually(lambda: next(answers)) == "yes"


async def test_a_condition_that_stays_false_is_quoted():
    with pytest.raises(pytest.fail.Exception, match=r"not within 0.05 s: .*last value was 0"):
        await eventually(lambda: 0, within=0.05)


async def test_an_error_of_the_condition_itself_ends_the_waiting():
    async def broken() -> bool:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        await eventually(broken)


async def test_dsn_is_migrated_and_empty_dsn_is_not(dsn: str, empty_dsn: str):
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await require_current(connection)
    async with await psycopg.AsyncConnection.connect(empty_dsn) as connection:
        cursor = await connection.execute("select to_regnamespace('delta')")
        assert await cursor.fetchone() == (None,)


async def test_an_own_server_is_migrated_and_can_be_restarted(own_server: EmbeddedServer):
    async with await psycopg.AsyncConnection.connect(own_server.dsn) as connection:
        await require_current(connection)
        own_server.restart()
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("select 1")
    async with await psycopg.AsyncConnection.connect(own_server.dsn) as connection:
        await require_current(connection)


def test_the_settings_of_who_runs_the_tests_are_hidden(place: Path):
    seen = {name for name in os.environ if name.startswith(("DELTA_", "PG", "DATABASE_URL"))}
    assert seen == {"DELTA_DATA_DIR"}
    assert Path(os.environ["DELTA_DATA_DIR"]).parent == place
