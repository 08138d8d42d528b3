from collections import Counter
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from delta_cli.engine.slots import KIND, NAMESPACE, Scope, Slots

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
            slots.take([lane])
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
        slots.take([("user", "acme")])
    assert slots.allocate([("user", "acme"), ("user", "beta")], 100) == {("user", "beta"): 1}


def test_lanes_take_turns_at_a_single_slot() -> None:
    slots = Slots({"user": 1})
    served = Counter[Lane]()
    for _ in range(20):
        (lane,) = slots.allocate([("user", "acme"), ("user", "beta")], 100)
        served[lane] += 1
        slots.take([lane])
        slots.free(*lane)
    assert served == {("user", "acme"): 10, ("user", "beta"): 10}


def test_a_limit_that_was_lowered_holds_as_works_end() -> None:
    slots = Slots({"user": 10})
    for _ in range(3):
        slots.take([("user", "acme")])
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


# Limits of the fleet

FLEET_SCOPES = [(KIND, kind) for kind in KINDS] + [(NAMESPACE, name) for name in NAMESPACES]
fleet_limits = st.dictionaries(st.sampled_from(FLEET_SCOPES), st.integers(0, 12))
some_lanes = st.lists(st.sampled_from(ALL_LANES), max_size=8)


@many
@given(cases, fleet_limits, some_lanes, some_lanes)
def test_no_limit_of_the_fleet_is_ever_passed_and_none_of_its_slots_stays_free(
    case: Case, fleet: dict[Scope, int], reserved: list[Lane], unwritten: list[Lane]
) -> None:
    slots = case.slots()
    slots.limit(case.max_workers, fleet)
    slots.reserve(Counter(reserved))
    shares = slots.allocate(case.due, case.most, unwritten)
    held = Counter(case.running) + Counter(reserved) + Counter(unwritten) + Counter(shares)

    def free_in_fleet(kind: str, namespace: str) -> int:
        of_kind = sum(count for lane, count in held.items() if lane[0] == kind)
        of_namespace = sum(count for lane, count in held.items() if lane[1] == namespace)
        return min(
            fleet.get((KIND, kind), 1_000) - of_kind,
            fleet.get((NAMESPACE, namespace), 1_000) - of_namespace,
        )

    assert all(free_in_fleet(*lane) >= 0 for lane in shares)
    assert all(case.free(shares, lane) <= 0 or free_in_fleet(*lane) <= 0 for lane in case.due)


def test_a_slot_of_the_fleet_is_held_from_before_the_claim_until_the_outcome_is_written() -> None:
    slots, lane = Slots({"user": 5}), ("user", "acme")
    slots.limit({}, {(KIND, "user"): 1})
    shares = slots.allocate([lane], 100)
    assert shares == {lane: 1}
    slots.reserve(shares)
    assert slots.allocate([lane], 100) == {}
    slots.settle(shares)
    slots.take([lane])
    assert slots.allocate([lane], 100) == {}
    slots.free(*lane)
    assert slots.allocate([lane], 100, unwritten=[lane]) == {}
    assert slots.allocate([lane], 100) == {lane: 1}


def test_a_claim_that_was_not_heard_of_holds_what_it_may_have_taken() -> None:
    slots, lane = Slots({"user": 5}), ("user", "acme")
    slots.limit({}, {(NAMESPACE, "acme"): 3})
    slots.reserve({lane: 2})
    assert slots.allocate([lane], 100) == {lane: 1}
    slots.settle_all()
    assert slots.allocate([lane], 100) == {lane: 3}


def test_the_slots_of_this_process_are_free_as_soon_as_works_end() -> None:
    slots, lane = Slots({"user": 1}), ("user", "acme")
    slots.limit({}, {(KIND, "user"): 5})
    assert slots.allocate([lane], 100, unwritten=[lane]) == {lane: 1}


def test_a_process_tells_the_most_that_it_could_use_of_a_limit() -> None:
    slots = Slots({"user": 4, "invoice": 3})
    slots.limit({"acme": 5, "beta": 50}, {})
    assert slots.capacity_of((KIND, "user")) == 4
    assert slots.capacity_of((KIND, "other")) == 0
    assert slots.capacity_of((NAMESPACE, "acme")) == 5
    assert slots.capacity_of((NAMESPACE, "beta")) == 7
    assert slots.capacity_of((NAMESPACE, "core")) == 7


def test_limits_that_are_new_are_told_from_those_that_are_the_same() -> None:
    slots = Slots({"user": 4})
    assert slots.limit({"acme": 5}, {(KIND, "user"): 3})
    assert not slots.limit({"acme": 5}, {(KIND, "user"): 3})
    assert slots.limit({"acme": 5}, {(KIND, "user"): 4})
    assert slots.limit({}, {(KIND, "user"): 4})


def test_a_closed_fleet_gives_no_slot_until_its_limits_are_set_anew() -> None:
    slots, lane = Slots({"user": 4}), ("user", "acme")
    slots.limit({}, {(KIND, "user"): 3})
    slots.close_fleet()
    assert slots.allocate([lane], 100) == {}
    slots.limit({}, {(KIND, "user"): 3})
    assert slots.allocate([lane], 100) == {lane: 3}
