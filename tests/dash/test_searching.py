"""A list finds what it wants behind any number of other rows, and says how far it has looked."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from delta_cli.dash.filters import parse
from delta_cli.dash.store import Page, Resources, searching
from delta_cli.engine.database import Database
from tests.dash.conftest import Dash
from tests.support.observing import Observer

#: Few wanted rows, and many newer ones of another kind and namespace.
FILL = """
with named as (insert into delta_namespace (name) values ('default'), ('eu')),
controlled as (insert into delta_controller (kind, parallelism) values ('user', 1), ('invoice', 1))
insert into delta_resource (
    namespace, kind, object_id, state, max_attempts, object, hash, synced_at, synced_generation,
    due_at, tags
)
select
    case when i <= 6 then 'eu' else 'default' end, case when i <= 6 then 'user' else 'invoice' end,
    case when i <= 6 then 'rare-' else 'plenty-' end || i,
    (array['failed', 'failed', 'degraded', 'synced', 'expired', 'unknown'])[
        case when i <= 6 then i else 4 end
    ]::delta_resource_state,
    10, '{}', '', now(), 1, case when i in (1, 2, 5) then now() + i * interval '1 hour' end,
    case when i <= 6 then array['vip'] else '{}' end
from generate_series(1, 600) as i
"""
#: One worker works on the few, another on all others.
WORK = """
update delta_resource
set state = 'pending', due_at = null, lease_until = now() + interval '1 hour', attempt = 1,
    attempted_at = now(), worker_id = case when kind = 'user' then 7 else 8 end
"""
FILTERS = {
    "state:failed,degraded kind:user": ["rare-3", "rare-2", "rare-1"],
    "state:failed,degraded": ["rare-3", "rare-2", "rare-1"],
    "kind:user state:degraded": ["rare-3"],
    "kind:user state:synced": ["rare-4"],
    "kind:user": [f"rare-{number}" for number in (6, 5, 4, 3, 2, 1)],
    "ns:eu": [f"rare-{number}" for number in (6, 5, 4, 3, 2, 1)],
    "tag:vip": [f"rare-{number}" for number in (6, 5, 4, 3, 2, 1)],
    "rare": [f"rare-{number}" for number in (6, 5, 4, 3, 2, 1)],
    "worker:7": [],
    "worker:7 state:failed": [],
    "kind:nobody": [],
}
LOOK = 50


@pytest.fixture(autouse=True)
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the table were four hundred times as large."""
    monkeypatch.setattr(searching, "LOOK", LOOK)
    monkeypatch.setattr("delta_cli.dash.store.resources._TELL_EVERY_S", 0.0)


async def pages_of(dsn: str, text: str, known: Page | None = None) -> list[Page]:
    database = Database(dsn)
    await database.open()
    try:
        return [page async for page in Resources(database).pages(parse(text).wanted, known)]
    finally:
        await database.close()


def ids(page: Page) -> Sequence[str]:
    return [line.object_id for line in page.lines]


async def test_what_lies_behind_many_newer_rows_is_found(dsn: str, observer: Observer) -> None:
    await observer.do(FILL)
    for text, expected in FILTERS.items():
        last = (await pages_of(dsn, text))[-1]
        assert (ids(last), last.is_all, last.is_over) == (expected, True, True), text


async def test_states_and_namespaces_are_found_by_their_indexes(
    dsn: str, observer: Observer
) -> None:
    await observer.do(FILL)
    for text in ("state:failed,degraded", "state:failed,degraded kind:user", "ns:eu"):
        assert (await pages_of(dsn, text))[-1].looked <= LOOK, text


async def test_a_search_that_goes_on_never_says_that_it_has_seen_all(
    dsn: str, observer: Observer
) -> None:
    await observer.do(FILL)
    *before, last = await pages_of(dsn, "kind:user")
    assert len(before) > 5 and last.looked == 600, (before, last)
    assert not any(page.is_all or page.is_over for page in before)
    assert [page.looked for page in before] == [LOOK * (n + 1) for n in range(len(before))]


async def test_a_list_that_is_read_again_keeps_what_was_found_far_below(
    dsn: str, observer: Observer
) -> None:
    await observer.do(FILL)
    whole = (await pages_of(dsn, "kind:user"))[-1]
    await observer.do("delete from delta_resource where object_id = 'rare-2'")
    await observer.do(
        "update delta_resource set object_id = 'rare-9', kind = 'user'"
        " where object_id = 'plenty-590'"
    )
    first = (await pages_of(dsn, "kind:user", whole))[0]
    assert ids(first) == [f"rare-{number}" for number in (9, 6, 5, 4, 3, 1)]
    assert first.is_all


async def test_a_complete_list_that_has_grown_too_long_says_that_there_are_more(
    dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delta_cli.dash.store.resources.LINES", 6)
    await observer.do(FILL)
    whole = (await pages_of(dsn, "kind:user"))[-1]
    assert (len(whole.lines), whole.is_all) == (6, True)
    await observer.do("update delta_resource set kind = 'user' where object_id = 'plenty-590'")
    first = (await pages_of(dsn, "kind:user", whole))[0]
    assert ids(first) == ["plenty-590", *(f"rare-{number}" for number in (6, 5, 4, 3, 2))]
    assert (first.is_all, first.is_over) == (False, True)


async def test_what_a_search_has_found_that_did_not_end_is_shown_as_not_all(
    dsn: str, observer: Observer
) -> None:
    await observer.do(FILL)
    whole = (await pages_of(dsn, "kind:user"))[-1]
    known = replace(whole, is_all=False, looked=599, is_over=False)
    first, *_, last = await pages_of(dsn, "kind:user", known)
    assert ids(first) == ids(last) == ids(whole)
    assert (first.is_all, first.looked, first.is_over) == (False, 599, False)
    assert (last.is_all, last.looked, last.is_over) == (True, 600, True)


async def test_the_works_of_one_worker_are_found_among_very_many_of_another(
    dsn: str, observer: Observer
) -> None:
    await observer.do(FILL)
    await observer.do(WORK)
    last = (await pages_of(dsn, "worker:7"))[-1]
    assert sorted(ids(last)) == [f"rare-{number}" for number in range(1, 7)]
    assert (last.is_all, last.is_over) == (True, True)


async def test_the_screen_tells_how_far_it_has_looked_and_then_what_it_found(
    dash: Dash, dsn: str, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await observer.do(FILL)
    look, told = searching.Search.look, []

    async def stopping(self: searching.Search, connection: object) -> None:
        """The third look lasts until it was seen what the screen says."""
        if self.looked == 2 * LOOK and self.wanted.kind == "user":
            said = await driven.shows("none among the newest 100 so far", "100 looked at")
            told.append(re.findall("no resources that the filter", said))
        await look(self, connection)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(searching.Search, "look", stopping)
    async with dash(tab="resources", size=(100, 30)) as driven:
        await driven.shows("500 of more")
        await driven.press("slash")
        await driven.write("kind:user state:synced")
        await driven.shows("· 1", "rare-4")
        assert told == [[]]
        await driven.press("slash")
        await driven.write("kind:nobody")
        await driven.shows("no resources that the filter lets through")
