from collections import Counter
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from delta_cli.engine.slots import Slots

Lane = tuple[str, str]

KINDS = ("invoice", "user")
NAMESPACES = ("acme", "beta", "core")
ALL_LANES = [(kind, namespace) for kind in KINDS for namespace in NAMESPACES]


@dataclass(frozen=True)
class Case:
    """Limits, what is in use of them, and which lanes are due."""

    parallelism: dict[str, int]
    max_workers: dict[str, int]
    running: list[Lane]
    due: list[Lane]
    most: int

    def slots(self) -> Slots:
        slots = Slots(self.parallelism)
        slots.limit(self.max_workers, {})
        for lane in self.running:
            slots.take(*lane)
        return slots

    def in_use(self, shares: dict[Lane, int]) -> Counter[Lane]:
        return Counter(self.running) + Counter(shares)

    def free(self, shares: dict[Lane, int], lane: Lane) -> int:
        """How many more the lane could have had beside these shares."""
        in_use = self.in_use(shares)
        of_kind = sum(count for (kind, _), count in in_use.items() if kind == lane[0])
        of_namespace = sum(count for (_, name), count in in_use.items() if name == lane[1])
        limit = self.max_workers.get(lane[1])
        return min(
            self.parallelism.get(lane[0], 0) - of_kind,
            self.most - sum(shares.values()),
            *([] if limit is None else [limit - of_namespace]),
        )


cases = st.builds(
    Case,
    st.dictionaries(st.sampled_from(KINDS), st.integers(1, 20), min_size=1),
    st.dictionaries(st.sampled_from(NAMESPACES), st.integers(1, 12)),
    st.lists(st.sampled_from(ALL_LANES), max_size=15),
    st.lists(st.sampled_from(ALL_LANES), unique=True),
    st.integers(0, 30),
)
many = settings(max_examples=300, deadline=None, database=None)


@many
@given(cases)
def test_no_limit_is_ever_passed(case: Case) -> None:
    shares = case.slots().allocate(case.due, case.most)
    assert shares.keys() <= set(case.due)
    assert all(share > 0 for share in shares.values())
    assert sum(shares.values()) <= case.most
    # A limit that was lowered may be passed by what runs already, and nothing is added to that.
    assert all(case.free(shares, lane) >= 0 for lane in shares)


@many
@given(cases)
def test_no_slot_stays_free_that_a_due_lane_could_use(case: Case) -> None:
    shares = case.slots().allocate(case.due, case.most)
    assert all(case.free(shares, lane) <= 0 for lane in case.due)


@many
@given(cases)
def test_a_lane_that_has_fewer_is_served_before_one_that_has_more(case: Case) -> None:
    shares = case.slots().allocate(case.due, case.most)
    in_use = case.in_use(shares)
    highest = max((in_use[lane] for lane in shares), default=0)
    # Only its own kind or namespace keeps a lane more than one below those that were given slots.
    unbounded = replace(case, most=100)
    for lane in case.due:
        assert in_use[lane] >= highest - 1 or unbounded.free(shares, lane) <= 0


def test_due_lanes_share_evenly() -> None:
    shares = Slots({"user": 10}).allocate([("user", "acme"), ("user", "beta")], 100)
    assert shares == {("user", "acme"): 5, ("user", "beta"): 5}


def test_what_a_limited_lane_cannot_use_goes_to_the_others() -> None:
    slots = Slots({"user": 10})
    slots.limit({"acme": 2}, {})
    shares = slots.allocate([("user", "acme"), ("user", "beta")], 100)
    assert shares == {("user", "acme"): 2, ("user", "beta"): 8}


def test_a_lane_that_comes_late_gets_the_next_slots_that_are_free() -> None:
    slots = Slots({"user": 10})
    for _ in range(9):
        slots.take("user", "acme")
    assert slots.allocate([("user", "acme"), ("user", "beta")], 100) == {("user", "beta"): 1}


def test_lanes_take_turns_at_a_single_slot() -> None:
    slots = Slots({"user": 1})
    served = Counter[Lane]()
    for _ in range(20):
        (lane,) = slots.allocate([("user", "acme"), ("user", "beta")], 100)
        served[lane] += 1
        slots.take(*lane)
        slots.free(*lane)
    assert served == {("user", "acme"): 10, ("user", "beta"): 10}


def test_a_limit_that_was_lowered_holds_as_works_end() -> None:
    slots = Slots({"user": 10})
    for _ in range(3):
        slots.take("user", "acme")
    slots.limit({"acme": 2}, {})
    assert slots.allocate([("user", "acme")], 100) == {}
    slots.free("user", "acme")
    assert slots.allocate([("user", "acme")], 100) == {}
    slots.free("user", "acme")
    assert slots.allocate([("user", "acme")], 100) == {("user", "acme"): 1}


def test_a_limit_that_was_lifted_is_none() -> None:
    slots = Slots({"user": 10})
    slots.limit({"acme": 2}, {})
    slots.limit({}, {})
    assert slots.allocate([("user", "acme")], 100) == {("user", "acme"): 10}


def test_kinds_that_this_process_does_not_work_get_nothing() -> None:
    assert Slots({"user": 1}).allocate([("invoice", "acme")], 10) == {}


def test_capacity_is_the_sum_of_all_kinds() -> None:
    assert Slots({"user": 3, "invoice": 4}).capacity == 7
