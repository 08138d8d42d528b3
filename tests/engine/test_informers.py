"""Whatever an informer does, the worker goes on."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from delta_cli import InformOptions
from delta_cli.engine.informing import InformStream
from tests.support.engine import Item, Stage, item_controller, working
from tests.support.observing import Observer
from tests.support.waiting import eventually


class Mute(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ValueError("half \ud800"), "ValueError: half \\ud800"),
        (ValueError("nul \0"), "ValueError: nul \\0"),
        (Mute(), "Mute: Mute"),
    ],
    ids=["half a character", "nul", "mute"],
)
async def test_a_failure_that_cannot_be_told_ends_its_run_and_not_the_worker(
    dsn: str, observer: Observer, failure: Exception, told: str
) -> None:
    async def inform(options: InformOptions) -> AsyncIterator[Item]:
        yield Item("a")
        raise failure

    controller = item_controller(Stage(opened=True).work, inform=inform)
    async with working(dsn, controller) as client:
        run = await client.schedule_inform("item")

        async def ended() -> Any:
            found = await client.inform_run(run.id)
            return found if found.finished_at else None

        found = await eventually(ended)
        assert (found.state, found.error) == ("failed", told)
        await observer.until_state("a", "synced")


async def cancelled_from_within() -> None:
    inner = asyncio.create_task(asyncio.sleep(60))
    inner.cancel()
    await inner


async def raising(failure: BaseException) -> None:
    raise failure


FROM_WITHIN = "RuntimeError: inform() was cancelled from within"


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (partial(raising, SystemExit(3)), "SystemExit: 3"),
        (partial(raising, GeneratorExit("no")), "GeneratorExit: no"),
        (partial(raising, asyncio.CancelledError()), FROM_WITHIN),
        (cancelled_from_within, FROM_WITHIN),
    ],
    ids=["exit", "generator's exit", "cancelled", "cancelled task"],
)
async def test_what_ends_a_program_or_a_task_fails_the_run_and_its_worker_goes_on(
    dsn: str, observer: Observer, ending: Callable[[], Awaitable[None]], told: str
) -> None:
    async def inform(options: InformOptions) -> AsyncIterator[Item]:
        yield Item("a")
        await ending()

    controller = item_controller(Stage(opened=True).work, inform=inform)
    async with working(dsn, controller) as client:
        run = await client.schedule_inform("item")

        async def ended() -> Any:
            found = await client.inform_run(run.id)
            return found if found.finished_at else None

        found = await eventually(ended)
        assert (found.state, found.error, found.counts.created) == ("failed", told, 1)
        assert await observer.value("select inform_failures from delta_controller") == 1
        await observer.until_state("a", "synced")
        here = await client.schedule_inform("item", run_foreground=True)
        assert (here.state, here.error) == ("failed", told)


@pytest.mark.parametrize("failure", [SystemExit(3), GeneratorExit("3")], ids=["exit", "generator"])
async def test_what_ends_a_program_fails_the_run_of_a_plain_informer_too(
    dsn: str, failure: BaseException
) -> None:
    def inform(options: InformOptions) -> Iterator[Item]:
        yield Item("a")
        raise failure

    controller = item_controller(Stage(opened=True).work, inform=inform)
    async with working(dsn, controller) as client:
        run = await client.schedule_inform("item", run_foreground=True)
        assert (run.state, run.error) == ("failed", f"{type(failure).__name__}: 3")
        assert run.counts.created == 1


@pytest.mark.parametrize("limit", [1, None], ids=["limit", "all"])
@pytest.mark.parametrize("is_plain", [False, True], ids=["async", "plain"])
async def test_an_informer_is_closed_within_its_run_which_fails_if_that_does(
    dsn: str, limit: int | None, *, is_plain: bool
) -> None:
    closed_in = list[object]()

    def cleanup() -> None:
        closed_in.append(threading.current_thread() is threading.main_thread())
        raise ConnectionError("cleanup failed")

    def plain(options: InformOptions) -> Iterator[Item]:
        try:
            for number in range(1_000):
                yield Item(str(number))
        finally:
            cleanup()

    async def inform(options: InformOptions) -> AsyncIterator[Item]:
        informing = asyncio.current_task()
        try:
            for number in range(1_000):
                yield Item(str(number))
        finally:
            await asyncio.sleep(0.1)
            assert asyncio.current_task() is informing
            cleanup()

    controller = item_controller(Stage(opened=True).work, inform=plain if is_plain else inform)
    async with working(dsn, controller) as client:
        options = InformOptions(limit=limit)
        run = await client.schedule_inform("item", options, run_foreground=True)
        assert (run.state, run.error) == ("failed", "ConnectionError: cleanup failed")
        assert run.counts.created == (limit or 1_000)
    assert closed_in == [not is_plain]


async def test_a_failure_before_the_cleanup_s_is_the_one_that_is_told(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: InformStream, obj: object) -> None:
        raise KeyError(obj)

    async def inform(options: InformOptions) -> AsyncIterator[Any]:
        try:
            yield "first"
        finally:
            raise ConnectionError("cleanup failed")

    monkeypatch.setattr(InformStream, "take", refuse)
    async with working(dsn, item_controller(Stage().work, inform=inform)) as client:
        run = await client.schedule_inform("item", run_foreground=True)
        assert (run.state, run.error) == ("failed", "KeyError: 'first'")


@pytest.mark.parametrize("progress_interval_s", [0.0, 1_000.0], ids=["told", "while it stores"])
async def test_a_run_that_another_worker_was_given_stores_nothing_more(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch, progress_interval_s: float
) -> None:
    interval = "delta_cli.engine.loops.informer._PROGRESS_INTERVAL_S"
    monkeypatch.setattr(interval, progress_interval_s)
    taken = asyncio.Event()

    async def inform(options: InformOptions) -> AsyncIterator[Item]:
        await taken.wait()
        yield Item("late")

    controller = item_controller(Stage(opened=True).work, inform=inform)
    async with working(dsn, controller) as client:
        run = await client.schedule_inform("item")

        async def given_away() -> bool:
            return bool(
                await observer.do(
                    "update delta_inform set worker_id = -1 where id = %s and state = 'running'",
                    run.id,
                )
            )

        await eventually(given_away)
        taken.set()
        other = await client.schedule_inform("item")
        await observer.do(
            "update delta_inform set state = 'failed', lease_until = null,"
            " finished_at = now() where id = %s",
            run.id,
        )

        async def ended() -> bool:
            return (await client.inform_run(other.id)).finished_at is not None

        await eventually(ended)
        # The second run stored it; the first had not before it was given away.
        rows = await observer.rows("select created from delta_inform order by id")
        assert rows == [(0,), (1,)]
