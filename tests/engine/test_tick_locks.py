import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from delta_cli import LockLost
from delta_cli.engine.database import AWAY, Database
from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.errors import ConnectionFailed
from delta_cli.engine.lock_session import LockSession
from delta_cli.engine.locks import LocalLocker, PostgresAdvisoryLocker
from tests.support.engine import seconds
from tests.support.observing import Observer
from tests.support.pooler import needs_pgbouncer, pgbouncer
from tests.support.waiting import eventually

LOCK = -7_000_000_000_000_000_001


class Held:
    """Something that runs under a lock until it is let go."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.open = asyncio.Event()
        self.cancelled = False

    async def run(self) -> None:
        self.running.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


@contextlib.asynccontextmanager
async def lockers_of(
    dsn: str, *, lost_after_s: float = 15
) -> AsyncIterator[Callable[[], PostgresAdvisoryLocker]]:
    """Makes lockers, each as another process has it."""
    database = Database(dsn)
    lockers: list[PostgresAdvisoryLocker] = []

    def make() -> PostgresAdvisoryLocker:
        lockers.append(PostgresAdvisoryLocker(database, lost_after=seconds(lost_after_s)))
        return lockers[-1]

    try:
        yield make
    finally:
        for locker in lockers:
            await locker.close()


@pytest.fixture
async def locker(dsn: str) -> AsyncGenerator[PostgresAdvisoryLocker]:
    async with lockers_of(dsn) as make:
        yield make()


async def hold(
    locker: PostgresAdvisoryLocker, lock_id: int = LOCK
) -> tuple[Held, asyncio.Task[bool]]:
    held = Held()
    task = asyncio.create_task(locker.with_advisory_lock(lock_id, held.run))
    await eventually(held.running.is_set)
    return held, task


async def locks_held(observer: Observer) -> int:
    return await observer.value(
        "select count(*) from pg_locks where locktype = 'advisory' and granted"
        " and database = (select oid from pg_database where datname = current_database())"
    )


async def sessions_with_locks(observer: Observer) -> int:
    return await observer.value(
        "select count(distinct pid) from pg_locks where locktype = 'advisory'"
        " and database = (select oid from pg_database where datname = current_database())"
    )


async def end_sessions(observer: Observer) -> None:
    await observer.rows(
        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
        " and database = (select oid from pg_database where datname = current_database())"
    )


async def never() -> None:
    pytest.fail("this must not run")


async def test_a_lock_is_one_holder_s_at_a_time(dsn: str, observer: Observer) -> None:
    async with lockers_of(dsn) as make:
        one, other = make(), make()
        held, task = await hold(one)
        assert await other.with_advisory_lock(LOCK, never) is False
        # The session that has it could take it twice.
        assert await one.with_advisory_lock(LOCK, never) is False
        held.open.set()
        assert await task is True
        assert await locks_held(observer) == 0
        free, task = await hold(other)
        free.open.set()
        assert await task is True


async def test_one_session_holds_several_locks(
    locker: PostgresAdvisoryLocker, observer: Observer
) -> None:
    first, one = await hold(locker, 1)
    second, two = await hold(locker, 2)
    assert await locks_held(observer) == 2
    assert await sessions_with_locks(observer) == 1
    first.open.set()
    assert await one is True
    assert await locks_held(observer) == 1
    second.open.set()
    assert await two is True


async def test_what_raises_gives_its_lock_back(
    locker: PostgresAdvisoryLocker, observer: Observer
) -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await locker.with_advisory_lock(LOCK, fail)
    assert await locks_held(observer) == 0


async def test_who_is_cancelled_gives_its_lock_back(
    locker: PostgresAdvisoryLocker, observer: Observer
) -> None:
    held, task = await hold(locker)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert held.cancelled
    await eventually(lambda: none_held(observer))


async def none_held(observer: Observer) -> bool:
    return await locks_held(observer) == 0


def event_loops() -> list[Any]:
    """Workers run on uvloop where it exists."""
    with contextlib.suppress(ImportError):
        import uvloop

        return [asyncio.new_event_loop, uvloop.new_event_loop]
    return [asyncio.new_event_loop]


@pytest.mark.parametrize("event_loop", event_loops())
def test_a_broken_session_cancels_all_that_ran_under_its_locks(
    dsn: str, event_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(lose_two_locks(dsn))


async def lose_two_locks(dsn: str) -> None:
    async with lockers_of(dsn) as make:
        locker, observer = make(), await Observer.connect(dsn)
        first, one = await hold(locker, 1)
        second, two = await hold(locker, 2)
        await end_sessions(observer)
        for held, task in ((first, one), (second, two)):
            with pytest.raises(LockLost, match="lock connection lost"):
                await task
            assert held.cancelled
        again, task = await hold(locker, 1)
        again.open.set()
        assert await task is True
        await observer.connection.close()


async def test_a_session_stays_while_it_says_that_it_is_there(dsn: str, observer: Observer) -> None:
    async with lockers_of(dsn, lost_after_s=1) as make:
        held, task = await hold(make())
        begun = await observer.value("select now()")

        async def passed() -> bool:
            return await observer.value("select now() - %s > interval '1.7 seconds'", begun)

        await eventually(passed)
        held.open.set()
        assert await task is True


async def test_the_server_ends_a_session_that_says_nothing(dsn: str, observer: Observer) -> None:
    async with lockers_of(dsn, lost_after_s=2) as make:
        locker = make()
        held, task = await hold(locker)
        assert locker._shared is not None
        keeping = locker._shared._keeping
        assert keeping is not None
        keeping.cancel()  # as in a process that is frozen
        await eventually(lambda: none_held(observer))
        held.open.set()
        await task


async def test_a_database_that_is_away_is_told_apart(own_server: EmbeddedServer) -> None:
    async with lockers_of(own_server.dsn) as make:
        locker = make()
        held, task = await hold(locker)
        own_server.stop(force=True)
        with pytest.raises(LockLost):
            await task
        assert held.cancelled
        with pytest.raises(AWAY):
            await locker.with_advisory_lock(LOCK, never)
        own_server.join()
        again, task = await hold(locker)
        again.open.set()
        assert await task is True


@needs_pgbouncer
async def test_behind_a_pooler_a_lock_is_a_transaction(
    dsn: str, observer: Observer, place: Path
) -> None:
    async with pgbouncer(place / "locks", dsn) as pooled, lockers_of(pooled) as make:
        one, other = make(), make()
        held, task = await hold(one, 1)
        assert await other.with_advisory_lock(1, never) is False
        # One at a time in each process: a pooler has few server sessions.
        assert await one.with_advisory_lock(2, never) is False
        second, two = await hold(other, 2)
        held.open.set()
        assert await task is True
        free, task = await hold(one, 1)
        await end_sessions(observer)
        for cut_off in (two, task):
            with pytest.raises(LockLost):
                await cut_off
        assert second.cancelled
        assert free.cancelled


async def test_local_locks_are_one_holder_s_at_a_time() -> None:
    locker, held = LocalLocker(), Held()
    task = asyncio.create_task(locker.with_advisory_lock(LOCK, held.run))
    await eventually(held.running.is_set)
    assert await locker.with_advisory_lock(LOCK, never) is False
    held.open.set()
    assert await task is True


async def test_who_asks_for_a_lock_of_a_session_that_is_closed_is_not_cancelled(dsn: str) -> None:
    session = await LockSession.open(Database(dsn), silent_s=15)
    asking = asyncio.create_task(session.try_lock(LOCK))
    await asyncio.sleep(0)
    await session.close()
    with pytest.raises(ConnectionFailed):
        await asking
