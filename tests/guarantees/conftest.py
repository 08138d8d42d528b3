from tests.cli.conftest import here
from tests.support.observing import observer
from tests.support.processes import workers

__all__ = ["here", "observer", "workers"]
