"""How an object of a user's class becomes a stored row, and how a row becomes an object again.

What is stored is canonical JSON of the fields (`canonical.py`), in the forms that pydantic gives
them: datetimes as ISO 8601 with the offset they came with, bytes as UTF-8 text, Decimals as
strings, sets as sorted lists. Equal objects have equal hashes, whatever the order of their fields,
keys and sets. An object that `encode` lets through can be decoded again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError, ValidationError

from delta_cli.engine.canonical import (
    canonical_json,
    find_fault,
    plain_mapping,
    shown,
    text_trouble,
)
from delta_cli.engine.dumping import dump, field_names, location
from delta_cli.engine.errors import ConfigError, InvalidObject
from delta_cli.engine.repair import is_plain, repaired
from delta_cli.engine.settings import (
    OBJECT_ID_MAX_LENGTH,
    InformOpts,
    ObjectSettings,
    check_kind,
)

T = TypeVar("T")

DEFAULT_MAX_OBJECT_BYTES: Final = 1024 * 1024
_DEFAULT_OPTS: Final = InformOpts()
_COMPLAINTS_SHOWN: Final = 3
_ID_HINT: Final = "id is a field, property or method that gives a str or an int"


@dataclass(frozen=True, slots=True)
class EncodedObject:
    """An object as the columns of its row.

    `json` and `metadata` are canonical JSON texts; `hash` is the sha256 of `json` in UTF-8.
    """

    namespace: str
    kind: str
    object_id: str
    json: str
    hash: bytes
    created_at: datetime | None
    priority: int
    max_attempts: int | None
    tags: tuple[str, ...]
    metadata: str


class ObjectType(Generic[T]):
    """One kind of object: its class, its settings, and the way into the database and back.

    Raises ConfigError for a class without a good `kind`, without an `id`, or with fields that
    pydantic does not know how to store.
    """

    def __init__(self, cls: type[T]) -> None:
        self.cls: type[T] = cls
        self.kind: str = _kind_of(cls)
        _require_id(cls)
        self.settings: ObjectSettings = _settings_of(cls)
        self.has_compare: bool = callable(getattr(cls, "compare", None))
        self._has_created_at: bool = _declares(cls, "created_at")
        self._has_opts: bool = _declares(cls, "inform_opts")
        self._adapter: TypeAdapter[T] = _adapter_of(cls)
        self._is_plain: bool = is_plain(self._adapter.core_schema)

    def encode(
        self,
        obj: T,
        opts: InformOpts | None = None,
        *,
        max_bytes: int = DEFAULT_MAX_OBJECT_BYTES,
    ) -> EncodedObject:
        """The object as columns. `opts` given here beats the object's own `inform_opts()`.

        Raises InvalidObject, naming the object and the field, for one that must not be stored.
        """
        if not isinstance(obj, self.cls):
            raise InvalidObject(
                f"object of kind {self.kind!r} is of type {type(obj).__name__}, "
                f"not {self.cls.__name__}",
                field="object",
            )
        object_id = _checked_id(_member(obj, "id"), self.kind)
        try:
            return self._encoded_as(object_id, obj, opts, max_bytes)
        except InvalidObject as error:
            raise _of_object(object_id, error) from error

    def _encoded_as(
        self, object_id: str, obj: T, opts: InformOpts | None, max_bytes: int
    ) -> EncodedObject:
        value = dump(self._adapter, obj)
        if not self._is_plain:
            value = repaired(obj, value)
        text, data = canonical_json(value, "")
        # Surrogates in a typed mapping's keys come out of pydantic as this character.
        if self._is_plain and "\ufffd" in text:
            repaired(obj, value)
        _check_size(data, max_bytes)
        self.decode(data)
        created_at = _created_at(obj) if self._has_created_at else None
        if opts is None:
            opts = _own_opts(obj) if self._has_opts else _DEFAULT_OPTS
        metadata = _checked_metadata(opts.metadata, data, max_bytes)
        return _encoded(self.kind, object_id, text, data, opts, metadata, created_at)

    def decode(self, text: str | bytes) -> T:
        """The object that a stored text holds. Raises InvalidObject, naming the fields."""
        try:
            return self._adapter.validator.validate_json(text, by_name=True)
        except ValidationError as error:
            raise _undecodable(self.kind, error) from error
        except Exception as error:  # a user's __post_init__ may raise anything
            raise InvalidObject(
                f"object of kind {self.kind!r} cannot be built: {_told(error)}", field="object"
            ) from error

    def compare(self, new: T, old_json: str) -> int:
        """What `new.compare(old)` says: negative if `new` is the older one.

        1 (newer) without a `compare`, and when the old one can no longer be decoded: an object
        that nobody can read must not keep a good one out.
        """
        if not self.has_compare:
            return 1
        try:
            old = self.decode(old_json)
        except InvalidObject:
            return 1
        result = _called(new, "compare", old)
        if isinstance(result, bool) or not isinstance(result, int):
            raise InvalidObject(
                f"compare() of kind {self.kind!r} returned {_type_of(result)}, not an int",
                field="compare",
                hint="return a negative number if self is older than other, 0 if equal, else 1",
            )
        return result

    def json_schema(self) -> dict[str, Any] | None:
        """The JSON schema of what is stored; None where there is none that can be stored."""
        try:
            schema = self._adapter.json_schema(by_alias=False)
        except Exception:  # noqa: BLE001 - a user's __get_pydantic_json_schema__ raises anything
            return None
        # A default or a description may hold what an object may not.
        return None if find_fault(schema, "") else schema


def object_type_of(obj: object) -> ObjectType[Any]:
    """The `ObjectType` of an object's class, built once per class."""
    return _object_type(type(obj))


