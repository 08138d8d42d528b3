"""From how a work ended to what is written of it: its state, its event and the error to keep."""

import json
import logging
from datetime import timedelta
from typing import Any, Final

from delta_cli.engine.backoff import RetryPolicy
from delta_cli.engine.errors import Permanent, ResourceDelete, Snooze
from delta_cli.engine.failures import described_as, description_of, leaves_of, message_of, trace_of
from delta_cli.engine.model.event import EventCategory
from delta_cli.engine.resource import Resource
from delta_cli.engine.states import (
    Landing,
    ResourceState,
    landing_after_delete,
    landing_after_failure,
    landing_after_snooze,
    landing_after_success,
)
from delta_cli.engine.store.work import Outcome
from delta_cli.engine.telling import Facts, name_in

log = logging.getLogger(__name__)

_SUCCESS: Final = landing_after_success()
#: When a failed work is tried again whose retry policy is no good.
_DELAY_WITHOUT_POLICY: Final = timedelta(minutes=1)
#: When to look again whether the last work of a resource still runs.
_PUT_OFF: Final = timedelta(seconds=5)


class Cancelled(Exception):
    """What a work failed of that an operator cancelled."""

    def __init__(self, actor: str) -> None:
        super().__init__(f"cancelled by {actor}")
        self.actor: str = actor


def outcome_of(
    claim: Resource[Any],
    error: BaseException | None,
    duration_ms: float,
    *,
    backoff: RetryPolicy,
    worker_id: int,
) -> Outcome:
    """What is written of a work that returned, or raised; failures are also logged.

    Never raises what a user's error or retry policy raises when it is asked.
    """
    if error is None:
        return Outcome(claim, _SUCCESS, EventCategory.OBJECT_SYNCED, duration_ms)
    try:
        told = _told_in(error)
        return _signalled(claim, told, duration_ms) or _failed(
            claim, told, duration_ms, backoff=backoff, worker_id=worker_id
        )
    except KeyboardInterrupt:
        raise
    except BaseException as raised:  # noqa: BLE001 - it is the user's code that is asked
        unreadable = RuntimeError(
            f"{type(error).__name__} cannot be read: {description_of(raised)}"
        )
        unreadable.__cause__ = raised
        return _failed(claim, unreadable, duration_ms, backoff=backoff, worker_id=worker_id)


def put_off(claim: Resource[Any]) -> Outcome:
    """What is written of a claim that cannot be worked yet: the attempt does not count."""
    return Outcome(claim, landing_after_snooze(claim.attempt, _PUT_OFF), None, 0.0)


def _signalled(claim: Resource[Any], error: BaseException, duration_ms: float) -> Outcome | None:
    """What is written of a signal that is no failure."""
    if isinstance(error, Snooze):
        return Outcome(claim, landing_after_snooze(claim.attempt, error.delay), None, duration_ms)
    if isinstance(error, ResourceDelete):
        gone = landing_after_delete(claim.attempt)
        return Outcome(claim, gone, EventCategory.OBJECT_DELETED, duration_ms)
    return None


def _failed(
    claim: Resource[Any],
    error: BaseException,
    duration_ms: float,
    *,
    backoff: RetryPolicy,
    worker_id: int,
) -> Outcome:
    landing = landing_after_failure(
        claim.attempt,
        claim.max_attempts,
        retry_in=_delay(backoff, claim.attempt, error),
        permanent=isinstance(error, Permanent),
    )
    message = message_of(error)
    _log_failure(claim, landing, error, message)
    kept = _error_json(claim.attempt, error, message, worker_id)
    actor = error.actor if isinstance(error, Cancelled) else None
    category = EventCategory.OBJECT_FAILED
    return Outcome(claim, landing, category, duration_ms, kept, actor, message)


def _told_in(error: BaseException) -> BaseException:
    """Of a group of nothing but signals, as of a task group, the one that counts; else the error.

    What ends the resource wins over what puts it off, and of that the longest.
    """
    if not isinstance(error, BaseExceptionGroup):
        return _whole(error)
    signals: list[Permanent | ResourceDelete | Snooze] = []
    for leaf in leaves_of(error):
        whole = _whole(leaf)
        if not isinstance(whole, Permanent | ResourceDelete | Snooze):
            return error
        signals.append(whole)
    return min(signals, key=_rank)


def _whole(error: BaseException) -> BaseException:
    """The error; instead of a snooze without a good delay, which nobody can heed, one that says so.

    A subclass may have an `__init__` of its own that never calls the one of Snooze.
    """
    if not isinstance(error, Snooze):
        return error
    delay: object = getattr(error, "delay", None)
    if isinstance(delay, timedelta) and delay >= timedelta(0):
        return error
    name = type(error).__name__
    broken = TypeError(
        f"{name}.delay must be a timedelta that is not negative, got {delay!r}: "
        "the __init__ of a subclass of Snooze must call super().__init__(delay)"
    )
    broken.__cause__ = error
    return broken


def _rank(signal: Permanent | ResourceDelete | Snooze) -> tuple[int, timedelta]:
    match signal:
        case Permanent():
            return 0, timedelta(0)
        case ResourceDelete():
            return 1, timedelta(0)
        case Snooze():
            return 2, -signal.delay


def _log_failure(
    claim: Resource[Any], landing: Landing, error: BaseException, message: str
) -> None:
    level = logging.ERROR if landing.state is ResourceState.DEGRADED else logging.WARNING
    if not log.isEnabledFor(level):
        return
    name = name_in(claim.namespace, claim.kind, claim.object_id)
    log.log(
        level,
        "work failed: %s",
        Facts(name, f"attempt {claim.attempt}", described_as(error, message)),
        extra={
            "component": "executor",
            "kind": claim.kind,
            "namespace": claim.namespace,
            "object_id": claim.object_id,
            "attempt": claim.attempt,
            "state": landing.state.value,
            "error": message,
        },
    )


def _delay(backoff: RetryPolicy, attempt: int, error: BaseException) -> timedelta:
    """What the policy says; a policy that raises must not lose the outcome."""
    try:
        delay = backoff.delay(attempt, error)
        if isinstance(delay, timedelta) and delay >= timedelta(0):
            return delay
        log.error(
            "retry policy is wrong: %s",
            Facts(repr(delay)),
            extra={"component": "executor", "delay": repr(delay)},
        )
    except KeyboardInterrupt:
        raise
    except BaseException as raised:  # noqa: BLE001 - it is the user's code, and awaits nothing
        log.error(  # noqa: TRY400 - a traceback is not masked
            "retry policy raised: %s",
            Facts(description_of(raised)),
            extra={"component": "executor", "error": message_of(raised)},
        )
    return _DELAY_WITHOUT_POLICY


def _error_json(attempt: int, error: BaseException, message: str, worker_id: int) -> str:
    return json.dumps(
        {
            "attempt": attempt,
            "error": type(error).__qualname__,
            "message": message,
            "trace": trace_of(error),
            "worker_id": worker_id,
        }
    )
