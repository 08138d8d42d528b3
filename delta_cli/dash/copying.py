"""Taking things elsewhere: to the clipboard of the terminal, and into a pager."""

from typing import Final

from delta_cli.dash.actions import Plan
from delta_cli.dash.base import DashBase
from delta_cli.dash.describing import json_of, whole_text
from delta_cli.dash.event_lines import event_words
from delta_cli.dash.pager import show_in_pager
from delta_cli.dash.screens.resources import ResourcesTab
from delta_cli.dash.widgets.event_log import EventLog

_MOST_COPIED: Final = 100_000


class Copying(DashBase):
    """What is under the cursor, as text."""

    def action_copy(self) -> None:
        """The resource, or the row under the cursor, as JSON."""
        row = self.resources.row if isinstance(self.tab, ResourcesTab) else None
        if row is not None:
            self._copy(json_of(row.object), "object")
            return
        table = self.tab.table
        if table is not None and table.row is not None:
            cells = {name: words.strip() for name, (words, _) in table.row.cells.items()}
            self._copy(json_of(cells), "row")

    def action_copy_command(self) -> None:
        """The command line that shows what is under the cursor."""
        line = self.resources.line if isinstance(self.tab, ResourcesTab) else None
        if line is not None:
            self._copy(Plan("get", lines=[line]).commands[0], "command")

    def _copy(self, text: str, what: str) -> None:
        if len(text) > _MOST_COPIED:
            self.notify(f"the {what} is too long to copy: v shows it in a pager", timeout=5)
            return
        self.copy_to_clipboard(text)
        self.notify(f"{what} copied, if the terminal allows it", timeout=2)

    def action_pager(self) -> None:
        """The focused resource, log or row, in the pager."""
        text = self._focused_text()
        if text:
            show_in_pager(self, text)
            self.feed.refresh()

    def _focused_text(self) -> str:
        focused = self.main_screen.focused
        if isinstance(focused, EventLog):
            return event_words(focused.entries, self.state.glyphs)
        if isinstance(self.tab, ResourcesTab):
            row, now = self.resources.row, self.state.now
            if row is not None and now is not None:
                return whole_text(row, self.resources.timeline, now, self.state.glyphs)
        table = self.tab.table
        return table.row_text() if table is not None else ""
