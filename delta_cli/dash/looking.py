"""Looking closer: filters, marks, order, following, freezing, wrapping, zooming, help."""

from dataclasses import replace
from typing import Final

from delta_cli.dash.base import DashBase
from delta_cli.dash.keys import KEYS
from delta_cli.dash.screens.events import EventsTab
from delta_cli.dash.screens.help import HelpScreen, Key
from delta_cli.dash.screens.resources import ResourcesTab

_FASTEST_S: Final = 0.5
_SLOWEST_S: Final = 60.0


class Looking(DashBase):
    """Keys that change how something is shown, and nothing else."""

    def action_filter(self) -> None:
        """Write a filter."""
        tab = self.tab
        if isinstance(tab, EventsTab | ResourcesTab):
            tab.open_filter()

    def action_mark(self) -> None:
        """Mark the row under the cursor and go on to the next."""
        table = self.tab.table
        if table is not None and table.cursor_key is not None:
            table.mark(table.cursor_key)
            table.action_move(1)

    def action_mark_all(self) -> None:
        """Mark all rows that are shown."""
        table = self.tab.table
        if table is not None:
            table.mark_all()

    def action_sort(self) -> None:
        """Sort by the next column."""
        table = self.tab.table
        if table is not None:
            table.sort_next()
            self.tab.show_state()

    def action_reverse(self) -> None:
        """Sort the other way round."""
        table = self.tab.table
        if table is not None:
            table.sort_reverse()
            self.tab.show_state()

    def action_follow(self) -> None:
        """Follow the log, or hold it."""
        for log in self.logs:
            if log.follows:
                log.hold()
            else:
                log.follow()

    def action_errors(self) -> None:
        """Only events of what went wrong, or all again."""
        tab = self.tab
        if isinstance(tab, EventsTab):
            tab.filter_by(tab.filter, errors_only=not tab.errors_only)

    def action_freeze(self) -> None:
        """Let everything stand still, or catch up."""
        self.is_frozen = not self.is_frozen
        self.header.frozen = 0 if self.is_frozen else None
        if not self.is_frozen:
            waiting, self.waiting = self.waiting, []
            self.hand_out(waiting)
            self.feed.refresh()
        self.header.refresh()

    def action_wrap(self) -> None:
        """Show long lines whole, or cut where the room ends."""
        if isinstance(self.tab, ResourcesTab):
            self.tab.toggle_wrap()
        for log in self.logs:
            log.toggle_wrap()

    def action_diff(self) -> None:
        """The diff of desired and last synced."""
        self.resources.open_detail("Diff")

    def action_pane(self, by: int) -> None:
        """The next pane of the detail, or the one before."""
        self.resources.turn_pane(by)

    def action_zoom(self) -> None:
        """The focused part over the whole screen, or back."""
        screen = self.main_screen
        if screen.maximized is not None:
            screen.minimize()
        elif screen.focused is not None:
            screen.maximize(screen.focused)

    def action_refresh(self, factor: float) -> None:
        """Read the tables more or less often."""
        self.feed.refresh_s = min(_SLOWEST_S, max(_FASTEST_S, self.feed.refresh_s * factor))
        self.header.refresh_s = self.feed.refresh_s
        self.header.refresh()

    def action_reconnect(self) -> None:
        """Try to connect now."""
        self.feed.reconnect()

    def action_help(self) -> None:
        """What the focused part does, and all keys."""
        focused = self.main_screen.focused
        keys: dict[str, list[str]] = {}
        for binding in KEYS:
            names = self.options.keys.get(str(binding.id), binding.key).split(",")
            shown = [self.get_key_display(replace(binding, key=name)) for name in names]
            keys[binding.description] = [*keys.get(binding.description, []), *shown]
        told = [Key(", ".join(names), words) for words, names in keys.items()]
        self.push_screen(HelpScreen(getattr(focused, "HELP", None), told))
