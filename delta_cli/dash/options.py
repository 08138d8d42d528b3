"""How the dashboard is opened."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `where`: the database, without its password; `actor`: who acts."""

    where: str
    actor: str
    read_only: bool = False
    ascii: bool = False
    listen: bool = True
    refresh_s: float = 1.0
    theme: str | None = None
    tab: str = "overview"
    keys: Mapping[str, str] = field(default_factory=dict)
