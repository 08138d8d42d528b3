"""What all tabs have in common: they show the state, and say what actions are about."""

from collections.abc import Sequence

from textual.containers import Container
from textual.widget import Widget

from delta_cli.dash.actions import Plan
from delta_cli.dash.event_lines import Entry
from delta_cli.dash.glyphs import Glyphs
from delta_cli.dash.state import State
from delta_cli.dash.widgets.keyed_table import KeyedTable


class Tab(Container):
    """One of the six. `main` is what has the focus when the tab comes up."""

    main: str = ""
    #: Verbs that the tab can do to what is chosen.
    verbs: Sequence[str] = ()

    def __init__(self, state: State, *, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id, classes="tab")
        self.state: State = state

    @property
    def glyphs(self) -> Glyphs:
        """The signs to draw with."""
        return self.state.glyphs

    def show_state(self) -> None:
        """Show the state as it is now."""

    def take(self, entries: Sequence[Entry]) -> None:
        """More of the log; also while the tab is hidden."""

    def plan(self, verb: str) -> Plan | None:
        """What a verb would do to what is chosen; None when nothing is."""
        return None

    def go_to(self, key: str) -> None:
        """Put the cursor where a key is."""
        self.query_one(f"#{self.main}", KeyedTable).move_to(key)

    def leave(self) -> bool:
        """Go one step back within the tab. Returns whether there was one."""
        return False

    @property
    def crumbs(self) -> tuple[str, ...]:
        """Where one is within the tab."""
        return ()

    @property
    def table(self) -> KeyedTable | None:
        """The table that has the focus, or the main one."""
        focused: Widget | None = self.screen.focused
        if isinstance(focused, KeyedTable) and focused in self.query(KeyedTable):
            return focused
        return next(iter(self.query(f"#{self.main}").results(KeyedTable)), None)
