import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from delta_cli import (
    Client,
    Config,
    InformOptions,
    NamespaceConfig,
    Resource,
    ResourceState,
    StateConflict,
    TickService,
    client_from_context,
)
from delta_cli.engine.errors import ConfigError, ConnectionFailed, DeltaError
from delta_cli.engine.event_log import EventLog
from delta_cli.engine.loops.heartbeat import Heartbeat
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.runtime import Runtime
from delta_cli.engine.store import read, runs
from delta_cli.engine.ticking import Ticks
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

# Foreground runs


async def listing(options: InformOptions) -> AsyncIterator[Item]:
    assert client_from_context()
    yield Item("a")


async def test_an_informer_that_runs_in_the_foreground_has_its_client(dsn: str) -> None:
    controller = item_controller(Stage(opened=True).work, inform=listing)
    # The worker's own informer, which has its client anyway, does not look in time.
    async with working(dsn, controller, poll_interval=seconds(60)) as client:
        await eventually(client.drained)
        run = await client.schedule_inform("item", run_foreground=True)
        assert (run.state, run.error, run.counts.created) == ("succeeded", None, 1)
        with pytest.raises(DeltaError):
            client_from_context()


async def test_a_foreground_run_of_a_kind_that_is_not_worked_is_refused_and_not_queued(
    dsn: str, observer: Observer
) -> None:
    work = Stage(opened=True).work
    controllers = [item_controller(work, kind=kind, inform=listing) for kind in ("one", "two")]
    async with Client(dsn, quick_config(*controllers)) as client:
        await client.start(kinds=["one"])
        with pytest.raises(ConfigError, match="'two'"):
            await client.schedule_inform("two", run_foreground=True)
        assert await observer.rows("select from delta_inform") == []


async def test_a_foreground_run_within_a_transaction_is_refused_and_not_queued(
    dsn: str, observer: Observer
) -> None:
    controller = item_controller(Stage(opened=True).work, inform=listing)
    async with Client(dsn, quick_config(controller)) as client:
        async with await psycopg.AsyncConnection.connect(dsn) as own:
            with pytest.raises(ConfigError, match="run_foreground or connection"):
                await client.schedule_inform("item", run_foreground=True, connection=own)
        assert await observer.rows("select from delta_inform") == []


async def test_a_foreground_run_of_a_new_kind_lists_once_and_leaves_the_interval_to_workers(
    dsn: str, observer: Observer
) -> None:
    calls: list[InformOptions] = []

    async def counted(options: InformOptions) -> AsyncIterator[Item]:
        calls.append(options)
        yield Item("a")

    controller = item_controller(Stage(opened=True).work, inform=counted)
    async with Client(dsn, quick_config(controller)) as client:
        run = await client.schedule_inform("item", run_foreground=True)
        assert run.state == "succeeded"
        assert (await client.get("item", "a")).state == "synced"
        # Nor does one that others have queued keep it waiting.
        await client.schedule_inform("item")
        run = await client.schedule_inform("item", run_foreground=True)
        assert run.state == "succeeded"
    assert len(calls) == 2
    found = await observer.rows("select requested_by, state from delta_inform order by id")
    assert found == [("client", "succeeded"), ("client", "queued"), ("client", "succeeded")]


async def test_a_foreground_run_does_not_wait_for_other_kinds(dsn: str) -> None:
    stage = Stage()
    other = item_controller(stage.work, kind="other")
    mine = item_controller(Stage(opened=True).work, inform=listing)
    async with working(dsn, mine, other) as client:
        await client.inform(type(other).object_class()("x"))
        await eventually(lambda: stage.running)
        run = await client.schedule_inform("item", run_foreground=True)
        assert run.state == "succeeded"
        assert (await client.get("item", "a")).state == "synced"
        assert stage.running
        assert not await client.drained()


async def cancelled(running: asyncio.Task[Any]) -> None:
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_foreground_run_that_is_cancelled_has_failed_and_is_left_to_nobody(
    dsn: str, observer: Observer
) -> None:
    begun = asyncio.Event()

    async def endless(options: InformOptions) -> AsyncIterator[Item]:
        begun.set()
        await asyncio.Event().wait()
        yield Item("never")

    controller = item_controller(Stage(opened=True).work, inform=endless)
    async with Client(dsn, quick_config(controller)) as client:
        running = asyncio.create_task(client.schedule_inform("item", run_foreground=True))
        await begun.wait()
        await cancelled(running)
    found = await observer.rows("select state, error, worker_id is not null from delta_inform")
    assert found == [("failed", "interrupted", True)]
    assert await observer.value("select inform_failures from delta_controller") == 0


