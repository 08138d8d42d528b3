"""Which client a controller's code runs for."""

from contextvars import ContextVar
from typing import TYPE_CHECKING

from delta_cli.engine.errors import DeltaError

if TYPE_CHECKING:  # the client sits far above; only its type is named here
    from delta_cli.engine.client import Client

current_client: ContextVar["Client"] = ContextVar("delta_client")


def client_from_context() -> "Client":
    """The client whose worker runs this code. Raises DeltaError outside `work()` and `inform()`."""
    try:
        return current_client.get()
    except LookupError:
        raise DeltaError(
            "there is no client here",
            hint="call client_from_context() inside work() or inform(), or pass the client along",
        ) from None
