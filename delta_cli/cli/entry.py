"""Where the program `delta` begins: Ctrl-C during its imports ends it without a traceback."""

import sys


def main() -> None:
    """Run `delta` with the words of the command line."""
    try:
        from delta_cli.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)  # as `ExitCode` has it, which may not be imported yet
