import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from delta_cli import Client, InformOptions, InformRun
from tests.support.engine import Item, Stage, item_controller, quick_config, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually

MORNING = datetime(2024, 5, 1, 8, tzinfo=UTC)
NAIVE = MORNING.replace(tzinfo=None)
OVERLAP = timedelta(minutes=1)


@dataclass
class Dated(Item):
    created_at: datetime = MORNING
    kind: ClassVar[str] = "item"


class Listing:
    """What an informer reports; an exception among it is raised there."""

    def __init__(self, *reports: Any) -> None:
        self.reports = reports
        self.given: list[InformOptions] = []

    async def inform(self, options: InformOptions) -> AsyncIterator[Item]:
        self.given.append(options)
        for report in self.reports:
            if isinstance(report, Exception):
                raise report
            yield report

    @property
    def after(self) -> list[datetime | None]:
        return [options.after for options in self.given]


def dated(key: str, hours: int) -> Dated:
    return Dated(key, 0, MORNING + timedelta(hours=hours))


def listing_client(dsn: str, listing: Listing, **settings: Any) -> Any:
    work = Stage(opened=True).work
    return working(
        dsn, item_controller(work, inform=listing.inform, inform_overlap=OVERLAP), **settings
    )


async def run(client: Client, **options: Any) -> InformRun:
    """Queue a run and wait for its end."""
    queued = await client.schedule_inform("item", **options)

    async def ended() -> Any:
        found = await client.inform_run(queued.id)
        return found if found.finished_at else None

    return await eventually(ended)


async def watermark(observer: Observer) -> datetime | None:
    return await observer.value("select last_inform_time from delta_controller")


async def test_the_first_run_gets_no_mark_and_the_next_the_newest_object_less_the_overlap(
    dsn: str, observer: Observer
) -> None:
    listing = Listing(dated("a", 1), dated("c", 3), dated("b", 2))
    async with listing_client(dsn, listing) as client:
        await run(client)
        await run(client)
    newest = MORNING + timedelta(hours=3)
    assert listing.after == [None, newest - OVERLAP]
    assert await watermark(observer) == newest - OVERLAP


async def test_a_failed_listing_leaves_the_mark_and_the_objects_before_its_failure(
    dsn: str, observer: Observer
) -> None:
    listing = Listing(dated("a", 1))
    async with listing_client(dsn, listing) as client:
        await run(client)
        mark = await watermark(observer)
        listing.reports = (dated("b", 2), dated("c", 3), ConnectionError("the API broke off"))
        failed = await run(client)
        assert (failed.state, failed.counts.created) == ("failed", 2)
        assert failed.error == "ConnectionError: the API broke off"
        assert await watermark(observer) == mark
        await observer.until_all("synced", 3)
        listing.reports = (dated("d", 4),)
        assert (await run(client)).state == "succeeded"
    assert listing.after == [None, mark, mark]
    assert await watermark(observer) == MORNING + timedelta(hours=4) - OVERLAP


async def test_a_first_listing_that_fails_leaves_no_mark(dsn: str, observer: Observer) -> None:
    listing = Listing(dated("a", 1), ValueError("no"))
    async with listing_client(dsn, listing) as client:
        await run(client)
        assert await watermark(observer) is None
        await run(client)
    assert listing.after == [None, None]


ZERO = datetime.min.replace(tzinfo=UTC)  # Go's and .NET's time that was never set


async def test_a_mark_that_would_lie_before_the_calendar_is_none(
    dsn: str, observer: Observer
) -> None:
    listing = Listing(Dated("a", 0, ZERO))
    async with listing_client(dsn, listing) as client:
        for _ in range(2):
            assert (await run(client)).state == "succeeded"
            assert await watermark(observer) is None
        listing.reports = (dated("b", 1),)
        assert (await run(client)).state == "succeeded"
        listing.reports = (Dated("a", 1, ZERO),)
        assert (await run(client)).counts.updated == 1
    assert listing.after == [None, None, None, MORNING + timedelta(hours=1) - OVERLAP]
    assert await watermark(observer) == listing.after[-1]


async def test_a_stored_mark_before_the_calendar_is_read_as_none_and_gone_after_the_next_run(
    dsn: str, observer: Observer
) -> None:
    listing = Listing(Dated("a", 0, ZERO))
    async with listing_client(dsn, listing) as client:
        await observer.do(
            "update delta_controller set last_inform_time = '0001-12-31 23:59:00+00 BC'"
        )
        (told,) = await client.control.controllers()
        assert told.last_inform_time is None
        assert (await run(client)).state == "succeeded"
    assert listing.after == [None]
    assert await watermark(observer) is None


