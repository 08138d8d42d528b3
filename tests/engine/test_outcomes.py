"""What is written of a work that raised several errors at once, as a task group does."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

from delta_cli import Permanent, ResourceDelete, Snooze
from delta_cli.engine.failures import message_of
from delta_cli.engine.outcomes import outcome_of
from delta_cli.engine.store.work import Outcome
from tests.support.engine import Constant, seconds
from tests.support.executing import claimed


def group(*errors: BaseException, text: str = "unhandled errors in a TaskGroup") -> Any:
    return BaseExceptionGroup(text, errors)


def outcome(error: BaseException) -> Outcome:
    return outcome_of(claimed(1), error, 1.0, backoff=Constant(), worker_id=1)


RAISED = [ValueError("a"), asyncio.CancelledError(), SystemExit(3), GeneratorExit()]
GONE, CLOSED = ResourceDelete("gone"), Permanent("card is closed")


@pytest.mark.parametrize(
    ("errors", "state"),
    [
        ([CLOSED], "degraded"),
        ([GONE], "deleted"),
        ([Snooze(seconds(60))], "scheduled"),
        ([group(group(CLOSED))], "degraded"),
        ([Snooze(seconds(60)), GONE, CLOSED], "degraded"),
        ([Snooze(seconds(60)), group(GONE)], "deleted"),
    ],
)
def test_a_signal_that_a_task_group_raised_counts(
    errors: Sequence[BaseException], state: str
) -> None:
    assert outcome(group(*errors)).landing.state == state


def test_of_several_snoozes_the_longest_counts() -> None:
    landing = outcome(group(Snooze(seconds(5)), Snooze(seconds(60)), Snooze(seconds(7)))).landing
    assert (landing.due_in, landing.attempt) == (seconds(60), 0)


def test_what_is_kept_of_a_permanent_failure_is_what_it_said_itself() -> None:
    kept = json.loads(outcome(group(Snooze(seconds(5)), CLOSED)).error or "")
    assert (kept["error"], kept["message"]) == ("Permanent", "card is closed")


@pytest.mark.parametrize("signal", [CLOSED, GONE, Snooze(seconds(60))])
def test_a_signal_beside_another_error_is_a_failure_of_both(signal: Exception) -> None:
    failed = outcome(group(signal, KeyError("b")))
    assert failed.landing.state == "failed"
    kept = json.loads(failed.error or "")
    assert kept["error"] == "ExceptionGroup"
    assert kept["message"] == f"2 errors: {type(signal).__name__}: {signal}; KeyError: 'b'"


class RateLimited(Snooze):
    """Sets what it is given, and forgets the `__init__` of Snooze."""

    def __init__(self, **fields: object) -> None:
        vars(self).update(fields)


@pytest.mark.parametrize("fields", [{}, {"delay": None}, {"delay": 5}, {"delay": seconds(-1)}])
@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: group(error, CLOSED)])
def test_a_snooze_without_a_good_delay_is_a_failure(
    fields: dict[str, object], wrap: Callable[[BaseException], BaseException]
) -> None:
    failed = outcome(wrap(RateLimited(**fields)))
    assert (failed.landing.state, failed.landing.due_in) == ("failed", Constant().delay(1, CLOSED))
    assert "RateLimited" in (failed.error or "")


def test_a_snooze_without_a_delay_says_what_its_class_forgets() -> None:
    message = outcome(RateLimited()).message or ""
    assert message.startswith("RateLimited.delay must be a timedelta")
    assert message.endswith("must call super().__init__(delay)")


class Unreadable(Exception):
    """Raises what it is given as soon as it is asked what it says."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__()
        self.raised = raised

    def __str__(self) -> str:
        raise self.raised


class UnreadableSnooze(Snooze):
    """Has no delay, and raises what it is given as soon as it is asked for it."""

    def __init__(self, raised: BaseException) -> None:
        self.raised = raised

    def __getattr__(self, name: str) -> NoReturn:
        raise self.raised


