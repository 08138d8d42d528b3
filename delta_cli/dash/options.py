"""How the dashboard is opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from textual.theme import Theme


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `where`: the database, without its password; `actor`: who acts.

    `protected`: the profile whose name confirms an action. `themes`: one's own, by name.
    `warnings` are told when it opens.
    """

    where: str
    actor: str
    read_only: bool = False
    protected: str | None = None
    ascii: bool = False
    listen: bool = True
    refresh_s: float = 1.0
    theme: str | None = None
    themes: Mapping[str, Theme] = field(default_factory=dict)
    tab: str = "overview"
    keys: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
