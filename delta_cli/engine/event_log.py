"""The ordered log as one client reads it: its subscriptions, and word of new events."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from weakref import WeakSet

from delta_cli.engine.arguments import check_names
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.events import Changes, Following, Subscription
from delta_cli.engine.hints import EVENT
from delta_cli.engine.model.event import EventCategory
from delta_cli.engine.session import Session
from delta_cli.engine.settings import check_kind, check_namespace
from delta_cli.engine.store.events import EventFilter


class EventLog:
    """What reads the log until it is closed. `subscriptions` are those that somebody holds."""

    def __init__(self, session: Session, poll_interval: timedelta) -> None:
        self.subscriptions: WeakSet[Subscription] = WeakSet()
        self._session: Session = session
        self._poll_interval: timedelta = poll_interval
        self._changes: Changes | None = None

    def subscribe(self, chosen: EventFilter, following: Following) -> Subscription:
        """Read the chosen events; close() ends it if its reader does not.

        Raises ConfigError for a name in a dry run: its position would be moved for good.
        """
        if following.name is not None:
            what = f"move the position of subscription {following.name!r}: leave the name out"
            self._session.refuse_in_dry_run(what)
        subscription = Subscription(
            self._session.database,
            chosen,
            following,
            listener=self._session.listener(EVENT) if following.follow else None,
            poll_interval=self._poll_interval,
        )
        self.subscriptions.add(subscription)
        return subscription

    async def changed(self, within: timedelta) -> bool:
        """Until there are new events since the last call, at most `within`; whether there are."""
        self._session.require_own_loop()
        if self._changes is None:
            self._changes = Changes(self._session.listener(EVENT))
        return await self._changes.wait(within)

    def forget(self) -> None:
        """Let go of what has ended with its event loop."""
        self.subscriptions.clear()
        self._changes = None

    async def close(self) -> None:
        """End every subscription, and be told no more."""
        for subscription in tuple(self.subscriptions):
            await subscription.aclose()
        changes, self._changes = self._changes, None
        if changes is not None:
            changes.close()


def chosen_events(
    categories: Sequence[EventCategory | str],
    kinds: Sequence[str] | None,
    namespaces: Sequence[str] | None,
) -> EventFilter:
    """Events of these categories (none named: of all), kinds and namespaces (None: of all).

    Raises ConfigError for an unknown category, and for a list that lets nothing through or holds
    what is no name.
    """
    return EventFilter(
        categories=[_category(category) for category in categories] or None,
        kinds=_some("kinds", kinds, check_kind),
        namespaces=_some("namespaces", namespaces, check_namespace),
    )


def _category(value: EventCategory | str) -> str:
    try:
        return EventCategory(value).value
    except ValueError:
        raise ConfigError(
            f"unknown event category {str(value)!r}",
            hint=f"categories: {', '.join(EventCategory)}",
        ) from None


def _some(
    name: str, values: Sequence[str] | None, check: Callable[[object], str]
) -> list[str] | None:
    """A filter that lets something through; None: everything."""
    if values is None:
        return None
    if isinstance(values, str) or not values:
        raise ConfigError(
            f"{name} is {values!r}, not a list of some", hint="name some, or give None for all"
        )
    return check_names(name, values, check)