# Bounded, so that classes made at run time are not kept for ever.
@lru_cache(maxsize=256)
def _object_type(cls: type[Any]) -> ObjectType[Any]:
    return ObjectType(cls)


def encode_raw(
    kind: str,
    object_id: str,
    value: Any,
    opts: InformOpts | None = None,
    *,
    max_bytes: int = DEFAULT_MAX_OBJECT_BYTES,
) -> EncodedObject:
    """A plain JSON value as columns, for a kind whose class is not at hand.

    Raises InvalidObject, naming the object and the field, for what must not be stored.
    """
    check_kind(kind)
    object_id = _checked_id(object_id, kind)
    opts = opts or _DEFAULT_OPTS
    try:
        if fault := find_fault(value, ""):
            raise fault.refusal()
        text, data = canonical_json(value, "")
        _check_size(data, max_bytes)
        metadata = _checked_metadata(opts.metadata, data, max_bytes)
    except InvalidObject as error:
        raise _of_object(object_id, error) from error
    return _encoded(kind, object_id, text, data, opts, metadata, None)


def _encoded(
    kind: str,
    object_id: str,
    text: str,
    data: bytes,
    opts: InformOpts,
    metadata: str,
    created_at: datetime | None,
) -> EncodedObject:
    return EncodedObject(
        namespace=opts.namespace,
        kind=kind,
        object_id=object_id,
        json=text,
        hash=sha256(data).digest(),
        created_at=created_at,
        priority=opts.priority,
        max_attempts=opts.max_attempts,
        tags=opts.tags,
        metadata=metadata,
    )


# --- what a class says -----------------------------------------------------------------------


def _kind_of(cls: type[Any]) -> str:
    name = cls.__name__
    kind = getattr(cls, "kind", None)
    kind = kind() if callable(kind) else kind
    if "kind" in field_names(cls) or not isinstance(kind, str):
        raise ConfigError(
            f"{name} does not say its kind", hint='add to the class: kind: ClassVar[str] = "user"'
        )
    try:
        return check_kind(kind)
    except InvalidObject as error:
        raise ConfigError(f"{name}: {error.message}", hint=error.hint) from None


def _require_id(cls: type[Any]) -> None:
    if not _declares(cls, "id"):
        raise ConfigError(f"{cls.__name__} has no id", hint=_ID_HINT)


def _declares(cls: type[Any], name: str) -> bool:
    """Whether instances have a field, property or method of that name."""
    annotated = any(name in getattr(base, "__annotations__", {}) for base in cls.__mro__)
    return annotated or hasattr(cls, name)


def _settings_of(cls: type[Any]) -> ObjectSettings:
    settings = getattr(cls, "settings", None)
    if "settings" in field_names(cls) or settings is None:
        return ObjectSettings()
    try:
        value = settings() if callable(settings) else settings
    except TypeError as error:
        raise ConfigError(
            f"{cls.__name__}.settings() cannot be called on the class: {error}",
            hint="decorate it with @classmethod",
        ) from error
    if not isinstance(value, ObjectSettings):
        raise ConfigError(
            f"{cls.__name__}.settings() returned {_type_of(value)}, not ObjectSettings"
        )
    return value


def _adapter_of(cls: type[T]) -> TypeAdapter[T]:
    try:
        adapter = TypeAdapter(cls)
        adapter.rebuild(raise_errors=True)
    except (PydanticUserError, SchemaError, NameError, TypeError) as error:
        first_line = str(error).partition("\n")[0]
        raise ConfigError(
            f"{cls.__name__} cannot be stored: {first_line}",
            hint="use a dataclass or a pydantic model whose types are defined at module level",
        ) from error
    return adapter


# --- what an object says ---------------------------------------------------------------------


def _member(obj: object, name: str) -> Any:
    """The value of a field or property, or what a method of that name returns."""
    try:
        value = getattr(obj, name)
        return value() if callable(value) else value
    except InvalidObject:
        raise
    except Exception as error:
        raise InvalidObject(
            f"{name} of {type(obj).__name__} cannot be read: {_told(error)}", field=name
        ) from error


