"""The line in which a filter is written; it is hidden until it is asked for."""

from textual import events
from textual.message import Message
from textual.widgets import Input

from delta_cli.dash.filters import HELP, Filter, parse
from delta_cli.dash.words import shown
from delta_cli.engine.errors import ConfigError


class FilterBar(Input):
    """Posts the filter when it is entered; escape leaves the old one."""

    HELP = f"a filter: {HELP}"

    class Entered(Message):
        """A filter was entered."""

        def __init__(self, chosen: Filter) -> None:
            super().__init__()
            self.chosen: Filter = chosen

    def __init__(self, *, back_to: str) -> None:
        """`back_to`: the id of what has the focus once the line is closed."""
        super().__init__(placeholder=HELP, classes="filter", compact=True)
        self.display = False
        self._back_to: str = back_to

    def open(self, text: str) -> None:
        """Show the line with the filter as it is."""
        self.value, self.display = text, True
        # Not `focus()`, which has to wait its turn while the keys that follow run as actions.
        self.screen.set_focus(self)

    def close(self) -> None:
        """Hide it again."""
        self.screen.set_focus(self.screen.query_one(f"#{self._back_to}"))
        self.display = False

    def on_key(self, event: events.Key) -> None:
        """What was typed ahead of its end, and was on the way here, is no text any more."""
        if not self.display:
            event.stop()
            event.prevent_default()

    async def key_enter(self, event: events.Key) -> None:
        """Enter it at once: what is typed behind it is no part of it."""
        event.stop()
        await self.action_submit()

    def key_escape(self, event: events.Key) -> None:
        """Leave the line and nothing else: the filter stays as it is."""
        event.stop()
        self.close()

    async def action_submit(self) -> None:
        """Read the filter; what is wrong is said, and the line stays."""
        try:
            chosen = parse(self.value)
        except ConfigError as error:
            self.app.notify(f"{error.message}; {error.hint}", severity="error", markup=False)
            return
        for doubt in chosen.doubts:
            self.app.notify(shown(doubt), severity="warning", markup=False)
        self.post_message(self.Entered(chosen))
        self.close()
