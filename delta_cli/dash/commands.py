"""The command palette: tabs, kinds, namespaces, alerts, and resources by their `kind/id`."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from delta_cli.dash.widgets.tab_bar import TABS
from delta_cli.dash.words import shown

if TYPE_CHECKING:
    from delta_cli.dash.app import DeltaDash


class DashCommands(Provider):
    """What there is to go to, and resources by their key."""

    @property
    def _dash(self) -> "DeltaDash":
        return cast("DeltaDash", self.app)

    async def discover(self) -> Hits:
        """Everything that needs no typing."""
        for words, help_text, run in self._places():
            yield DiscoveryHit(Content(words), run, text=words, help=help_text)

    async def search(self, query: str) -> Hits:
        """What fits the words, and the resource that they name."""
        matcher = self.matcher(query)
        for words, help_text, run in self._places():
            score = matcher.match(words)
            if score > 0:
                yield Hit(score, Content(words), run, text=words, help=help_text)
        async for hit in self._resources(query.strip()):
            yield hit

    def _places(self) -> "Iterator[tuple[str, str, partial[None]]]":
        dash = self._dash
        for tab, (title, _) in TABS.items():
            yield f"Go to {title}", "a tab", partial(dash.go_to_tab, tab)
        snapshot = dash.state.snapshot
        if snapshot is None:
            return
        for one in snapshot.kinds:
            run = partial(dash.go_to_filter, f"kind:{one.kind}")
            yield f"Resources of kind {shown(one.kind)}", f"{one.total:,}", run
        for namespace in snapshot.namespaces:
            run = partial(dash.go_to_filter, f"ns:{namespace.name}")
            yield f"Resources in namespace {shown(namespace.name)}", "filter", run
        for alert in dash.state.alerts:
            yield f"Alert: {shown(alert.text)}", "jump", partial(dash.go_to_alert, alert)

    async def _resources(self, query: str) -> Hits:
        kind, slash, object_id = query.partition("/")
        wanted = (kind, object_id) if slash else (None, query)
        if not wanted[1]:
            return
        dash = self._dash
        try:
            lines = await dash.store.resources.find(*wanted)
        except Exception:  # noqa: BLE001 - the feed finds out and says so; there is no hit then
            return
        for line in lines:
            words = shown(f"{line.kind}/{line.object_id}")
            told = f"{line.state} in namespace {shown(line.namespace)}"
            # What was written to its end comes before what only begins so.
            score = 1.0 if line.object_id == wanted[1] else 0.5
            yield Hit(score, Content(words), partial(dash.go_to_line, line), text=words, help=told)