@pytest.mark.parametrize("unreadable", [Unreadable, UnreadableSnooze])
@pytest.mark.parametrize("raised", RAISED)
def test_an_error_that_raises_when_it_is_asked_is_a_failure(
    unreadable: Callable[[BaseException], BaseException], raised: BaseException
) -> None:
    failed = outcome(unreadable(raised))
    assert (failed.landing.state, failed.landing.due_in) == ("failed", Constant().delay(1, CLOSED))
    assert "Unreadable" in (failed.message or "")


@dataclass(frozen=True)
class Raising:
    """A retry policy that raises: what it is given, or the error that it is asked about."""

    raised: BaseException | None = None

    def delay(self, attempt: int, error: BaseException) -> NoReturn:
        raise self.raised or error


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("is_the_error", [False, True])
def test_a_retry_policy_that_raises_does_not_lose_the_outcome(
    caplog: pytest.LogCaptureFixture, raised: BaseException, is_the_error: bool
) -> None:
    error = raised if is_the_error else KeyError("b")
    policy = Raising(None if is_the_error else raised)
    failed = outcome_of(claimed(1), error, 1.0, backoff=policy, worker_id=1)
    assert (failed.landing.state, failed.landing.due_in) == ("failed", seconds(60))
    assert json.loads(failed.error or "")["error"] == type(error).__name__
    assert caplog.messages[0].startswith(f"retry policy raised: {type(raised).__name__}")


def test_a_group_says_what_its_leaves_say() -> None:
    nested = group(ValueError("a"), group(KeyError("b"), OSError("c")))
    assert message_of(nested) == "3 errors: ValueError: a; KeyError: 'b'; OSError: c"
    assert message_of(group(ValueError("a"))) == "1 error: ValueError: a"


def test_a_group_keeps_the_text_that_was_given_to_it() -> None:
    assert message_of(group(ValueError("a"), text="ann")) == "ann: 1 error: ValueError: a"


def test_a_group_of_thousands_in_depth_and_width_is_cut() -> None:
    deep: BaseException = ValueError("a" * 5_000)
    for _ in range(5_000):
        deep = group(deep)
    message = message_of(group(deep, *[ValueError("b" * 5_000)] * 1_000))
    assert message.startswith("1001 errors: ValueError: aaa")
    assert len(message) == 4096
    assert outcome(group(deep)).landing.state == "failed"


def test_no_leaf_shows_a_password() -> None:
    dsn = "postgresql://u:hunter2@host/db"
    mixed = group(ValueError(dsn), KeyError("x" * 3_000), ValueError(dsn), text=dsn)
    assert "hunter2" not in message_of(mixed)
    assert "hunter2" not in (outcome(mixed).error or "")


def test_a_message_alone_says_what_failed_and_why(caplog: pytest.LogCaptureFixture) -> None:
    claim = claimed(1, namespace="eu")
    for error in (ValueError("the API says no"), Permanent("x\n\x1b[31m password=hunter2")):
        outcome_of(claim, error, 1.0, backoff=Constant(), worker_id=1)
    first, second = caplog.records
    assert logging.Formatter(logging.BASIC_FORMAT).format(first) == (
        "WARNING:delta_cli.engine.outcomes:"
        "work failed: item/item-1 in eu, attempt 1: ValueError: the API says no"
    )
    assert vars(first)["error"] == "the API says no"
    assert second.getMessage() == (
        "work failed: item/item-1 in eu, attempt 1: Permanent: x\\n\\x1b[31m password=***"
    )


@pytest.mark.parametrize("level", [logging.WARNING, logging.CRITICAL], ids=["told", "not told"])
def test_an_error_is_asked_once_what_it_says_and_once_more_for_its_trace(
    caplog: pytest.LogCaptureFixture, level: int
) -> None:
    asked: list[str] = []

    class Costly(Exception):
        def __str__(self) -> str:
            asked.append("once")
            return "costly"

    with caplog.at_level(level, "delta_cli.engine.outcomes"):
        assert outcome(Costly()).message == "costly"
    assert len(asked) == 2
    assert len(caplog.records) == (level == logging.WARNING)
