"""What a process that only works does for speed, and a library must not do to its host."""

from collections.abc import Callable
from typing import Any, Final

from delta_cli.engine.garbage import look_less_often

#: Objects that come into being between two looks for garbage. Claims live until they are written,
#: so that looks as frequent as Python's own (700) find them alive: a fifth of the worker's time.
_BETWEEN_LOOKS: Final = 20_000


def loop_factory() -> Callable[[], Any] | None:
    """The event loop that workers use: uvloop where it is installed, else Python's own (None)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def spare_the_collector() -> None:
    """Look for cyclic garbage less often, and never again among what is loaded by now."""
    look_less_often(_BETWEEN_LOOKS)
