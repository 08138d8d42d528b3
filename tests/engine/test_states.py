from datetime import timedelta

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delta_cli import EventCategory, ResourceState
from delta_cli.engine.states import (
    CLAIMABLE,
    DELETABLE,
    INVALIDATABLE,
    RETRYABLE,
    TRANSITIONS,
    Landing,
    Trigger,
    landing_after_delete,
    landing_after_failure,
    landing_after_hard_stop,
    landing_after_snooze,
    landing_after_success,
)

S = ResourceState
SOON = timedelta(seconds=7)


def from_states(trigger: Trigger) -> set[ResourceState]:
    return {before for before, cause, _ in TRANSITIONS if cause is trigger}


def to_states(trigger: Trigger) -> set[ResourceState]:
    return {after for _, cause, after in TRANSITIONS if cause is trigger}


def test_the_states_are_upstreams_eight() -> None:
    assert " ".join(S) == "unknown scheduled pending synced failed degraded expired deleted"


def test_the_database_knows_the_same_states_and_categories(dsn: str) -> None:
    labels = "select enumlabel from pg_enum where enumtypid = %s::regtype order by enumsortorder"
    with psycopg.connect(dsn, options="-c search_path=delta") as connection:
        states = connection.execute(labels, ["delta_resource_state"]).fetchall()
        categories = connection.execute(labels, ["delta_event_category"]).fetchall()
    assert [row[0] for row in states] == list(S)
    assert [row[0] for row in categories] == list(EventCategory)


def test_every_state_is_entered_and_left() -> None:
    entered = {after for before, _, after in TRANSITIONS if after is not before}
    left = {before for before, _, after in TRANSITIONS if after is not before}
    assert entered == left == set(S)


def test_every_trigger_moves_something() -> None:
    assert {trigger for _, trigger, _ in TRANSITIONS} == set(Trigger)


def test_only_a_claim_enters_pending() -> None:
    entering = {cause for before, cause, after in TRANSITIONS if after is S.PENDING is not before}
    assert entering == {Trigger.CLAIM}


def test_only_work_that_returned_enters_synced() -> None:
    assert {cause for _, cause, after in TRANSITIONS if after is S.SYNCED} == {
        Trigger.WORK_RETURNED
    }


def test_running_work_is_out_of_reach_of_informs_and_operators() -> None:
    moving = {cause for before, cause, after in TRANSITIONS if before is S.PENDING is not after}
    assert moving.isdisjoint(
        {Trigger.INFORM_CHANGED, Trigger.INFORM_EQUAL, Trigger.PROCESS_EXISTING}
        | {Trigger.INVALIDATE, Trigger.RETRY, Trigger.DELETE, Trigger.EXPIRE, Trigger.CLAIM}
    )


def test_nothing_is_worked_that_is_synced_degraded_deleted_or_unknown() -> None:
    assert from_states(Trigger.CLAIM) == set(CLAIMABLE) == {S.SCHEDULED, S.FAILED, S.EXPIRED}


@pytest.mark.parametrize(
    ("trigger", "states"),
    [
        (Trigger.INVALIDATE, INVALIDATABLE),
        (Trigger.RETRY, RETRYABLE),
        (Trigger.DELETE, DELETABLE),
    ],
)
def test_the_states_that_an_operator_may_leave_are_those_of_the_table(
    trigger: Trigger, states: tuple[ResourceState, ...]
) -> None:
    assert from_states(trigger) == set(states)


def test_what_is_rescued_is_tried_again_or_given_up() -> None:
    assert to_states(Trigger.RESCUE) == {S.SCHEDULED}
    assert to_states(Trigger.RESCUE_GAVE_UP) == {S.DEGRADED}


# Where a finished work lands


def test_work_that_returned_lands_synced_and_begins_counting_anew() -> None:
    assert landing_after_success() == Landing(S.SYNCED, attempt=0)


@given(attempt=st.integers(1, 50), max_attempts=st.integers(1, 50), permanent=st.booleans())
@settings(database=None, deadline=None)
def test_work_that_raised_is_tried_again_while_attempts_are_left(
    attempt: int, max_attempts: int, permanent: bool
) -> None:
    landing = landing_after_failure(attempt, max_attempts, retry_in=SOON, permanent=permanent)
    if permanent or attempt >= max_attempts:
        assert landing == Landing(S.DEGRADED, attempt=attempt)
    else:
        assert landing == Landing(S.FAILED, attempt=attempt, due_in=SOON)


def test_a_snooze_does_not_count_as_an_attempt() -> None:
    assert landing_after_snooze(3, SOON) == Landing(S.SCHEDULED, attempt=2, due_in=SOON)


def test_a_hard_stop_does_not_count_as_an_attempt() -> None:
    assert landing_after_hard_stop(1) == Landing(S.SCHEDULED, attempt=0, due_in=timedelta(0))


def test_a_deleted_resource_is_not_due() -> None:
    assert landing_after_delete(2) == Landing(S.DELETED, attempt=2)


@given(attempt=st.integers(1, 10), max_attempts=st.integers(1, 10))
@settings(database=None, deadline=None)
def test_a_landing_is_due_exactly_where_a_claim_may_take_it(
    attempt: int, max_attempts: int
) -> None:
    for landing in (
        landing_after_success(),
        landing_after_failure(attempt, max_attempts, retry_in=SOON),
        landing_after_failure(attempt, max_attempts, retry_in=SOON, permanent=True),
        landing_after_snooze(attempt, SOON),
        landing_after_delete(attempt),
        landing_after_hard_stop(attempt),
    ):
        assert (landing.due_in is not None) == (landing.state in CLAIMABLE)