async def test_a_foreground_run_that_ends_before_it_is_claimed_is_left_to_nobody(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = "select array_agg(state::text order by id) from delta_inform"
    waits = "select exists (select from pg_stat_activity where wait_event_type = 'Lock')"

    async def is_waiting() -> bool:
        return await observer.value(waits)

    controller = item_controller(Stage(opened=True).work, inform=listing)
    async with Client(dsn, quick_config(controller)) as client:
        # Cancelled while it is being queued.
        async with observer.connection.transaction():
            await observer.do("lock table delta_inform in share mode")
            running = asyncio.create_task(client.schedule_inform("item", run_foreground=True))
            await eventually(is_waiting)
            running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await observer.value(states) == ["failed"]

        # The worker cannot begin.
        async def fail(_: Runtime) -> None:
            raise RuntimeError("no worker")

        with monkeypatch.context() as patched:
            patched.setattr(Runtime, "run", fail)
            with pytest.raises(RuntimeError, match="no worker"):
                await client.schedule_inform("item", run_foreground=True)
        assert await observer.value(states) == ["failed", "failed"]


async def test_a_foreground_run_that_cannot_be_ended_raises_what_ended_it(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def endless(options: InformOptions) -> AsyncIterator[Item]:
        begun.set()
        await asyncio.Event().wait()
        yield Item("never")

    async def fail(*_: Any, **__: Any) -> None:
        raise ConnectionFailed("away")

    monkeypatch.setattr(runs, "interrupt", fail)
    controller = item_controller(Stage(opened=True).work, inform=endless)
    async with Client(dsn, quick_config(controller)) as client:
        running = asyncio.create_task(client.schedule_inform("item", run_foreground=True))
        await begun.wait()
        await cancelled(running)


# Starting


async def test_to_work_no_namespace_at_all_is_refused(dsn: str) -> None:
    async with Client(dsn, quick_config(item_controller(Stage().work))) as client:
        with pytest.raises(ConfigError, match="namespaces"):
            await client.start(namespaces=[])


async def test_a_start_that_is_cancelled_leaves_no_worker_behind(
    dsn: str, observer: Observer
) -> None:
    async with Client(dsn, quick_config(item_controller(Stage().work))) as client:
        async with observer.connection.transaction():
            await observer.do("lock table delta_worker in access exclusive mode")
            starting = asyncio.create_task(client.start())
            await eventually(lambda: client._worker.runtime is not None)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
        assert await client.wait() is None
        assert await observer.rows("select from delta_worker") == []
        await client.start()
        assert await observer.value("select count(*) from delta_worker") == 1


# Closing


async def test_a_worker_that_dies_says_so_in_the_log_and_raises_its_cause_where_it_is_awaited(
    dsn: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    may_fail = asyncio.Event()

    async def fail(_: Heartbeat) -> None:
        await may_fail.wait()
        raise KeyError("postgresql://ann:hunter2@db\nis away")

    monkeypatch.setattr(Heartbeat, "run", fail)
    client = Client(dsn, quick_config(item_controller(Stage(opened=True).work)))
    await client.open()
    await client.start()
    may_fail.set()
    await eventually(lambda: any(one.levelname == "ERROR" for one in caplog.records))
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert record.getMessage().startswith("worker failed: worker ")
    assert "KeyError" in record.getMessage()
    assert not any(text in record.getMessage() for text in ("hunter2", "\n"))
    assert vars(record)["component"] == "worker"
    assert record.exc_info is not None and record.exc_info[0] is KeyError
    with pytest.raises(KeyError):
        await client.close()


async def test_a_worker_that_cannot_begin_raises_and_logs_nothing(
    dsn: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: Runtime) -> None:
        raise KeyError("no")

    monkeypatch.setattr(Runtime, "_register", fail)
    async with Client(dsn, quick_config(item_controller(Stage(opened=True).work))) as client:
        with pytest.raises(KeyError):
            await client.start()
    assert [one.message for one in caplog.records if one.levelname == "ERROR"] == []


async def test_a_close_that_is_cancelled_while_works_drain_gives_them_back_and_closes_all(
    dsn: str, observer: Observer
) -> None:
    stage = Stage()
    client = Client(dsn, quick_config(item_controller(stage.work), shutdown_timeout=seconds(600)))
    await client.open()
    await client.start()
    await client.inform(Item("a"))
    await eventually(lambda: stage.running)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.close()
    assert not stage.running
    assert (await observer.resource("a"))["state"] == "scheduled"
    assert await observer.rows("select state::text from delta_worker") == [("stopped",)]
    with pytest.raises(DeltaError, match="not open"):
        await client.status()


async def test_a_call_while_a_client_closes_is_told_that_it_is_not_open(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, real, refused = Client(dsn, quick_config()), Ticks.close, 0

    async def close(ticks: Ticks) -> None:
        nonlocal refused
        await real(ticks)
        with pytest.raises(DeltaError, match="not open"):
            await client.ticks()
        refused += 1

    monkeypatch.setattr(Ticks, "close", close)
    async with client:
        assert await client.ticks()
    assert refused == 1


async def test_a_close_of_which_one_part_fails_closes_the_others(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: EventLog) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(EventLog, "close", fail)
    service = TickService("mine", seconds(60), print)
    for _ in range(2):  # a tick of a client that is not closed is refused to another
        client = Client(dsn, quick_config(ticks=[service]))
        await client.open()
        await client.tick("mine")
        with pytest.raises(RuntimeError, match="no"):
            await client.close()
        with pytest.raises(DeltaError, match="not open"):
            await client.status()


# Repairing


async def test_a_repair_takes_the_state_that_it_finds_not_the_one_it_read(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = Client.get

    async def get_stale(self: Client, *key: Any, **options: Any) -> ResourceRow:
        return replace(await get(self, *key, **options), state=ResourceState.FAILED)

    async def work(resource: Resource[Item]) -> None:
        raise ValueError

    async with working(dsn, item_controller(work), max_attempts=1) as client:
        await client.inform(Item("a"))
        await observer.until_state("a", "degraded")
        await client.stop()
        monkeypatch.setattr(Client, "get", get_stale)
        await client.retry("item", "a")
        assert (await observer.resource("a"))["state"] == "scheduled"
        with pytest.raises(StateConflict):
            await client.invalidate("item", "a")


async def test_a_delete_of_what_is_deleted_writes_nothing(dsn: str, observer: Observer) -> None:
    async with Client(dsn) as client:
        await client.inform(Item("a"))
        deleted = await client.delete("item", "a")
        before = await observer.resource("a")
        assert await client.delete("item", "a") == deleted
        assert await observer.resource("a") == before
        assert deleted.state is ResourceState.DELETED
        assert await observer.events() == [("object_deleted", "a", "deleted")]


async def test_a_delete_of_what_is_being_worked_is_refused(dsn: str, observer: Observer) -> None:
    async with Client(dsn) as client:
        await client.inform(Item("a"))
        await observer.do(
            "update delta_resource set state = 'pending', term = 1, attempt = 1,"
            " lease_until = now(), worker_id = 1, due_at = null, attempted_at = now()"
        )
        with pytest.raises(StateConflict, match="item/a is pending"):
            await client.delete("item", "a")


# Reading while the database is away


async def test_a_status_that_cannot_be_had_says_so_in_delta_s_words(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(connection: object) -> None:
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    async with Client(dsn) as client:
        with monkeypatch.context() as patch:
            patch.setattr(read, "counts", broken)
            with pytest.raises(ConnectionFailed, match="closed the connection"):
                await client.status()
        assert (await client.status()).kinds == []


async def test_a_status_is_of_one_moment(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = read.counts

    async def counts_late(connection: Any) -> Any:
        await observer.do("update delta_worker set state = 'lost'")
        return await counts(connection)

    async with Client(dsn, quick_config(item_controller(Stage().work))) as client:
        await observer.do(
            "insert into delta_worker (host, pid, version, kinds, capacity, heartbeat_at)"
            " values ('here', 1, '0', '{item}', 1, now())"
        )
        monkeypatch.setattr(read, "counts", counts_late)
        assert [worker.state for worker in (await client.status()).workers] == ["running"]


async def test_waiting_until_nothing_is_due_outlasts_an_outage(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished, asked = read.unfinished, 0

    async def away_at_first(*arguments: Any, **options: Any) -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise psycopg.OperationalError("away")
        return await unfinished(*arguments, **options)

    monkeypatch.setattr(read, "unfinished", away_at_first)
    async with working(dsn, item_controller(Stage(opened=True).work)) as client:
        await client.wait_until_drained()
    assert asked > 1


async def test_a_client_that_refuses_to_open_leaves_no_connection(
    dsn: str, observer: Observer
) -> None:
    beyond = NamespaceConfig(deleted_retention=timedelta(days=40_000))
    client = Client(dsn, Config(namespaces={"eu": beyond}))
    with pytest.raises(ConfigError, match="deleted_retention of namespace 'eu'"):
        await client.open()
    none_left = "select count(*) = 0 from pg_stat_activity"
    none_left += " where application_name like 'delta %-%' and datname = current_database()"
    # The server ends a session a moment after its client has gone.
    await eventually(lambda: observer.value(none_left))