async def test_a_listing_of_2500_objects_that_fails_keeps_them_all(
    dsn: str, observer: Observer
) -> None:
    listing = Listing(*(dated(f"item-{number}", 1) for number in range(2_500)), ValueError("no"))
    async with listing_client(dsn, listing) as client:
        failed = await run(client)
        assert (failed.state, failed.counts.created) == ("failed", 2_500)
        assert await observer.value("select count(*) from delta_resource") == 2_500
        assert await watermark(observer) is None


async def test_a_listing_that_hangs_fails_and_leaves_the_mark(dsn: str, observer: Observer) -> None:
    stage = Stage()

    async def inform(options: InformOptions) -> AsyncIterator[Item]:
        yield dated("a", 1)
        await stage.open.wait()

    controller = item_controller(stage.work, inform=inform, inform_timeout=seconds(0.2))
    async with working(dsn, controller) as client:
        failed = await run(client)
        assert failed.state == "failed"
        assert failed.error is not None
        assert "reported nothing for 0.2 s" in failed.error
        assert failed.counts.created == 1
        assert await watermark(observer) is None


async def test_what_a_plain_informer_reported_before_it_hung_is_stored_and_is_enough_for_a_limit(
    dsn: str,
) -> None:
    on = threading.Event()

    def inform(options: InformOptions) -> Iterator[Item]:
        for number in range(50):
            yield dated(f"item-{number}", 1)
        assert on.wait(60)

    controller = item_controller(Stage(opened=True).work, inform=inform, inform_timeout=seconds(1))
    async with working(dsn, controller) as client:
        try:
            limited = await run(client, options=InformOptions(limit=10))
            assert (limited.state, limited.counts.seen) == ("succeeded", 10)
            hung = await run(client)
            assert hung.error == "TimeoutError: inform() reported nothing for 1 s"
            assert (hung.state, hung.counts.seen) == ("failed", 50)
        finally:
            on.set()


async def test_the_time_limit_of_a_listing_does_not_run_while_it_is_written(
    dsn: str, observer: Observer
) -> None:
    limit_s, count = 0.3, 2_500
    asked = asyncio.Event()

    async def inform(options: InformOptions) -> AsyncIterator[Item]:
        for number in range(count):
            asked.set()
            yield dated(f"item-{number}", 1)

    controller = item_controller(
        Stage(opened=True).work, inform=inform, inform_timeout=seconds(limit_s)
    )
    async with working(dsn, controller) as client:
        async with observer.connection.transaction():
            # No batch can be written for longer than the informer may be silent.
            await observer.do("lock table delta_resource in exclusive mode")
            running = asyncio.create_task(run(client))
            await asked.wait()
            await asyncio.sleep(3 * limit_s)
        ended = await running
        assert (ended.state, ended.error, ended.counts.created) == ("succeeded", None, count)


async def test_what_an_informer_reported_before_it_hung_is_stored_however_long_that_takes(
    dsn: str, observer: Observer
) -> None:
    limit_s, count = 0.2, 1_000

    async def inform(options: InformOptions) -> AsyncIterator[Item]:
        for number in range(count):
            yield dated(f"item-{number}", 1)
        await asyncio.Event().wait()

    controller = item_controller(
        Stage(opened=True).work, inform=inform, inform_timeout=seconds(limit_s)
    )
    async with working(dsn, controller) as client:
        async with observer.connection.transaction():
            await observer.do("lock table delta_resource in exclusive mode")
            running = asyncio.create_task(run(client))
            await asyncio.sleep(3 * limit_s)
        ended = await running
        assert (ended.state, ended.counts.created) == ("failed", count)


async def test_the_mark_is_never_beyond_the_database_s_now(dsn: str, observer: Observer) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    listing = Listing(Dated("a", 0, tomorrow))
    async with listing_client(dsn, listing) as client:
        await run(client)
        assert await observer.value(
            "select last_inform_time between now() - interval '90 seconds'"
            " and now() - interval '60 seconds' from delta_controller"
        )


async def test_without_creation_times_the_mark_is_the_start_of_the_run(
    dsn: str, observer: Observer
) -> None:
    listing = Listing(Item("a"))
    async with listing_client(dsn, listing) as client:
        first = await run(client)
        assert first.started_at is not None
        assert await watermark(observer) == first.started_at - OVERLAP


async def test_the_mark_never_goes_back(dsn: str, observer: Observer) -> None:
    listing = Listing(dated("a", 5))
    async with listing_client(dsn, listing) as client:
        await run(client)
        mark = await watermark(observer)
        listing.reports = (dated("b", 1),)
        await run(client)
        assert await watermark(observer) == mark


@pytest.mark.parametrize(
    "options",
    [
        InformOptions(limit=2),
        InformOptions(labels={"team": "red"}),
        InformOptions(after=MORNING + timedelta(hours=2)),
    ],
    ids=["a limit that was reached", "labels", "a later beginning"],
)
async def test_a_run_that_lists_only_a_part_leaves_the_mark(
    dsn: str, observer: Observer, options: InformOptions
) -> None:
    listing = Listing(dated("a", 1))
    async with listing_client(dsn, listing) as client:
        await run(client)
        mark = await watermark(observer)
        listing.reports = (dated("d", 4), dated("c", 3), dated("b", 2))
        assert (await run(client, options=options)).state == "succeeded"
        assert await watermark(observer) == mark


