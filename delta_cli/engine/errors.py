"""Every error that Delta raises, in one tree under `DeltaError`, and the signals of `work()`.

The tree follows what a caller can do about it, not where it happened:

    DeltaError
    ├── ConfigError          a setting, an option or an application is wrong: change it
    ├── InvalidObject        an object is refused before it is stored: mend the object
    ├── ConnectionFailed     no database answers, or it refuses us: see the hint
    ├── WaitTimeout          something did not happen in time
    ├── NotFound             no such resource, kind, run or tick
    ├── StateConflict        the resource is in a state that does not allow this
    ├── LockLost             what held a tick for this process alone broke while it ran
    ├── SchemaError          the database's schema is not the one this Delta needs
    │   ├── SchemaBehind     migrations are to be applied
    │   ├── SchemaNewer      a newer Delta has migrated it
    │   ├── MigrationEdited  an applied migration differs from the shipped one
    │   ├── MigrationPartial a migration began and did not finish
    │   └── SchemaForeign    the schema holds tables that are not Delta's
    └── EmbeddedError        the embedded Postgres cannot be started or reached
"""

from datetime import timedelta
from typing import Any


class _Portable(Exception):
    """Can be pickled and copied, whatever `__init__` takes, also that of a user's subclass.

    So it comes back from another process, as from a pool of them.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args), vars(self)


def _restored(error_type: type[_Portable], args: tuple[Any, ...]) -> _Portable:
    """One without its fields, which whoever unpickles or copies it sets."""
    error = error_type.__new__(error_type, *args)
    error.args = args  # OSError, which is below WaitTimeout, sets them in its __init__
    return error


class DeltaError(_Portable):
    """What went wrong (`message`), and what to do about it (`hint`, may be None)."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message: str = message
        self.hint: str | None = hint


class ConfigError(DeltaError, ValueError):
    """A setting, an option or an application is wrong; the message names it and its value."""


class InvalidObject(DeltaError, ValueError):
    """An object was refused and nothing was stored; `field` says which part of it is wrong."""

    def __init__(self, message: str, *, field: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.field: str = field


class ConnectionFailed(DeltaError):
    """No database answers, or it refuses the user. The message never holds a password."""


class WaitTimeout(DeltaError, TimeoutError):
    """What was waited for did not happen in time."""


class NotFound(DeltaError, LookupError):
    """No such resource, kind, inform run or tick."""


class StateConflict(DeltaError):
    """The resource's state does not allow what was asked; the message names the state."""


class LockLost(DeltaError):
    """The connection that held a tick's lock broke, so that another process may run the tick."""


class SchemaError(DeltaError):
    """The database's schema is not the one that this Delta needs."""


class SchemaBehind(SchemaError):
    """Migrations are to be applied first (`delta migrate`)."""


class SchemaNewer(SchemaError):
    """A newer Delta has migrated this schema."""


class MigrationEdited(SchemaError):
    """An applied migration's checksum differs from the shipped file's."""


class MigrationPartial(SchemaError):
    """A migration began and did not finish."""


class SchemaForeign(SchemaError):
    """The schema holds tables that Delta did not make."""


class EmbeddedError(DeltaError):
    """The embedded Postgres cannot be installed, started or reached."""


class WorkSignal(_Portable):
    """Base of what `work()` raises to say what should become of its resource."""


class ResourceDelete(WorkSignal):
    """Raised by `work()`: the object is gone outside; delete the resource (softly)."""


class Permanent(WorkSignal):
    """Raised by `work()`: trying again cannot help; the resource is degraded at once."""


class Snooze(WorkSignal):
    """Raised by `work()`: not yet; work it again after `delay`, without counting this attempt."""

    def __init__(self, delay: timedelta) -> None:
        if not isinstance(delay, timedelta):
            raise ConfigError(
                f"Snooze(delay) must be a timedelta, got {delay!r}",
                hint="write Snooze(timedelta(minutes=5))",
            )
        if delay < timedelta(0):
            raise ConfigError(f"Snooze(delay) must not be negative, got {delay}")
        super().__init__(f"snoozed for {delay}")
        self.delay: timedelta = delay
