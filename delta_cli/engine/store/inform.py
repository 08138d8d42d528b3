"""Inform: store what is desired, one batch of one kind at a time.

Written as steps, so that it joins a caller's own transaction on an async or a sync connection.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from delta_cli.engine.errors import InvalidObject, StateConflict
from delta_cli.engine.model.inform import InformCounts, InformOutcome
from delta_cli.engine.objects import EncodedObject
from delta_cli.engine.queries import resource as queries
from delta_cli.engine.settings import DEFAULT_MAX_ATTEMPTS
from delta_cli.engine.statements import Statement, Steps, column

#: Rounds that a guarded batch may take when others inform the same objects at the same time.
_GUARDED_ROUNDS = 10

_Key = tuple[str, str]
_Outcomes = dict[_Key, InformOutcome]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One object to inform. `compare` is given the stored JSON: newer > 0, equal 0, older < 0."""

    encoded: EncodedObject
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    compare: Callable[[str], int] | None = None


#: What a batch most likely holds, which decides how it is sent, never what becomes of it.
Expectation = Literal["new", "mixed", "unchanged"]


@dataclass(frozen=True, slots=True)
class InformPolicy:
    """How a batch is stored.

    `revive`: an inform of a deleted resource brings it back (a client's does, an informer's not).
    `expect` "unchanged": keys and hashes are sent first and objects only where needed; "new": the
    stored hashes are not looked at before the insert. `known_namespaces` are those that most
    likely need no insert. `on_refused` is told of objects whose `compare()` is no good, which are
    passed over; without it they raise InvalidObject.
    """

    revive: bool = True
    process_existing: bool = False
    expect: Expectation = "mixed"
    known_namespaces: frozenset[str] = field(default_factory=frozenset)
    on_refused: Callable[[InvalidObject], None] | None = None


def inform_batch(batch: Sequence[Candidate], policy: InformPolicy) -> Steps[list[InformOutcome]]:
    """Inform objects of one kind. Returns what became of each.

    Of objects with the same key the last wins, or the newest by their `compare()`; the others
    count as unchanged, or as stale where an earlier one was newer.
    """
    outcomes: list[InformOutcome] = ["unchanged"] * len(batch)
    newest = _newest_of_each(batch, policy, outcomes)
    # Sorted by key, so that two batches of the same objects cannot dead-lock.
    chosen = [batch[newest[key]] for key in sorted(newest)]
    yield from _ensure_namespaces(chosen, policy)
    guarded = batch[0].compare is not None
    store = _inform_guarded if guarded else _inform_by_hash
    by_key = yield from store(chosen, policy)
    for key, position in newest.items():
        outcomes[position] = by_key[key]
    return outcomes


def _newest_of_each(
    batch: Sequence[Candidate], policy: InformPolicy, outcomes: list[InformOutcome]
) -> dict[_Key, int]:
    """The position of the one to store of each key; those that cannot be it get their outcome."""
    newest: dict[_Key, int] = {}
    for position, candidate in enumerate(batch):
        earlier = newest.get(_key(candidate))
        if earlier is not None and candidate.compare is not None:
            order = _compare(candidate, batch[earlier].encoded.json, policy)
            if order is None or order < 0:
                outcomes[position] = "refused" if order is None else "stale"
                continue
        newest[_key(candidate)] = position
    return newest


def _compare(candidate: Candidate, stored_json: str, policy: InformPolicy) -> int | None:
    """What `compare()` says; None when it is no good and the object is refused for it."""
    assert candidate.compare is not None
    try:
        return candidate.compare(stored_json)
    except InvalidObject as error:
        if policy.on_refused is None:
            raise
        policy.on_refused(error)
        return None


def count_outcomes(outcomes: Sequence[InformOutcome]) -> InformCounts:
    """The outcomes of a batch, counted."""
    return InformCounts(seen=len(outcomes), **Counter(outcomes))


def _key(candidate: Candidate) -> _Key:
    return candidate.encoded.namespace, candidate.encoded.object_id


def _ensure_namespaces(batch: Sequence[Candidate], policy: InformPolicy) -> Steps[None]:
    missing = {candidate.encoded.namespace for candidate in batch} - policy.known_namespaces
    if missing:
        yield Statement(queries.ENSURE_NAMESPACES, {"namespaces": sorted(missing)})


def make_known_beside(namespaces: Iterable[str]) -> Steps[None]:
    """Make namespaces known on a connection of our own, before a caller's transaction uses them.

    Made there, they would hold up all who use them until that transaction ends.
    """
    yield Statement(queries.ENSURE_NAMESPACES_BESIDE, {"namespaces": sorted(namespaces)})


def _inform_by_hash(batch: Sequence[Candidate], policy: InformPolicy) -> Steps[_Outcomes]:
    outcomes: _Outcomes = {}
    to_write = batch
    if policy.expect == "unchanged":
        to_write = yield from _needing_write(batch, policy, outcomes)
    written = yield from _upsert(to_write, policy)
    outcomes |= written
    left_out = [candidate for candidate in to_write if _key(candidate) not in written]
    if left_out and policy.expect != "unchanged" and not policy.revive:
        # Only a look tells the deleted ones from the unchanged.
        yield from _needing_write(left_out, policy, outcomes)
    for candidate in left_out:
        outcomes.setdefault(_key(candidate), "unchanged")
    return outcomes


