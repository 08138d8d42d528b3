"""What a pass does with its result: tell of it, raise its error, refresh the gauges."""

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from delta_cli.engine.database import is_unavailable
from delta_cli.engine.failures import description_of
from delta_cli.engine.model.tick import SkipReason
from delta_cli.engine.ticks.base import component_logger, current_run

PASS_FAILED: Final = "pass failed"  # noqa: S105 - a message, no password
PASS_COMPLETED: Final = "pass completed"  # noqa: S105 - likewise
QUOTA_REFRESH_FAILED: Final = "quota metrics refresh failed after pass"


class QuotaMetricsRefresher(Protocol):
    """Refreshes the gauges of the quotas: limit, granted, used."""

    def update_quota_metrics(self) -> Awaitable[None] | None:
        """Refresh them now; may be a coroutine function."""
        ...


async def handle_pass_result(
    log: logging.Logger | logging.LoggerAdapter[Any],
    manager: QuotaMetricsRefresher | None,
    count: int,
    error: BaseException | None,
    count_key: str,
) -> None:
    """What every pass ends with: `count` things done, named by `count_key`, or an error.

    An unavailable database is no failure: the run that is under way counts as skipped. Any other
    error is raised, so that health sees it. A count above zero is logged. Then the manager
    refreshes the gauges, whose failure is only a warning; None: there are none.
    """
    run = current_run.get()
    if run is not None:
        run.count, run.count_key = count, count_key
    if is_unavailable(error):
        if run is not None:
            run.skip_reason = SkipReason.DATABASE_UNAVAILABLE
        return
    if error is not None:
        raise error
    if count > 0:
        log.info(PASS_COMPLETED, extra={count_key: count})
    await _refresh(log, manager)


def counted_pass(
    name: str,
    do: Callable[[], Awaitable[int]],
    count_key: str,
    *,
    manager: QuotaMetricsRefresher | None = None,
    on_moved: Callable[[], Awaitable[None]] | None = None,
) -> Callable[[], Awaitable[int]]:
    """The work of a service whose tick is a pass. `on_moved` is awaited after one that counts."""
    log = component_logger(name)

    async def work() -> int:
        count, error = 0, None
        try:
            count = await do()
        except Exception as raised:  # noqa: BLE001 - it is raised again, unless it is an outage
            error = raised
        await handle_pass_result(log, manager, count, error, count_key)
        if count > 0 and on_moved is not None:
            await on_moved()
        return count

    return work


async def _refresh(
    log: logging.Logger | logging.LoggerAdapter[Any], manager: QuotaMetricsRefresher | None
) -> None:
    if manager is None:
        return
    try:
        refreshing = manager.update_quota_metrics()
        if inspect.isawaitable(refreshing):
            await refreshing
    except Exception as error:  # noqa: BLE001 - gauges that stand still do not undo a pass
        log.warning(QUOTA_REFRESH_FAILED, extra={"error": description_of(error)})
