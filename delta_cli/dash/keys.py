"""The keys of the dashboard. Each has a name, under which another key can be set for it."""

import re
from collections.abc import Sequence
from typing import Final

from textual.binding import Binding
from textual.keys import KEY_NAME_REPLACEMENTS, Keys, _character_to_key

from delta_cli.dash.widgets.moves import MOVES
from delta_cli.dash.widgets.tab_bar import TABS
from delta_cli.engine.errors import ConfigError


def _key(
    keys: str, action: str, words: str, *, show: bool = False, name: str | None = None
) -> Binding:
    return Binding(keys, action, words, show=show, id=name or action.partition("(")[0])


#: In the order in which a narrow terminal has room for them.
KEYS: Final = (
    *(
        _key(str(number), f"tab('{tab}')", title, name=f"tab-{tab}")
        for number, (tab, (title, _)) in enumerate(TABS.items(), start=1)
    ),
    _key("i", "ask('invalidate')", "invalidate", show=True, name="invalidate"),
    _key("r", "ask('retry')", "retry", show=True, name="retry"),
    _key("ctrl+d", "ask('delete')", "delete", show=True, name="delete"),
    _key("x", "ask('cancel')", "cancel", show=True, name="cancel"),
    _key("t", "ask('tick')", "tick", show=True, name="tick"),
    _key("p", "ask('pause')", "pause", show=True, name="pause"),
    _key("P", "ask('resume')", "resume", show=True, name="resume"),
    _key("slash", "filter", "filter", show=True),
    _key("asterisk,m", "mark", "mark", show=True),
    _key("ctrl+a", "mark_all", "mark all"),
    _key("f", "follow", "follow", show=True),
    _key("e", "errors", "errors", show=True),
    _key("o", "sort", "sort", show=True),
    _key("O", "reverse", "sort the other way"),
    _key("space", "freeze", "freeze", show=True),
    _key("d", "diff", "diff", show=True),
    _key("w", "wrap", "wrap", show=True),
    _key("v", "pager", "pager", show=True),
    _key("y", "copy", "copy", show=True),
    _key("Y", "copy_command", "copy as a command", show=True),
    _key("z", "zoom", "zoom", show=True),
    _key("a", "alert", "next alert", show=True),
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
_NAMED: Final = {key.value for key in Keys} | set(KEY_NAME_REPLACEMENTS.values())
_MODIFIERS: Final = re.compile(r"^(ctrl\+|shift\+|alt\+)*")
_MOVES: Final = {one for binding in MOVES for one in binding.key.split(",")}


def chosen_keys(pairs: Sequence[str]) -> dict[str, str]:
    """Keys by their actions, from pairs as `retry=u`.

    Raises ConfigError for an unknown action, for what is no key, and for a key that already does
    something else.
    """
    chosen: dict[str, str] = {}
    for pair in pairs:
        name, equals, given = pair.partition("=")
        if not equals or not given:
            raise ConfigError(f"--key {pair!r} names no key", hint="write it as retry=u")
        if name not in KEY_NAMES:
            known = ", ".join(KEY_NAMES)
            raise ConfigError(f"there is no action {name!r}", hint=f"actions: {known}")
        chosen[name] = ",".join(_checked(pair, key) for key in given.split(","))
    _refuse_clashes(chosen)
    return chosen


def _checked(pair: str, key: str) -> str:
    """A key by its name for Textual."""
    modifiers = _MODIFIERS.match(key)
    rest = key[modifiers.end() :] if modifiers else key
    if len(rest) == 1 or rest in _NAMED or rest in _names_of_signs():
        return key[: len(key) - len(rest)] + (_character_to_key(rest) if len(rest) == 1 else rest)
    raise ConfigError(f"--key {pair!r}: {key!r} is no key", hint="as u, ctrl+u, f5 or slash")


def _names_of_signs() -> set[str]:
    return {_character_to_key(chr(code)) for code in range(33, 127)}


def _refuse_clashes(chosen: dict[str, str]) -> None:
    taken = dict.fromkeys(_MOVES, "moving the cursor")
    for binding in KEYS:
        name = str(binding.id)
        for key in chosen.get(name, binding.key).split(","):
            if key in taken:
                words = f"{key} is the key of {taken[key]}, and cannot be that of {name} too"
                raise ConfigError(words, hint=f"give {taken[key]} another one")
            taken[key] = name