def _needing_write(
    batch: Sequence[Candidate], policy: InformPolicy, outcomes: _Outcomes
) -> Steps[list[Candidate]]:
    rows = yield _look_up(batch, policy, with_objects=False)
    to_write: list[Candidate] = []
    for position, verdict, *_ in rows:
        candidate = batch[position]
        if verdict in ("new", "write"):
            to_write.append(candidate)
        else:
            outcomes[_key(candidate)] = verdict
    return to_write


def _inform_guarded(batch: Sequence[Candidate], policy: InformPolicy) -> Steps[_Outcomes]:
    outcomes: _Outcomes = {}
    waiting = list(batch)
    for _ in range(_GUARDED_ROUNDS):
        rows = yield _look_up(waiting, policy, with_objects=True)
        looked_up = {row[0]: row for row in rows}
        to_write: list[Candidate] = []
        generations: list[int] = []
        retry: list[Candidate] = []
        for position, candidate in enumerate(waiting):
            _, verdict, generation, stored_hash, stored_json = looked_up[position]
            outcome, revised = _judge(candidate, verdict, stored_hash, stored_json, policy)
            if outcome is not None:
                outcomes[_key(candidate)] = outcome
                continue
            to_write.append(revised)
            generations.append(generation)
            if revised is candidate:
                retry.append(candidate)
            else:
                outcomes[_key(candidate)] = "unchanged"
        written = yield from _upsert(to_write, policy, generations)
        outcomes |= written
        waiting = [candidate for candidate in retry if _key(candidate) not in written]
        if not waiting:
            return outcomes
    raise StateConflict(
        f"{waiting[0].encoded.kind}/{waiting[0].encoded.object_id} kept changing while it was "
        f"compared, {_GUARDED_ROUNDS} times in a row",
        hint="inform it again; does something inform it in a tight loop?",
    )


def _judge(
    candidate: Candidate,
    verdict: str,
    stored_hash: bytes | None,
    stored_json: str | None,
    policy: InformPolicy,
) -> tuple[InformOutcome | None, Candidate]:
    """What `compare()` makes of a look-up: an outcome at once, or the candidate to write."""
    if verdict == "new":
        return None, candidate
    if verdict == "skipped":
        return "skipped", candidate
    assert stored_json is not None and stored_hash is not None
    order = _compare(candidate, stored_json, policy)
    if order is None:
        return "refused", candidate
    if order < 0:
        return "stale", candidate
    if order == 0 and stored_hash != candidate.encoded.hash:
        # Equal by its own rule: the stored object stays, its state may still call for work.
        same = replace(candidate.encoded, json=stored_json, hash=stored_hash)
        return None, replace(candidate, encoded=same)
    return ("unchanged" if verdict == "unchanged" else None), candidate


def _look_up(batch: Sequence[Candidate], policy: InformPolicy, *, with_objects: bool) -> Statement:
    return Statement(
        queries.LOOK_UP,
        {
            "kind": batch[0].encoded.kind,
            **column("namespaces", "namespace", [one.encoded.namespace for one in batch]),
            "object_ids": [one.encoded.object_id for one in batch],
            "hashes": [one.encoded.hash for one in batch],
            "with_objects": with_objects,
            "revive": policy.revive,
            "process_existing": policy.process_existing,
        },
        keep_plan=len(batch) == 1,
    )


def _upsert(
    batch: Sequence[Candidate], policy: InformPolicy, generations: Sequence[int] | None = None
) -> Steps[_Outcomes]:
    """Write what needs it. `generations`: those that `compare()` saw, 0 for none."""
    if not batch:
        return {}
    encoded = [candidate.encoded for candidate in batch]
    created = [one.created_at for one in encoded]
    names = sorted({one.namespace for one in encoded})
    rows = yield Statement(
        queries.UPSERT,
        {
            "kind": encoded[0].kind,
            **column("namespaces", "namespace", [one.namespace for one in encoded]),
            "names": names,
            "object_ids": [one.object_id for one in encoded],
            "objects": [one.json for one in encoded],
            "hashes": [one.hash for one in encoded],
            "created": [] if not any(created) else created,
            **column("priorities", "priority", [one.priority for one in encoded]),
            **column("max_attempts", "max_attempts", [one.max_attempts for one in batch]),
            **column("tags", "tags", [",".join(one.tags) for one in encoded]),
            **column("metadata", "metadata", [one.metadata for one in encoded]),
            "generations": list(generations or ()),
            "guarded": generations is not None,
            "revive": policy.revive,
            "process_existing": policy.process_existing,
            "sift": policy.expect == "mixed",
        },
        keep_plan=len(batch) == 1,
    )
    if rows and not rows[0][-1]:
        # Somebody has removed one that was taken for known: without it, nothing is claimed there.
        yield Statement(queries.ENSURE_NAMESPACES, {"namespaces": names})
    return {
        (namespace, object_id): "created" if is_new else "updated"
        for namespace, object_id, is_new, _ in rows
    }


def batches_of_one_kind(candidates: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    """Split a mixed batch by kind."""
    by_kind: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        by_kind.setdefault(candidate.encoded.kind, []).append(candidate)
    yield from by_kind.values()
