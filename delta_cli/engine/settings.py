"""What a user can set on objects, kinds and namespaces, each value checked where it is given.

Special values are upstream's: `None` inherits, zero or a negative duration switches off.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from delta_cli.engine.errors import ConfigError, InvalidObject
from delta_cli.engine.field_types import check_fields

DEFAULT_NAMESPACE: Final = "default"
DEFAULT_MAX_ATTEMPTS: Final = 10
DEFAULT_PRIORITY: Final = 1
MAX_LIMIT: Final = 10_000
#: Passes and watermarks reckon from now: beyond this the calendar of Python or Postgres ends.
LONGEST_DURATION: Final = timedelta(days=36_500)
OBJECT_ID_MAX_LENGTH: Final = 254
KIND_MAX_LENGTH: Final = 127
NAMESPACE_MAX_LENGTH: Final = 64
TAG_MAX_LENGTH: Final = 255
TAGS_MAX_COUNT: Final = 100

# Upstream's patterns; a tag has at least three characters, as there.
_TAG: Final = re.compile(r"\A[\w][\w\-]+[\w]\Z", re.ASCII)
_NAMESPACE: Final = re.compile(r"\A[a-z0-9]+(?:[_-][a-z0-9]+)*\Z", re.ASCII)
_KIND: Final = re.compile(r"\A[a-zA-Z0-9](?:[a-zA-Z0-9_.\-/]*[a-zA-Z0-9])?\Z", re.ASCII)


def check_namespace(value: object) -> str:
    """The namespace, if its name is good: lower-case words joined by `-` or `_`, at most 64."""
    if (
        not isinstance(value, str)
        or not _NAMESPACE.match(value)
        or len(value) > NAMESPACE_MAX_LENGTH
    ):
        raise InvalidObject(
            f"namespace {value!r} is not valid",
            field="namespace",
            hint="use lower-case letters and digits, in words joined by a single '-' or '_', "
            f"at most {NAMESPACE_MAX_LENGTH} characters",
        )
    return value


def check_kind(value: object) -> str:
    """The kind, if its name is good: letters, digits, `_`, `-`, `.`, `/`; 1 to 127 characters."""
    if not isinstance(value, str) or not _KIND.match(value) or len(value) > KIND_MAX_LENGTH:
        raise InvalidObject(
            f"kind {value!r} is not valid",
            field="kind",
            hint=f"use 1 to {KIND_MAX_LENGTH} letters, digits, '_', '-', '.' or '/', "
            "beginning and ending with a letter or digit",
        )
    return value


def check_tag(value: object) -> str:
    """The tag, if it matches upstream's pattern: 3 to 255 letters, digits, `_`, inner `-`."""
    if not isinstance(value, str) or not _TAG.match(value) or len(value) > TAG_MAX_LENGTH:
        raise InvalidObject(
            f"tag {value!r} is not valid",
            field="tags",
            hint=f"use 3 to {TAG_MAX_LENGTH} letters, digits, '_' or '-', no '-' at either end",
        )
    return value


