from tests.support.engine import Stage, item_controller, working
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
