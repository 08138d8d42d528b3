"""Makes one object right at a time: brings copies, trims them, moves them, reads and removes them.

Each change holds the lock of its object, so that works and passes in many processes take turns.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from delta_cli import ConfigError
from delta_cli.examples.object_store.backend import Backend, is_good
from delta_cli.examples.object_store.catalogue import Catalogue, StoredObject
from delta_cli.examples.object_store.placing import (
    Fill,
    next_move,
    next_target,
    next_to_trim,
    why_no_target,
)


class ShortOfCopies(Exception):
    """Objects have fewer copies than they should."""


@dataclass(frozen=True, slots=True)
class Done:
    """How many copies one step changed, and what it could not do; None when it did all."""

    count: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Copies:
    """Which backends have a good copy of an object, and which a damaged one."""

    good: set[str]
    damaged: set[str]


class ObjectStore:
    """The catalogue in one folder, and the copies of its objects in others, with their quotas.

    Raises ConfigError for a quota below one byte, and for folders that lie in each other.
    """

    def __init__(self, catalogue: Path, quotas: Mapping[Path, int]) -> None:
        self.catalogue: Catalogue = Catalogue(catalogue)
        _check(self.catalogue.folder, quotas)
        backends = [Backend(path, quota, self.catalogue.locks) for path, quota in quotas.items()]
        self.backends: dict[str, Backend] = {backend.name: backend for backend in backends}

    def fills(self) -> list[Fill]:
        """How full each backend is now."""
        return [backend.fill() for backend in self.backends.values()]

    def bring(self, name: str) -> Done:
        """Bring an object to its number of copies, from a good copy or from what came in.

        Damaged copies count as missing, and make room for good ones. The content that came in
        stays until the object has all its copies.
        """
        with self._changing(name) as wanted:
            if wanted is None:
                return Done()
            copies = self._examine(wanted)
            content = self._content(wanted, copies.good)
            if content is None:
                return Done(problem=f"{name}: no good copy is left")
            for damaged in copies.damaged:
                self.backends[damaged].remove(name)
            done = self._add_copies(wanted, copies.good, content)
            if done.problem is None:
                self.catalogue.discard_incoming(name)
            return done

    def _add_copies(self, wanted: StoredObject, holders: set[str], content: Path) -> Done:
        before = len(holders)
        failures: dict[str, OSError] = {}
        while len(holders) < wanted.copies:
            fills = self.fills()
            target = next_target(fills, holders | failures.keys(), wanted.size)
            if target is None:
                reasons = [str(error) for error in failures.values()]
                reasons = reasons or [why_no_target(fills, holders, wanted.size)]
                has = f"{wanted.name}: {len(holders)} of {wanted.copies} copies"
                return Done(len(holders) - before, f"{has}, {'; '.join(reasons)}")
            try:
                self.backends[target].add(wanted, content)
            except OSError as error:
                failures[target] = error
            else:
                holders.add(target)
        return Done(len(holders) - before)

    def trim(self, name: str) -> Done:
        """Remove copies above the number that is wanted: good ones, while enough good ones stay."""
        removed = 0
        with self._changing(name) as wanted:
            if wanted is None or len(self._holders(name)) <= wanted.copies:
                return Done()
            good = self._examine(wanted).good
            while len(good) > wanted.copies:  # which is 1 at the least
                fullest = next_to_trim(self.fills(), good)
                self.backends[fullest].remove(name)
                good.remove(fullest)
                removed += 1
        return Done(removed)

    def spread(self, name: str, margin: float) -> Done:
        """Move one copy from a full backend to an empty one, if that levels them."""
        with self._changing(name) as wanted:
            if wanted is None:
                return Done()
            move = next_move(self.fills(), self._holders(name), wanted.size, margin)
            # A damaged copy is not moved: the next pass that brings copies replaces it.
            if move is None or not self.backends[move.source].is_good(wanted):
                return Done()
            source = self.backends[move.source]
            self.backends[move.target].add(wanted, source.copy_of(name))
            source.remove(name)
            return Done(1)

    def remove(self, name: str) -> None:
        """Remove every copy of an object that the catalogue has no more."""
        with self.catalogue.changing(name):
            if self.catalogue.find(name) is None:
                for holder in self._holders(name):
                    self.backends[holder].remove(name)

    def find_content(self, name: str) -> Path | None:
        """A file that holds an object's content now, verified; None when there is none."""
        wanted = self.catalogue.find(name)
        return None if wanted is None else self._content(wanted, self._examine(wanted).good)

    @contextmanager
    def _changing(self, name: str) -> Iterator[StoredObject | None]:
        # What should be is read under the lock: what a caller has read before may be an older
        # version, whose copies are no more the good ones.
        with self.catalogue.changing(name):
            yield self.catalogue.find(name)

    def _holders(self, name: str) -> set[str]:
        return {key for key, backend in self.backends.items() if backend.holds(name)}

    def _examine(self, wanted: StoredObject) -> _Copies:
        copies = _Copies(set(), set())
        for holder in self._holders(wanted.name):
            # A copy that cannot be read is neither: it may be good again with its disk.
            with suppress(OSError):
                good = self.backends[holder].is_good(wanted)
                (copies.good if good else copies.damaged).add(holder)
        return copies

    def _content(self, wanted: StoredObject, good: Iterable[str]) -> Path | None:
        for holder in good:
            return self.backends[holder].copy_of(wanted.name)
        incoming = self.catalogue.incoming(wanted.name)
        return incoming if is_good(incoming, wanted) else None


def _check(catalogue: Path, quotas: Mapping[Path, int]) -> None:
    if not quotas:
        raise ConfigError("the store has no backends", hint="give folders with their quotas")
    for path, quota in quotas.items():
        if quota < 1:
            raise ConfigError(f"the quota of {path} must be 1 byte or more, got {quota}")
    folders = [catalogue, *(path.resolve() for path in quotas)]
    for one, other in permutations(folders, 2):
        if one.is_relative_to(other):
            raise ConfigError(
                f"{one} lies in {other}", hint="give each backend and the catalogue its own folder"
            )