def check_limit(name: str, value: int | None) -> None:
    """Refuse a limit on concurrent works that is not within 1 to 10,000 (None: no limit)."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LIMIT:
        raise ConfigError(
            f"{name} must be a whole number from 1 to {MAX_LIMIT}, got {value!r}",
            hint="choose one of these, or leave it out",
        )


def check_not_negative(name: str, value: timedelta | None) -> None:
    """Refuse a negative duration where it has no meaning."""
    if value is not None and value < timedelta(0):
        raise ConfigError(f"{name} must not be negative, got {value.total_seconds():g} s")


def check_positive(name: str, value: timedelta) -> None:
    """Refuse a duration of zero or less where it has no meaning."""
    if value <= timedelta(0):
        raise ConfigError(f"{name} must be longer than zero, got {value.total_seconds():g} s")


def check_durations(settings: Any, *, of: str = "", way_out: str | None = None) -> None:
    """Refuse settings of which a duration, negative or not, leads beyond the calendar."""
    for name in (one.name for one in fields(settings)):
        value = getattr(settings, name)
        if isinstance(value, timedelta) and abs(value) > LONGEST_DURATION:
            raise ConfigError(
                f"{name}{of} must be at most {LONGEST_DURATION.days} days, got {value.days} days",
                hint=way_out or f"what switches it off is told of {type(settings).__name__}",
            )


def check_zoned(name: str, value: datetime) -> None:
    """Refuse a time without a zone: nobody knows which moment it is."""
    if value.utcoffset() is None:
        raise ConfigError(
            f"{name} must carry a time zone, got {value}",
            hint="use datetime.now(UTC), or .replace(tzinfo=...)",
        )


@dataclass(frozen=True, slots=True)
class InformOpts:
    """How one object is stored. An object may offer its own as `inform_opts()`.

    At most 100 `tags`; `metadata` counts with the object against `Config(max_object_bytes=...)`.
    `priority` is 1 (first) to 4 (last). `max_attempts` None takes the kind's. Options of an
    unchanged object are not written: an inform of an equal object writes nothing at all.
    """

    namespace: str = DEFAULT_NAMESPACE
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    max_attempts: int | None = None
    priority: int = DEFAULT_PRIORITY

    def __post_init__(self) -> None:
        check_namespace(self.namespace)
        object.__setattr__(self, "tags", _checked_tags(self.tags))
        if not isinstance(self.metadata, Mapping):
            raise InvalidObject(
                f"metadata must be a mapping, got {type(self.metadata).__name__}", field="metadata"
            )
        _check_range("priority", self.priority, 1, 4, "1 comes first, 4 last")
        if self.max_attempts is not None:
            _check_range(
                "max_attempts", self.max_attempts, 1, MAX_LIMIT, "leave it out to take the kind's"
            )


def _checked_tags(tags: object) -> tuple[str, ...]:
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise InvalidObject(f"tags must be a sequence of str, got {tags!r}", field="tags")
    some = tuple(islice(tags, TAGS_MAX_COUNT + 1))
    if len(some) > TAGS_MAX_COUNT:
        raise InvalidObject(
            f"an object has at most {TAGS_MAX_COUNT} tags, got more",
            field="tags",
            hint="keep what is long in metadata, or in the object itself",
        )
    return tuple(map(check_tag, some))


def _check_range(name: str, value: object, least: int, most: int, hint: str) -> None:
    if type(value) is not int or not least <= value <= most:
        raise InvalidObject(
            f"{name} must be a whole number from {least} to {most}, got {value!r}",
            field=name,
            hint=hint,
        )


@dataclass(frozen=True, slots=True)
class InformOptions:
    """What an informer run was asked for; `Controller.inform()` receives it.

    `after` is the watermark, exclusive (None: everything). `limit` caps the objects of the run
    (None: no cap). `labels` and `order_by` are for the informer to interpret.
    `process_existing` reschedules synced resources whose object is equal.
    """

    after: datetime | None = None
    limit: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    order_by: str | None = None
    process_existing: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be 1 or more, got {self.limit!r}")
        if self.after is not None:
            check_zoned("after", self.after)


@dataclass(frozen=True, slots=True)
class ObjectSettings:
    """Settings of one kind; None inherits from `Config`.

    `parallelism` limits works of this kind in one process, `fleet_parallelism` across all.
    `inform_interval` zero or negative: never on its own. `work_timeout` and `inform_timeout`
    zero or negative: no limit. `inform_overlap` is taken off the watermark of each run. Durations
    are at most 36,500 days.
    """

    parallelism: int = 1
    fleet_parallelism: int | None = None
    inform_interval: timedelta | None = None
    inform_overlap: timedelta = timedelta(minutes=1)
    inform_timeout: timedelta | None = None
    work_timeout: timedelta | None = None
    max_attempts: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_durations(self)
        check_limit("parallelism", self.parallelism)
        check_limit("fleet_parallelism", self.fleet_parallelism)
        check_limit("max_attempts", self.max_attempts)
        check_not_negative("inform_overlap", self.inform_overlap)


@dataclass(frozen=True, slots=True)
class NamespaceConfig:
    """Settings of one namespace, kept in the database.

    `expiry_ttl` None or zero: synced resources never expire. `max_workers` limits works per
    process, `fleet_max_workers` across all. Retention None inherits from `Config`.
    A TTL together with a synced retention is refused, as upstream does: rows that expire are
    worked again and never cleaned.
    """

    expiry_ttl: timedelta | None = None
    max_workers: int | None = None
    fleet_max_workers: int | None = None
    synced_retention: timedelta | None = None
    degraded_retention: timedelta | None = None
    deleted_retention: timedelta | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_not_negative("expiry_ttl", self.expiry_ttl)
        check_limit("max_workers", self.max_workers)
        check_limit("fleet_max_workers", self.fleet_max_workers)
        if self.expiry_ttl and self.synced_retention is not None:
            raise ConfigError(
                "expiry_ttl and synced_retention exclude each other: "
                "a synced resource of a namespace with a TTL expires and is never cleaned"
            )
