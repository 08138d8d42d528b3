"""A search for a list goes on until it has ended, or until another list is wanted."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, cast

from textual.message import Message
from textual.widget import Widget

from delta_cli.dash.messages import PageRead
from delta_cli.dash.screens.resource_reading import ResourceReading
from delta_cli.dash.store import Page, Resources
from delta_cli.engine.store.overview import Wanted
from tests.support.waiting import eventually

USERS, CARDS = Wanted("user"), Wanted("card")
SEARCH = (Page((), False, 1, False), Page((), False, 2, False), Page((), True, 3, True))


class Shown:
    """A widget that keeps what it is told."""

    def __init__(self) -> None:
        self.display: bool = True
        self.told: list[tuple[Wanted, int]] = []
        self.works: list[asyncio.Task[None]] = []

    def run_worker(self, work: Callable[[], Coroutine[Any, Any, None]], *, group: str) -> None:
        self.works.append(asyncio.create_task(work(), name=group))

    def post_message(self, message: Message) -> None:
        assert isinstance(message, PageRead)
        self.told.append((message.wanted, message.page.looked))


class Searches:
    """A store whose searches take three looks, each as soon as it may."""

    def __init__(self) -> None:
        self.knowns: list[Page | None] = []
        self.may_look: asyncio.Semaphore = asyncio.Semaphore(0)

    async def pages(self, _: Wanted, known: Page | None = None) -> AsyncGenerator[Page]:
        self.knowns.append(known)
        for page in SEARCH:
            await self.may_look.acquire()
            yield page


class Reader:
    """Wishes, looks, and what was told of them."""

    def __init__(self) -> None:
        self.shown: Shown = Shown()
        self.store: Searches = Searches()
        self._reading: ResourceReading = ResourceReading(
            cast(Widget, self.shown), cast(Resources, self.store)
        )

    def wish(self, wanted: Wanted) -> None:
        assert self._reading.read_list(wanted, at_once=True)

    async def look(self, times: int) -> None:
        until = len(self.shown.told) + times
        for _ in range(times):
            self.store.may_look.release()
        await eventually(lambda: len(self.shown.told) == until)

    async def ends(self) -> None:
        await asyncio.wait_for(asyncio.gather(*self.shown.works), 20)


async def test_wishing_for_the_same_list_again_does_not_begin_the_search_anew() -> None:
    reader = Reader()
    reader.wish(USERS)
    await reader.look(1)
    for _ in range(3):
        reader.wish(Wanted("user"))
    await reader.look(3)
    await reader.ends()
    # Once it has ended, the first look brings it up to date.
    assert reader.shown.told == [(USERS, 1), (USERS, 2), (USERS, 3), (USERS, 1)]
    assert reader.store.knowns == [None, SEARCH[-1]]


async def test_wishing_for_another_list_ends_the_search() -> None:
    reader = Reader()
    reader.wish(USERS)
    await reader.look(1)
    reader.wish(CARDS)
    await reader.look(4)
    await reader.ends()
    assert reader.shown.told == [(USERS, 1), (USERS, 2), *((CARDS, n) for n in (1, 2, 3))]
    assert reader.store.knowns == [None, None]


async def test_what_was_found_before_one_left_is_known_when_one_comes_back() -> None:
    reader = Reader()
    reader.wish(USERS)
    await reader.look(1)
    reader.shown.display = False
    await reader.look(1)
    await reader.ends()
    reader.shown.display = True
    reader.wish(USERS)
    # A search that did not end is searched to its end.
    await reader.look(3)
    await reader.ends()
    assert reader.shown.told == [(USERS, n) for n in (1, 2, 1, 2, 3)]
    assert reader.store.knowns == [None, SEARCH[1]]
