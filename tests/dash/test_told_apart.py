"""Rows of a list are told apart by kind and namespace wherever there are several."""

from delta_cli.dash.filters import parse
from delta_cli.dash.screens.resource_rows import columns
from delta_cli.dash.screens.resources import ResourcesTab
from delta_cli.dash.widgets.columns import fit_columns
from tests.dash.conftest import Dash, inform
from tests.support.observing import Observer


async def test_what_tells_two_rows_apart_comes_before_errors(
    dash: Dash, dsn: str, observer: Observer
) -> None:
    await inform(dsn, "7", "8")
    await inform(dsn, "7", kind="user")
    await observer.do("update delta_resource set namespace = 'eu' where object_id = '8'")
    async with dash(tab="resources", size=(120, 40)) as driven:
        await driven.shows("all · 3", " KIND ", " NS ", " user ", " eu ", " default ")
        listed = list(driven.app.query_one(ResourcesTab)._lines.values())
    # With ids as long as those of the standard, and the detail beside the list.
    texts = {"kind": 10, "namespace": 8, "object_id": 36, "error": 300}
    for room, more in ((76, {"error"}), (62, set[str]())):
        fitted = {one.key for one, _ in fit_columns(columns(parse(""), listed), room, texts)}
        assert fitted == {"state", "kind", "namespace", "object_id", "attempt", "updated"} | more