async def test_a_first_run_from_a_time_leaves_no_mark(dsn: str, observer: Observer) -> None:
    async with listing_client(dsn, Listing(dated("c", 3))) as client:
        await run(client, options=InformOptions(after=MORNING))
        assert await watermark(observer) is None


@pytest.mark.parametrize(
    "options",
    [InformOptions(limit=2), InformOptions(after=MORNING), InformOptions()],
    ids=["a limit that was not reached", "an earlier beginning", "everything"],
)
async def test_a_run_that_lists_all_since_the_mark_moves_it(
    dsn: str, observer: Observer, options: InformOptions
) -> None:
    listing = Listing(dated("a", 1))
    async with listing_client(dsn, listing) as client:
        await run(client)
        listing.reports = (dated("b", 4),)
        await run(client, options=options, from_watermark=options.limit is not None)
        assert await watermark(observer) == MORNING + timedelta(hours=4) - OVERLAP


async def test_a_refused_object_is_counted_and_the_others_are_stored(
    dsn: str, observer: Observer
) -> None:
    listing = Listing(dated("a", 1))
    async with listing_client(dsn, listing) as client:
        await run(client)
        mark = await watermark(observer)
        listing.reports = (dated("nul\0", 2), dated("x" * 255, 3), dated("b", 4))
        ended = await run(client)
        assert (ended.state, ended.counts.created, ended.counts.refused) == ("succeeded", 1, 2)
        assert ended.error == (
            "InvalidObject: 2 of 3 objects refused, so the watermark stays; "
            "the first: id of kind 'item' contains a NUL character (at position 3)"
        )
        await observer.until_all("synced", 2)
        assert await watermark(observer) == mark


async def test_what_was_refused_is_listed_again_until_it_is_stored(
    dsn: str, observer: Observer
) -> None:
    listing = Listing(dated("nul\0", 1), dated("b", 3))
    async with listing_client(dsn, listing) as client:
        await run(client)
        assert await watermark(observer) is None
        listing.reports = (dated("nul", 1), dated("b", 3))
        mended = await run(client)
        assert (mended.counts.created, mended.counts.unchanged, mended.error) == (1, 1, None)
        assert listing.after == [None, None]
        assert await watermark(observer) == MORNING + timedelta(hours=3) - OVERLAP


async def test_a_listing_of_which_everything_is_refused_has_failed(
    dsn: str, observer: Observer
) -> None:
    listing = Listing(*(Dated(f"item-{number}", 0, NAIVE) for number in range(10)))
    async with listing_client(dsn, listing) as client:
        ended = await run(client)
        assert (ended.state, ended.counts.seen, ended.counts.refused) == ("failed", 10, 10)
        assert ended.error == (
            "InvalidObject: 10 of 10 objects refused, so the watermark stays; "
            "the first: object 'item-0': created_at has no time zone: 2024-05-01T08:00:00"
        )
        assert await watermark(observer) is None
        assert await observer.value("select inform_failures from delta_controller") == 1


async def test_a_listing_of_nothing_has_not_failed(dsn: str, observer: Observer) -> None:
    async with listing_client(dsn, Listing()) as client:
        ended = await run(client)
        assert (ended.state, ended.error, ended.counts.seen) == ("succeeded", None, 0)
        assert await watermark(observer) is not None


async def test_a_run_whose_worker_died_runs_again_from_the_old_mark(
    dsn: str, observer: Observer
) -> None:
    listing = Listing(dated("a", 1))
    async with Client(dsn, quick_config(item_controller(Stage().work, inform=listing.inform))):
        pass  # makes the kind known
    async with Client(dsn, quick_config()) as client:
        queued = await client.schedule_inform("item")
    await observer.do(
        "update delta_inform set state = 'running', worker_id = 4711, started_at = now(),"
        " lease_until = now() + interval '1 hour'"
    )
    async with listing_client(dsn, listing) as client:
        await eventually(lambda: listing.given)
        await observer.until_all("synced", 1)
        assert listing.after == [None]
        assert (await client.inform_run(queued.id)).id == queued.id


async def test_an_informer_does_not_bring_back_what_was_deleted(
    dsn: str, observer: Observer
) -> None:
    listing = Listing(dated("a", 1), dated("b", 1))
    async with listing_client(dsn, listing) as client:
        await run(client)
        await observer.until_all("synced", 2)
        await client.delete("item", "a")
        listing.reports = (Dated("a", 7, MORNING), dated("b", 1))
        ended = await run(client)
        assert (ended.counts.skipped, ended.counts.unchanged) == (1, 1)
        assert (await observer.resource("a"))["state"] == "deleted"