def _called(obj: Any, name: str, argument: Any) -> Any:
    try:
        return getattr(obj, name)(argument)
    except Exception as error:
        raise InvalidObject(
            f"{name}() of {type(obj).__name__} raised {_told(error)}", field=name
        ) from error


def _checked_id(value: Any, kind: str) -> str:
    object_id = _id_text(value, kind)
    length = len(object_id)
    if not 1 <= length <= OBJECT_ID_MAX_LENGTH:
        trouble = "is empty" if not length else f"has {length} characters"
        raise InvalidObject(
            f"id of kind {kind!r} {trouble}",
            field="id",
            hint=f"an id has 1 to {OBJECT_ID_MAX_LENGTH} characters",
        )
    if not object_id.isascii() or "\0" in object_id:
        _check_id_text(object_id, kind)
    return object_id


def _check_id_text(object_id: str, kind: str) -> None:
    if trouble := text_trouble(object_id):
        raise InvalidObject(
            f"id of kind {kind!r} {trouble}", field="id", hint="remove that character"
        )


def _id_text(value: Any, kind: str) -> str:
    # The base types' own methods: an enum's str() would give its name.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        # Python refuses to write integers of thousands of digits; 254 digits are below 1024 bits.
        return int.__repr__(value) if value.bit_length() <= 1024 else "9" * 309  # noqa: PLR2004
    trouble = "is None" if value is None else f"is {_type_of(value)}, not a str or an int"
    raise InvalidObject(f"id of kind {kind!r} {trouble}", field="id", hint=_ID_HINT)


def _created_at(obj: object) -> datetime | None:
    value = _member(obj, "created_at")
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise InvalidObject(
            f"created_at is {_type_of(value)}, not a datetime",
            field="created_at",
            hint="give a datetime with a time zone, or None",
        )
    if value.utcoffset() is None:
        raise InvalidObject(
            f"created_at has no time zone: {value.isoformat()}",
            field="created_at",
            hint="use datetime.now(UTC), or .replace(tzinfo=...)",
        )
    try:
        # Stored with its offset, the ends of the calendar would be told back as years 0 and 10000.
        return value.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise InvalidObject(
            f"created_at is not within the years 1 to 9999 in UTC: {value.isoformat()}",
            field="created_at",
            hint="give None where there is no such time",
        ) from error


def _own_opts(obj: object) -> InformOpts:
    opts = _member(obj, "inform_opts")
    if not isinstance(opts, InformOpts):
        raise InvalidObject(
            f"inform_opts() returned {_type_of(opts)}, not InformOpts",
            field="inform_opts",
            hint="return InformOpts(namespace=..., tags=...)",
        )
    return opts


def _checked_metadata(metadata: Mapping[str, Any], data: bytes, max_bytes: int) -> str:
    """The metadata as text. It counts with the object, whose bytes `data` are, within the limit."""
    if not metadata:
        return "{}"
    if not isinstance(metadata, Mapping):
        raise InvalidObject(
            f"metadata is {_type_of(metadata)}, not a mapping",
            field="metadata",
            hint="give a dict with strings as keys",
        )
    value = plain_mapping(metadata)
    if fault := find_fault(value, "metadata"):
        raise fault.refusal()
    text, metadata_data = canonical_json(value, "metadata")
    _check_metadata_size(len(metadata_data), len(data), max_bytes)
    return text


# --- words -----------------------------------------------------------------------------------


def _of_object(object_id: str, error: InvalidObject) -> InvalidObject:
    """The refusal with the object that it is about: a file or a listing has many."""
    return InvalidObject(
        f"object {shown(object_id)!r}: {error.message}", field=error.field, hint=error.hint
    )


def _check_size(data: bytes, max_bytes: int) -> None:
    if len(data) > max_bytes:
        raise InvalidObject(
            f"{len(data):,} bytes as JSON; the limit is {max_bytes:,} bytes",
            field="object",
            hint="store large parts elsewhere and keep a reference, or raise the limit",
        )


def _check_metadata_size(size: int, object_size: int, max_bytes: int) -> None:
    if object_size + size > max_bytes:
        raise InvalidObject(
            f"metadata is {size:,} bytes as JSON, and "
            f"{object_size + size:,} with the object; the limit is {max_bytes:,} bytes",
            field="metadata",
            hint="store large parts elsewhere and keep a reference, or raise the limit",
        )


def _undecodable(kind: str, error: ValidationError) -> InvalidObject:
    complaints = error.errors(include_url=False, include_input=False, include_context=False)
    paths = [location(complaint["loc"]) for complaint in complaints]
    told = [
        f"field '{path}': {shown(complaint['msg'], 200)}"
        for path, complaint in zip(paths, complaints[:_COMPLAINTS_SHOWN], strict=False)
    ]
    more = len(complaints) - len(told)
    rest = f" (and {more} more)" if more else ""
    return InvalidObject(
        f"object of kind {kind!r} does not fit its class: {'; '.join(told)}{rest}", field=paths[0]
    )


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {shown(error, 200)}"


def _type_of(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
