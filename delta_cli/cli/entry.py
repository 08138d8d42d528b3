"""Where the program `delta` begins: Ctrl-C during its imports ends it without a traceback."""

import gc
import sys
from typing import Final

#: Objects between two looks for garbage. Most commands end before Python's own number (700) has
#: found any, having looked at all that is imported again and again.
_BETWEEN_LOOKS: Final = 20_000


def main() -> None:
    """Run `delta` with the words of the command line."""
    gc.set_threshold(_BETWEEN_LOOKS)
    try:
        from delta_cli.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)  # as `ExitCode` has it, which may not be imported yet
