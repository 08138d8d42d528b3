"""Retries wait longer and longer, up to a cap, at random below it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delta_cli.engine.backoff import ExponentialBackoff
from delta_cli.engine.errors import ConfigError

ERROR = RuntimeError("boom")


def test_the_bound_doubles_up_to_the_cap():
    backoff = ExponentialBackoff(base=timedelta(seconds=2), cap=timedelta(seconds=10))
    bounds = [backoff.bound(attempt).total_seconds() for attempt in range(1, 6)]
    assert bounds == [2, 4, 8, 10, 10]


@given(st.integers(min_value=1, max_value=10**9))
def test_every_delay_lies_between_the_floor_and_the_cap(attempt: int):
    backoff = ExponentialBackoff()
    assert backoff.floor <= backoff.delay(attempt, ERROR) <= backoff.cap


def test_the_draw_runs_from_the_floor_to_the_bound():
    highest = ExponentialBackoff(uniform=lambda _low, high: high)
    lowest = ExponentialBackoff(uniform=lambda low, _high: low)
    assert highest.delay(3, ERROR) == highest.bound(3) == timedelta(seconds=8)
    assert lowest.delay(3, ERROR) == lowest.floor


def test_a_floor_above_the_bound_gives_way():
    backoff = ExponentialBackoff(base=timedelta(milliseconds=10))
    assert backoff.delay(1, ERROR) == timedelta(milliseconds=10)


@pytest.mark.parametrize("name", ["base", "cap"])
def test_a_base_or_cap_of_zero_is_refused(name: str):
    with pytest.raises(ConfigError, match=f"{name} must be longer than zero"):
        ExponentialBackoff(**{name: timedelta(0)})  # pyright: ignore[reportArgumentType]
