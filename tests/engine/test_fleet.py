import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delta_cli.engine.fleet import Member, Share, fair_raises, fair_targets, plan

members = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=8).map(
    lambda each: [Member(number, *given) for number, given in enumerate(each, 1)]
)
many = settings(max_examples=300, deadline=None, database=None)


def workers(*each: tuple[int, int]) -> list[Member]:
    """Workers by their capacity and what they are granted."""
    return [Member(number, *given) for number, given in enumerate(each, 1)]


def targets(limit: int, *each: tuple[int, int]) -> list[int]:
    return list(dict(sorted(fair_targets(limit, workers(*each)).items())).values())


@pytest.mark.parametrize(
    ("limit", "each", "expected"),
    [
        (6, [(10, 0), (10, 0), (10, 0)], [2, 2, 2]),
        (6, [(1, 0), (10, 0), (10, 0)], [1, 3, 2]),
        (9, [(1, 0), (2, 0), (10, 0)], [1, 2, 6]),
        (9, [(1, 0), (2, 0), (3, 0)], [1, 2, 3]),
        (2, [(10, 0), (10, 0), (10, 0)], [1, 1, 0]),
        (5, [(0, 5), (10, 0)], [0, 5]),
        (5, [], []),
    ],
)
def test_targets_are_even_within_capacities(
    limit: int, each: list[tuple[int, int]], expected: list[int]
) -> None:
    assert targets(limit, *each) == expected


def test_what_does_not_divide_evenly_stays_where_it_is() -> None:
    assert targets(7, (10, 3), (10, 4)) == [3, 4]
    assert targets(7, (10, 0), (10, 0), (10, 7)) == [2, 2, 3]


@many
@given(st.integers(1, 40), members)
def test_targets_use_the_limit_up_and_no_more(limit: int, each: list[Member]) -> None:
    target = fair_targets(limit, each)
    assert all(0 <= target[one.worker_id] <= one.capacity for one in each)
    assert sum(target.values()) == min(limit, sum(one.capacity for one in each))


@many
@given(st.integers(1, 40), members)
def test_only_its_capacity_keeps_a_worker_more_than_one_below_another(
    limit: int, each: list[Member]
) -> None:
    target = fair_targets(limit, each)
    highest = max(target.values(), default=0)
    assert all(target[one.worker_id] >= min(highest - 1, one.capacity) for one in each)


@many
@given(st.integers(1, 40), members)
def test_a_share_that_was_granted_whole_is_planned_again(limit: int, each: list[Member]) -> None:
    target = fair_targets(limit, each)
    settled = [Member(one.worker_id, one.capacity, target[one.worker_id]) for one in each]
    assert fair_targets(limit, settled) == target


@many
@given(st.integers(1, 40), st.integers(-5, 40), members)
def test_free_slots_are_granted_up_to_the_targets_and_no_more(
    limit: int, available: int, each: list[Member]
) -> None:
    target = fair_targets(limit, each)
    raised = fair_raises(available, each, target)
    missing = {one.worker_id: max(0, target[one.worker_id] - one.granted) for one in each}
    assert all(0 <= raised[one] <= missing[one] for one in missing)
    assert sum(raised.values()) == min(max(0, available), sum(missing.values()))


def test_whoever_has_least_is_granted_first() -> None:
    each = workers((10, 3), (10, 0), (10, 1))
    assert fair_raises(3, each, {1: 4, 2: 4, 3: 4}) == {1: 0, 2: 2, 3: 1}


def test_a_plan_tells_each_worker_only_what_is_new() -> None:
    each = [
        Member(1, capacity=10, granted=3, target=3),
        Member(2, capacity=10, granted=3, target=6),
        Member(3, capacity=10, granted=0, target=0),
    ]
    assert plan(9, 3, each) == [Share(2, 3, 0), Share(3, 3, 3)]
