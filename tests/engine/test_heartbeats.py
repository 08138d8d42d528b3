from tests.support.engine import Item, Stage, item_controller, seconds, working
from tests.support.observing import Observer
from tests.support.waiting import eventually


async def test_the_listener_s_lag_is_told_without_any_hint(dsn: str, observer: Observer) -> None:
    async with working(dsn, item_controller(Stage().work)) as client:
        listener = client._session.listener("work", "inform", "control")
        assert listener is not None
        # It measures this itself as soon as it listens, and not again for a while.
        await eventually(lambda: listener.lag_ms is not None)
        listener.lag_ms = 12.5

        async def told() -> bool:
            return await observer.value("select listener_lag_ms from delta_worker") == 12.5

        await eventually(told)


async def test_a_worker_that_ends_tells_all_that_it_did(dsn: str, observer: Observer) -> None:
    async with working(
        dsn,
        item_controller(Stage(opened=True).work),
        heartbeat_interval=seconds(60),
        worker_lost_after=seconds(180),
    ) as client:
        await client.inform(Item("a"))
        await client.wait_until_drained()
        assert await observer.value("select heartbeat_interval_s from delta_worker") == 60
        await client.stop()
        told = "select state, synced, last_claim_at is not null from delta_worker"
        assert await observer.rows(told) == [("stopped", 1, True)]


async def test_what_a_worker_did_is_told_once_also_when_it_goes_on_under_another_id(
    dsn: str, observer: Observer
) -> None:
    async def begun_anew() -> bool:
        return await observer.value("select count(*) = 2 from delta_worker")

    async with working(dsn, item_controller(Stage(opened=True).work)) as client:
        await client.inform_many([Item("a"), Item("b")])
        await client.wait_until_drained()
        await observer.do("update delta_worker set state = 'lost'")
        await eventually(begun_anew)
        await client.inform(Item("c"))
        await client.wait_until_drained()
        summary = await client.stop()
        assert summary is not None and summary.counts.synced == 3
        told = "select state::text, synced from delta_worker order by id"
        assert await observer.rows(told) == [("lost", 2), ("stopped", 1)]
