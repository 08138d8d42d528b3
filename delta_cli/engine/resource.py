"""A resource as it is worked: what `work()` receives, read from JSON only as far as it asks."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from delta_cli.engine.changes import Change, changes_between
from delta_cli.engine.errors import ConfigError, InvalidObject
from delta_cli.engine.field_types import check_argument
from delta_cli.engine.model.resource_row import AttemptError
from delta_cli.engine.objects import EncodedObject, ObjectType, object_type_of
from delta_cli.engine.settings import DEFAULT_MAX_ATTEMPTS, InformOpts
from delta_cli.engine.states import ResourceState

T = TypeVar("T")
# Of `Resource.of()` itself: `Resource` alone says nothing of its T.
Given = TypeVar("Given")


class Resource(Generic[T]):
    """What `work()` receives: the claimed row, its object decoded to the controller's class.

    `attempt` is 1 on the first try of a round. A plain class with slots, not a dataclass: one is
    built for every claim, and filled by one unpacking of its row.
    """

    __slots__: tuple[str, ...] = (
        "_decode",
        "_errors_json",
        "_last_synced_json",
        "_metadata_json",
        "_object_json",
        "_tags_json",
        "attempt",
        "attempted_at",
        "created_at",
        "external_created_at",
        "generation",
        "id",
        "kind",
        "max_attempts",
        "namespace",
        "object",
        "object_id",
        "priority",
        "sync_count",
        "synced_at",
        "synced_generation",
        "term",
    )

    id: int
    namespace: str
    kind: str
    object_id: str
    generation: int
    synced_generation: int | None
    term: int
    attempt: int
    max_attempts: int
    sync_count: int
    priority: int
    created_at: datetime
    attempted_at: datetime
    synced_at: datetime | None
    external_created_at: datetime | None
    object: T
    _decode: Callable[[str], T]
    _metadata_json: str | None
    _tags_json: str | None
    _errors_json: str | None
    _object_json: str
    _last_synced_json: str | None

    @classmethod
    def from_claim(cls, row: Sequence[Any]) -> "Resource[Any]":
        """A claimed row as `queries.work.CLAIM` returns it; its object is decoded later."""
        resource = cls.__new__(cls)
        (
            resource.id,
            resource.namespace,
            resource.kind,
            resource.object_id,
            resource.generation,
            resource.synced_generation,
            resource.term,
            resource.attempt,
            resource.max_attempts,
            resource.sync_count,
            resource.priority,
            resource.created_at,
            resource.attempted_at,
            resource.synced_at,
            resource.external_created_at,
            resource._metadata_json,  # noqa: SLF001
            resource._tags_json,  # noqa: SLF001
            resource._errors_json,  # noqa: SLF001
            resource._object_json,  # noqa: SLF001
            resource._last_synced_json,  # noqa: SLF001
        ) = row
        return resource

    @classmethod
    def of(
        cls,
        obj: Given,
        opts: InformOpts | None = None,
        *,
        last_synced: Given | None = None,
        attempt: int = 1,
        errors: Sequence[AttemptError] = (),
    ) -> "Resource[Given]":
        """An object as `work()` would receive it, to test a controller without a database.

        `obj` and `opts` are those of `client.inform()`, and are read and refused as there; `object`
        is a new one, decoded from what would be stored. `last_synced` is what `work()` last
        succeeded on, None: nothing yet. `attempt` and `errors` are those of the round.
        Raises InvalidObject, which names the field, and ConfigError for an attempt that cannot be.
        """
        check_argument("opts", opts, InformOpts | None)
        check_argument("attempt", attempt, int)
        object_type: ObjectType[Given] = object_type_of(obj)
        new = object_type.encode(obj, opts)
        old = None if last_synced is None else object_type.encode(last_synced, opts)
        most = new.max_attempts or object_type.settings.max_attempts or DEFAULT_MAX_ATTEMPTS
        if not 1 <= attempt <= most:
            raise ConfigError(f"attempt must be 1 to {most}, its max_attempts, got {attempt}")
        resource = cls.from_claim(_claimed(new, old, attempt, most, errors))
        resource.decode_with(object_type.decode)
        return resource

    def decode_with(self, decode: Callable[[str], T]) -> None:
        """Decode the object. Raises InvalidObject when the class no longer accepts it."""
        self._decode = decode
        self.object = decode(self._object_json)

    @property
    def state(self) -> ResourceState:
        """What every resource is while it is worked: pending."""
        return ResourceState.PENDING

    @property
    def updated_at(self) -> datetime:
        """When it was claimed, which was the last change of its row."""
        return self.attempted_at

    @property
    def last_synced(self) -> T | None:
        """The object that `work()` last succeeded on; None before the first sync.

        Raises InvalidObject when the class no longer accepts it; `changes` can be read still.
        """
        if self.synced_at is None:
            return None
        try:
            return self._decode(self._last_synced_json or self._object_json)
        except InvalidObject as error:
            raise self._outgrown(error) from error

    @property
    def changes(self) -> list[Change]:
        """The drift: what differs between the last synced object and this one.

        Before the first sync, the whole object is one change from None.
        """
        new = json.loads(self._object_json)
        if self.synced_at is None:
            return changes_between(None, new)
        old = self._last_synced_json
        return [] if old is None else changes_between(json.loads(old), new)

    @property
    def errors(self) -> list[AttemptError]:
        """The failed attempts of this round, newest last."""
        return [AttemptError.from_json(error) for error in json.loads(self._errors_json or "[]")]

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the inform gave along."""
        return json.loads(self._metadata_json or "{}")

    @property
    def tags(self) -> Sequence[str]:
        """The tags that the inform gave."""
        return json.loads(self._tags_json or "[]")

    def _outgrown(self, error: InvalidObject) -> InvalidObject:
        """The refusal, told of the object that it is about: the desired one fits."""
        why = error.message.removeprefix(f"object of kind {self.kind!r} ")
        return InvalidObject(
            f"the last synced object of {self.kind}/{self.object_id} {why}",
            field=error.field,
            hint="read resource.changes instead, or give the class's new fields a default",
        )

    def __repr__(self) -> str:
        return f"Resource({self.kind}/{self.object_id}, namespace={self.namespace!r})"


def _claimed(
    new: EncodedObject,
    old: EncodedObject | None,
    attempt: int,
    max_attempts: int,
    errors: Sequence[AttemptError],
) -> Sequence[Any]:
    """The row of a claim, made here: of a new resource, or of one that was synced as `old`."""
    if old is not None and old.object_id != new.object_id:
        raise InvalidObject(
            f"last_synced is {old.object_id!r}, and the object is {new.object_id!r}",
            field="id",
            hint="give the same resource as it was",
        )
    now = datetime.now(UTC)
    drifted = old is not None and old.hash != new.hash
    synced_generation = None if old is None else 1
    errors_json = json.dumps([asdict(one) | {"at": one.at.isoformat()} for one in errors])
    return (
        *(1, new.namespace, new.kind, new.object_id),
        *(2 if drifted else 1, synced_generation, 1, attempt, max_attempts),
        *(0 if old is None else 1, new.priority),
        *(now, now, None if old is None else now, new.created_at),
        *(new.metadata, json.dumps(new.tags), errors_json),
        *(new.json, old.json if old is not None and drifted else None),
    )
