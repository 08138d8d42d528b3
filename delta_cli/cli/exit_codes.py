"""What the exit status of `delta` means, and which error gives which. The numbers never change."""

from enum import IntEnum
from typing import Final

from delta_cli.engine import errors


class ExitCode(IntEnum):
    """The exit status; scripts may rely on it."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NO_CONNECTION = 3
    TIMEOUT = 4
    NOT_FOUND = 5
    REFUSED = 6  # the resource's state does not allow it
    SCHEMA = 7  # the database's schema is out of date
    SOME_FAILED = 8  # finished, but some resources failed
    SKIPPED = 9  # another process holds the lock
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


#: What each of them means, for `delta help exit-codes`.
MEANINGS: Final[dict[ExitCode, str]] = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "usage: an option, a setting or the application is wrong",
    ExitCode.NO_CONNECTION: "no connection to the database",
    ExitCode.TIMEOUT: "not done in the time that was given",
    ExitCode.NOT_FOUND: "not found",
    ExitCode.REFUSED: "refused: the state does not allow it",
    ExitCode.SCHEMA: "the database's schema is not the one this delta needs",
    ExitCode.SOME_FAILED: "finished, but some resources failed",
    ExitCode.SKIPPED: "skipped: another process holds the lock, or it is paused or switched off",
    ExitCode.HUNG_UP: "ended by SIGHUP, as when its terminal is closed",
    ExitCode.INTERRUPTED: "ended by Ctrl-C",
    ExitCode.TERMINATED: "ended by SIGTERM",
}

_BY_ERROR: tuple[tuple[type[errors.DeltaError], ExitCode], ...] = (
    (errors.ConfigError, ExitCode.USAGE),
    (errors.InvalidObject, ExitCode.FAILED),
    (errors.ConnectionFailed, ExitCode.NO_CONNECTION),
    (errors.EmbeddedError, ExitCode.NO_CONNECTION),
    (errors.WaitTimeout, ExitCode.TIMEOUT),
    (errors.NotFound, ExitCode.NOT_FOUND),
    (errors.StateConflict, ExitCode.REFUSED),
    (errors.SchemaError, ExitCode.SCHEMA),
)


def code_of(error: errors.DeltaError) -> ExitCode:
    """The exit status that tells of an error."""
    for cls, code in _BY_ERROR:
        if isinstance(error, cls):
            return code
    return ExitCode.FAILED
