"""Events straight into the log, for tests of those who read it."""

from collections.abc import Sequence

from delta_cli import Event, EventGap
from tests.support.observing import Observer


async def log_events(
    observer: Observer, count: int, *, kind: str = "item", category: str = "object_synced"
) -> None:
    """Add events to the log, as writers do: under their lock, and all of one transaction.

    Wakes whoever follows the log.
    """
    await observer.do(
        "with locked as materialized ("
        " select pg_advisory_xact_lock(hashtextextended('delta.delta_event', 0)))"
        " insert into delta_event (category, resource_id, namespace, kind, object_id, state,"
        " attempt, max_attempts, generation, sync_count)"
        " select %s::delta_event_category, number, 'default', %s, 'item-' || number, 'synced',"
        " 1, 10, 1, 1 from locked cross join generate_series(1, %s) as number",
        category,
        kind,
        count,
    )
    await observer.connection.execute("select pg_notify('delta.event', '')")


async def cut_log(observer: Observer, up_to: int) -> None:
    """What retention does: remove all events up to an id, and mark that."""
    await observer.do("delete from delta_event where id <= %s", up_to)
    await observer.do("update delta_event_cut set up_to = %s", up_to)


def told(items: Sequence[Event | EventGap]) -> list[int | EventGap]:
    """The ids of events, and the gaps between them."""
    return [item.id if isinstance(item, Event) else item for item in items]
