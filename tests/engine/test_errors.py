"""Errors that travel: to another process and back, and into copies."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from delta_cli import InvalidObject, Snooze, WaitTimeout
from delta_cli.engine import errors
from tests.support.engine import seconds


class RateLimited(Snooze):
    """A user's own, whose `__init__` takes something else."""

    def __init__(self, limit: str, *, per: str) -> None:
        super().__init__(seconds(30))
        self.limit = f"{limit}/{per}"


def made(error_type: type[Exception]) -> Exception:
    """An error with all that its type can hold."""
    if issubclass(error_type, RateLimited):
        return error_type("9", per="s")
    if issubclass(error_type, errors.InvalidObject):
        return error_type("no id", field="id", hint="give it one")
    if issubclass(error_type, errors.DeltaError):
        return error_type("not so", hint="but so")
    if issubclass(error_type, errors.Snooze):
        return error_type(seconds(30))
    return error_type("gone", 7)


def pickled(error: Exception) -> Any:
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - our own


EVERY: list[type[Exception]] = [
    one
    for name, one in vars(errors).items()
    if isinstance(one, type) and issubclass(one, Exception) and not name.startswith("_")
]


def test_the_errors_of_the_whole_tree_are_tested_here() -> None:
    assert {InvalidObject, Snooze, WaitTimeout} <= set(EVERY)


@pytest.mark.parametrize("error_type", [*EVERY, RateLimited])
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickled])
def test_an_error_that_is_pickled_or_copied_is_the_same(
    error_type: type[Exception], way: Callable[[Exception], Exception]
) -> None:
    error = made(error_type)
    error.add_note("seen in Oslo")
    again = way(error)
    assert again is not error
    assert type(again) is error_type
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
