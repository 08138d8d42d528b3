import logging

import psycopg
import pytest
from psycopg import errors

from delta_cli import Client, ConnectionFailed, DeltaError
from delta_cli.engine import database
from delta_cli.engine.explain import explain

DSN = "host=db.example"

UNCONNECTED = [
    psycopg.OperationalError("the connection is lost"),
    psycopg.InterfaceError("the connection is closed"),
    errors.ConnectionFailure(),
    errors.AdminShutdown(),
    errors.CannotConnectNow(),
    errors.TooManyConnections(),
    errors.InvalidPassword(),
]
REFUSED = [
    errors.DeadlockDetected("deadlock detected"),
    errors.SerializationFailure("could not serialize access"),
    errors.QueryCanceled("canceling statement due to statement timeout"),
    errors.DiskFull("could not extend file"),
    errors.ReadOnlySqlTransaction("cannot execute UPDATE in a read-only transaction"),
]


def name(error: Exception) -> str:
    return type(error).__name__


@pytest.mark.parametrize("error", UNCONNECTED, ids=name)
def test_a_lost_or_refused_connection_is_told_as_that(error: Exception) -> None:
    meaning = explain(error, DSN, "delta")
    assert isinstance(meaning, ConnectionFailed)
    assert "db.example" in meaning.message


@pytest.mark.parametrize("error", REFUSED, ids=name)
def test_a_failed_statement_is_not_told_as_a_lost_connection(error: Exception) -> None:
    meaning = explain(error, DSN, "delta")
    assert type(meaning) is DeltaError
    assert meaning.message == f"the database refuses: {error}"


async def test_a_statement_that_took_too_long_is_told_as_that(dsn: str) -> None:
    async with Client(f"{dsn} options='-c statement_timeout=100ms'") as client:
        with pytest.raises(DeltaError, match=r"refuses: .* statement timeout") as refusal:
            async with client._session.connection() as connection:
                await connection.execute("select pg_sleep(10)")
    assert not isinstance(refusal.value, ConnectionFailed)


@pytest.mark.parametrize("error", [*UNCONNECTED, *REFUSED], ids=name)
async def test_a_worker_tries_again_and_says_why(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    left = [error, error]

    async def step() -> str:
        if left:
            raise left.pop()
        return "done"

    with caplog.at_level(logging.WARNING):
        assert await database.while_away("claimer", step) == "done"
    said = "refuses, waiting" if error in REFUSED else "away, waiting"
    assert caplog.messages == [f"database {said}: {error}", "database is back"]
    assert vars(caplog.records[0])["error"] == str(error)


async def test_a_worker_that_waits_for_long_says_so_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = REFUSED[:3]
    said = [f"database refuses, waiting: {error}" for error in reversed(left)]

    async def step() -> None:
        if left:
            raise left.pop()

    monkeypatch.setattr(database, "_SAY_AGAIN_AFTER_S", 0.0)
    with caplog.at_level(logging.WARNING):
        await database.while_away("claimer", step)
    assert caplog.messages == [*said, "database is back"]


async def test_a_statement_that_is_wrong_is_not_tried_again() -> None:
    async def step() -> None:
        raise errors.UndefinedTable("relation does not exist")

    with pytest.raises(errors.UndefinedTable):
        await database.while_away("claimer", step)
