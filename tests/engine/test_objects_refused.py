"""Bad input is refused with a message that names the field, before anything is stored."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import count
from typing import Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, RootModel, SecretStr, field_serializer

from delta_cli.engine.errors import InvalidObject
from delta_cli.engine.objects import DEFAULT_MAX_OBJECT_BYTES, ObjectType, encode_raw
from delta_cli.engine.settings import InformOpts


@dataclass
class Address:
    city: str = ""
    height: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)


@dataclass
class Person:
    id: Any
    address: Address = field(default_factory=Address)
    size: Literal["s", "l"] = "s"
    numbers: tuple[int, ...] = ()
    kind: ClassVar[str] = "person"


@dataclass
class Loose:
    id: str
    value: Any
    kind: ClassVar[str] = "loose"


def refused(attempt: Callable[[], object]) -> InvalidObject:
    with pytest.raises(InvalidObject) as caught:
        attempt()
    return caught.value


def person(id_: Any = "1", **fields: Any) -> InvalidObject:
    return refused(lambda: ObjectType(Person).encode(Person(id_, **fields)))


def loose(value: Any) -> InvalidObject:
    return refused(lambda: ObjectType(Loose).encode(Loose("1", value)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "id of kind 'person' is None"),
        ("", "id of kind 'person' is empty"),
        ("x" * 255, "id of kind 'person' has 255 characters"),
        (10**254, "id of kind 'person' has 255 characters"),
        (1.5, "id of kind 'person' is a value of type float, not a str or an int"),
        (b"a", "id of kind 'person' is a value of type bytes, not a str or an int"),
        (True, "id of kind 'person' is a value of type bool, not a str or an int"),
        ("a\0b", "id of kind 'person' contains a NUL character (at position 1)"),
        (
            "a\ud800",
            (
                "id of kind 'person' contains a lone surrogate, "
                "which is not a character (at position 1)"
            ),
        ),
    ],
)
def test_a_bad_id(value: Any, message: str):
    error = person(value)
    assert (error.message, error.field) == (message, "id")
    assert error.hint


def test_an_id_that_raises():
    class Nameless(BaseModel):
        kind: ClassVar[str] = "nameless"

        @property
        def id(self) -> str:
            raise LookupError("no name")

    error = refused(lambda: ObjectType(Nameless).encode(Nameless()))
    assert error.message == "id of Nameless cannot be read: LookupError: no name"


CANNOT = "which JSON cannot hold"
TYPED = [
    ({"address": Address("a\0")}, "address.city", "contains a NUL character (at position 1)"),
    (
        {"address": Address("\udc00")},
        "address.city",
        "contains a lone surrogate, which is not a character (at position 0)",
    ),
    ({"address": Address(height=math.nan)}, "address.height", f"is NaN, {CANNOT}"),
    ({"address": Address(height=math.inf)}, "address.height", f"is Infinity, {CANNOT}"),
    ({"address": Address(height=-math.inf)}, "address.height", f"is -Infinity, {CANNOT}"),
    ({"address": Address(scores={"a": math.nan})}, "address.scores.a", f"is NaN, {CANNOT}"),
    (
        {"address": Address(scores={"a\0": 1})},
        r"address.scores.a\x00",
        "has a key that contains a NUL character (at position 1)",
    ),
    (
        {"address": Address(scores={"\ud800": 1})},
        r"address.scores.\ud800",
        "has a key that contains a lone surrogate, which is not a character (at position 0)",
    ),
    ({"address": Address(city=3)}, "address.city", "is of type int, not str"),  # pyright: ignore[reportArgumentType]
    ({"address": Address(height="x")}, "address.height", "is of type str, not float"),  # pyright: ignore[reportArgumentType]
    ({"numbers": [1]}, "numbers", "is of type list, not tuple[int, ...]"),
    ({"numbers": (10**5000,)}, "numbers.0", "is an integer of more than 4300 digits"),
]


@pytest.mark.parametrize(("fields", "path", "trouble"), TYPED)
def test_a_bad_value_in_a_typed_field(fields: dict[str, Any], path: str, trouble: str):
    error = person(**fields)
    assert error.field == path
    assert error.message == f"object '1': field '{path}' {trouble}"
    assert error.hint


def test_a_value_that_its_class_would_not_take_back():
    error = person(size="m")
    assert error.field == "size"
    told = "object '1': object of kind 'person' does not fit its class: field 'size'"
    assert error.message.startswith(told)


def test_replacement_characters_and_the_text_of_a_nul_escape_are_good():
    for text in ("\ufffd", "\\u0000", "\\\\u0000"):
        encoded = ObjectType(Person).encode(Person("1", Address(text, scores={text: 1})))
        assert ObjectType(Person).decode(encoded.json).address.city == text


SELF: dict[str, Any] = {}
SELF["self"] = SELF
DEEP: Any = 1
for _ in range(150):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "path", "trouble"),
    [
        ({"a": ["x", "b\0"]}, "value.a.1", "contains a NUL"),
        ({"a": {"k\0": 1}}, r"value.a.k\x00", "has a key that contains a NUL"),
        ({"a": {"\ud800": 1}}, r"value.a.\ud800", "has a key that contains a lone surrogate"),
        ({"a": {"b\udfff"}}, "value.a.0", "contains a lone surrogate"),
        ({"a": [math.nan]}, "value.a.0", "is NaN"),
        ((1, math.inf), "value.1", "is Infinity"),
        ({math.inf: 1}, "value.inf", "has a key that is Infinity"),
        ({1: {"b": -math.inf}}, "value.1.b", "is -Infinity"),
        (RootModel[Any](math.nan), "value", "is NaN"),
        ([Address(height=math.nan)], "value.0.height", "is NaN"),
        ({"a": [object()]}, "value.a.0", "(object) cannot be written as JSON"),
        ({"a": b"\xff"}, "value.a", "(bytes) cannot be written as JSON"),
        ({"a": 10**5000}, "value.a", "is an integer of more than 4300 digits"),
        ([SecretStr("hunter2")], "value.0", "is a secret"),
        (SELF, "value.self.self", "is nested deeper than 128 levels, or contains itself"),
        (DEEP, "value.0.0", "is nested deeper than 128 levels, or contains itself"),
    ],
)
def test_a_bad_value_in_an_untyped_field(value: Any, path: str, trouble: str):
    error = loose(value)
    assert error.field.startswith(path)
    assert trouble in error.message
    assert f"field '{path}" in error.message
    assert error.hint
    assert len(error.message) < 400


def test_an_escape_sequence_in_a_key_is_shown_and_not_obeyed():
    assert "\x1b" not in str(loose({"\x1b[31m": math.nan}))


def test_a_serializer_that_raises():
    class Broken(BaseModel):
        kind: ClassVar[str] = "broken"
        id: str

        @field_serializer("id")
        def serialize_id(self, _value: str) -> str:
            raise LookupError("lost")

    error = refused(lambda: ObjectType(Broken).encode(Broken(id="a")))
    assert "LookupError: lost" in error.message


def test_an_object_over_the_limit_says_its_size_and_the_limit():
    error = person("big", address=Address("x" * DEFAULT_MAX_OBJECT_BYTES))
    assert error.message == ("object 'big': 1,048,659 bytes as JSON; the limit is 1,048,576 bytes")
    assert error.hint


def test_the_limit_counts_bytes_and_is_inclusive():
    size = len(encode_raw("a", "1", {"x": "é"}).json.encode())
    assert encode_raw("a", "1", {"x": "é"}, max_bytes=size)
    assert refused(lambda: encode_raw("a", "1", {"x": "é"}, max_bytes=size - 1)).field == "object"


def test_an_object_of_another_class():
    error = refused(lambda: ObjectType(Person).encode(Address()))  # pyright: ignore[reportArgumentType]
    assert error.message == "object of kind 'person' is of type Address, not Person"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (datetime(2024, 1, 1), "created_at has no time zone: 2024-01-01T00:00:00"),  # noqa: DTZ001
        (date(2024, 1, 1), "created_at is a value of type date, not a datetime"),
        (
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
            "created_at is not within the years 1 to 9999 in UTC: 9999-12-31T23:59:59.999999-05:00",
        ),
        (
            datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
            "created_at is not within the years 1 to 9999 in UTC: 0001-01-01T00:00:00+14:00",
        ),
        ("2024", "created_at is a value of type str, not a datetime"),
        (0, "created_at is a value of type int, not a datetime"),
    ],
)
def test_a_bad_created_at_is_told_with_the_objects_id(value: Any, message: str):
    @dataclass
    class Made:
        id: str
        created_at: Any
        kind: ClassVar[str] = "made"

    error = refused(lambda: ObjectType(Made).encode(Made("1", value)))
    assert (error.message, error.field) == (f"object '1': {message}", "created_at")
    assert error.hint
    assert ObjectType(Made).encode(Made("1", datetime.now(UTC))).created_at


@pytest.mark.parametrize("opts", [None, {"tags": []}, "tags"])
def test_inform_opts_of_a_wrong_type(opts: Any):
    class Odd(BaseModel):
        kind: ClassVar[str] = "odd"
        id: str = "1"

        def inform_opts(self) -> Any:
            return opts

    error = refused(lambda: ObjectType(Odd).encode(Odd()))
    assert error.field == "inform_opts"
    assert error.message.startswith("object '1': inform_opts() returned ")


def test_an_object_whose_own_options_are_bad_says_which():
    class Odd(BaseModel):
        kind: ClassVar[str] = "odd"
        id: str = "1"

        def inform_opts(self) -> InformOpts:
            return InformOpts(tags=("a b",))

    error = refused(lambda: ObjectType(Odd).encode(Odd()))
    assert (error.message, error.field) == ("object '1': tag 'a b' is not valid", "tags")


@pytest.mark.parametrize(
    ("metadata", "path", "trouble"),
    [
        ({"a": {"b": "\0"}}, "metadata.a.b", "contains a NUL character (at position 0)"),
        ({"a": math.nan}, "metadata.a", f"is NaN, {CANNOT}"),
        ({"a": "\ud800"}, "metadata.a", "contains a lone surrogate"),
        ({"a": {1}}, "metadata.a", f"is of type set, {CANNOT}"),
        ({1: 2}, "metadata.1", "is under a key of type int"),
    ],
)
def test_bad_metadata(metadata: Any, path: str, trouble: str):
    opts = InformOpts(metadata=metadata)
    error = refused(lambda: ObjectType(Loose).encode(Loose("1", 1), opts))
    assert error.field == path
    assert error.message.startswith(f"object '1': field '{path}' {trouble}")


def test_metadata_counts_with_the_object_against_the_limit():
    opts = InformOpts(metadata={"a": "é"})
    object_bytes, metadata_bytes = len(b'{"x":1}'), len('{"a":"é"}'.encode())
    size = object_bytes + metadata_bytes
    assert encode_raw("a", "1", {"x": 1}, opts, max_bytes=size)
    error = refused(lambda: encode_raw("a", "1", {"x": 1}, opts, max_bytes=size - 1))
    assert error.field == "metadata"
    assert error.message == (
        f"object '1': metadata is {metadata_bytes} bytes as JSON, and {size} with the object; "
        f"the limit is {size - 1} bytes"
    )
    assert error.hint
    assert encode_raw("a", "1", {"x": 1}, max_bytes=object_bytes)


def test_metadata_that_an_object_brings_counts_too():
    class Heavy(BaseModel):
        kind: ClassVar[str] = "heavy"
        id: str = "1"

        def inform_opts(self) -> InformOpts:
            return InformOpts(metadata={"a": "x" * DEFAULT_MAX_OBJECT_BYTES})

    assert refused(lambda: ObjectType(Heavy).encode(Heavy())).field == "metadata"


def test_more_than_100_tags():
    tags = [f"tag-{number}" for number in range(101)]
    assert len(InformOpts(tags=tuple(tags[:100])).tags) == 100
    error = refused(lambda: InformOpts(tags=tuple(tags)))
    assert (error.message, error.field) == ("an object has at most 100 tags, got more", "tags")
    assert error.hint
    assert refused(lambda: InformOpts(tags=(f"tag-{it}" for it in count()))).field == "tags"  # pyright: ignore[reportArgumentType]


def test_metadata_that_is_not_a_mapping():
    error = refused(lambda: InformOpts(metadata=[1]))  # pyright: ignore[reportArgumentType]
    assert error.message == "metadata must be a mapping, got list"


@pytest.mark.parametrize(
    ("kind", "object_id", "value", "message"),
    [
        ("a b", "1", {}, "kind 'a b' is not valid"),
        ("a", "", {}, "id of kind 'a' is empty"),
        ("a", "1", {"x": math.nan}, f"field 'x' is NaN, {CANNOT}"),
        ("a", "1", {"x": [{1: 2}]}, "field 'x.0.1' is under a key of type int"),
        ("a", "1", {"x": datetime(2024, 1, 1, tzinfo=UTC)}, "field 'x' is of type datetime"),
        ("a", "1", DEEP, "is nested deeper than 128 levels"),
        ("a", "1", "\0", "field 'object' contains a NUL"),
    ],
)
def test_a_bad_raw_object(kind: str, object_id: str, value: Any, message: str):
    assert message in refused(lambda: encode_raw(kind, object_id, value)).message
