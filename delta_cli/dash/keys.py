"""The keys of the dashboard. Each has a name, under which another key can be set for it."""

from typing import Final

from textual.binding import Binding

from delta_cli.dash.widgets.tab_bar import TABS


def _key(
    keys: str, action: str, words: str, *, show: bool = False, name: str | None = None
) -> Binding:
    return Binding(keys, action, words, show=show, id=name or action.partition("(")[0])


KEYS: Final = (
    *(
        _key(str(number), f"tab('{tab}')", title, name=f"tab-{tab}")
        for number, (tab, (title, _)) in enumerate(TABS.items(), start=1)
    ),
    _key("i", "ask('invalidate')", "invalidate", show=True, name="invalidate"),
    _key("r", "ask('retry')", "retry", show=True, name="retry"),
    _key("ctrl+d", "ask('delete')", "delete", show=True, name="delete"),
    _key("x", "ask('cancel')", "cancel work", show=True, name="cancel"),
    _key("t", "ask('tick')", "tick now", show=True, name="tick"),
    _key("p", "ask('pause')", "pause", show=True, name="pause"),
    _key("P", "ask('resume')", "resume", show=True, name="resume"),
    _key("slash", "filter", "filter", show=True),
    _key("asterisk,m", "mark", "mark", show=True),
    _key("ctrl+a", "mark_all", "mark all"),
    _key("o", "sort", "sort", show=True),
    _key("O", "reverse", "sort the other way"),
    _key("f", "follow", "follow", show=True),
    _key("e", "errors", "errors only", show=True),
    _key("space", "freeze", "freeze", show=True),
    _key("a", "alert", "next alert"),
    _key("d", "diff", "diff", show=True),
    _key("y", "copy", "copy as JSON"),
    _key("Y", "copy_command", "copy as a command"),
    _key("z", "zoom", "zoom"),
    _key("plus", "refresh(0.5)", "read more often", name="faster"),
    _key("minus", "refresh(2.0)", "read less often", name="slower"),
    _key("R", "reconnect", "reconnect now"),
    _key("escape", "leave", "back"),
    _key("left_square_bracket", "history(-1)", "place before", name="before"),
    _key("right_square_bracket", "history(1)", "place after", name="after"),
    _key("colon", "command_palette", "palette", name="palette"),
    _key("question_mark", "help", "help", show=True),
    _key("q", "quit", "quit", show=True),
    Binding("ctrl+c", "quit", "quit", show=False, priority=True, id="quit-at-once"),
)

#: The names under which keys can be set.
KEY_NAMES: Final = tuple(key.id for key in KEYS if key.id)
