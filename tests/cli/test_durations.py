"""Durations and moments as people type them."""

from datetime import UTC, datetime, timedelta

import pytest

from delta_cli.cli.durations import duration_of, parse_moment

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("90s", 90), ("1h30m", 5_400), ("1.5h", 5_400), (" 1d2h ", 93_600)],
)
def test_durations_may_have_several_parts(text: str, seconds: float) -> None:
    assert duration_of(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["5", "h", "5x", "1h30", "-5m", "1h 30m", "9999999999d"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert duration_of(text) is None


def test_a_moment_is_a_time_or_so_long_ago() -> None:
    assert parse_moment("1h30m", "--since", NOW) == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
    assert parse_moment("2026-01-31", "--since", NOW) == datetime(2026, 1, 31, tzinfo=UTC)
