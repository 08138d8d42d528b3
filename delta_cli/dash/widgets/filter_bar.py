"""The line in which a filter is written; it is hidden until it is asked for."""

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

    class Left(Message):
        """The line was left."""

    def __init__(self) -> None:
        super().__init__(placeholder=HELP, classes="filter", compact=True)
        self.display = False

    def open(self, text: str) -> None:
        """Show the line with the filter as it is."""
        self.value, self.display = text, True
        self.focus()

    def close(self) -> None:
        """Hide it again."""
        self.display = False
        self.post_message(self.Left())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Read the filter; what is wrong is said, and the line stays."""
        event.stop()
        try:
            chosen = parse(self.value)
        except ConfigError as error:
            self.app.notify(f"{error.message}; {error.hint}", severity="error", markup=False)
            return
        for doubt in chosen.doubts:
            self.app.notify(shown(doubt), severity="warning", markup=False)
        self.post_message(self.Entered(chosen))
        self.close()

    def key_escape(self) -> None:
        """Leave it."""
        self.close()
