from tests.support.observing import observer
from tests.support.processes import workers

__all__ = ["observer", "workers"]
