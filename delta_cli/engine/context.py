"""Which client a controller's code runs for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from delta_cli.engine.errors import DeltaError

if TYPE_CHECKING:  # the client sits far above; only its type is named here
    from delta_cli.engine.client import Client

_current: ContextVar["Client"] = ContextVar("delta_client")


@contextmanager
def client_in_context(client: "Client") -> Iterator[None]:
    """What runs inside, and every task that is begun there, runs for this client.

    A worker does so by itself; a test of a controller gives a client of its own, or a stand-in.
    """
    token = _current.set(client)
    try:
        yield
    finally:
        _current.reset(token)


def client_from_context() -> "Client":
    """The client whose worker runs this code. Raises DeltaError outside `work()` and `inform()`.

    It belongs to the worker's event loop: a plain `work()` may return one of its awaitables, which
    is then awaited, but cannot run it with `asyncio.run()`; that raises DeltaError.
    """
    try:
        return _current.get()
    except LookupError:
        raise DeltaError(
            "there is no client here",
            hint="call client_from_context() inside work() or inform(), or pass the client along",
        ) from None


def has_client_in_context() -> bool:
    """Whether this is code of a controller, which `client_from_context()` serves."""
    return _current.get(None) is not None
