"""Objects become rows and come back, and equal objects have equal hashes."""

import json
import math
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field, create_model
from pydantic_core import core_schema

from delta_cli.engine.errors import ConfigError, InvalidObject
from delta_cli.engine.objects import ObjectType, encode_raw, object_type_of
from delta_cli.engine.settings import InformOpts, ObjectSettings


class Colour(Enum):
    RED = "red"


@dataclass
class User:
    email: str
    name: str = ""
    updated_at: int = 0
    kind: ClassVar[str] = "user"

    @property
    def id(self) -> str:
        return self.email

    def compare(self, other: "User") -> Any:
        return self.updated_at - other.updated_at

    @classmethod
    def settings(cls) -> ObjectSettings:
        return ObjectSettings(parallelism=7)


class Based(BaseModel):
    id: str = "1"
    kind: ClassVar[str] = "made"


@dataclass(frozen=True, slots=True)
class Line:
    sku: str
    price: float
    colour: Colour | None = None


@dataclass(frozen=True, slots=True)
class Order:
    id: int
    lines: list[Line] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    pairs: tuple[tuple[int, str], ...] = ()
    at: datetime | None = None
    day: date | None = None
    total: Decimal = Decimal(0)
    ref: UUID | None = None
    blob: bytes = b""
    parent: "Order | None" = None
    kind: ClassVar[str] = "order"


class Account(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: ClassVar[str] = "account"
    number: int = Field(alias="accountNumber")
    owner: User | None = None

    def id(self) -> int:
        return self.number

    @computed_field
    @property
    def doubled(self) -> int:
        return self.number * 2


@dataclass
class Bag:
    id: str
    value: Any = None
    strings: set[str] = field(default_factory=set)
    nested: set[tuple[frozenset[str], int]] = field(default_factory=set)
    lines: frozenset[Line] = frozenset()
    kind: ClassVar[str] = "bag"


text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False)
lines = st.builds(Line, sku=text, price=finite, colour=st.sampled_from([None, Colour.RED]))
orders = st.builds(
    Order,
    id=st.integers(),
    lines=st.lists(lines, max_size=3),
    labels=st.dictionaries(text, text, max_size=3),
    tags=st.frozensets(text, max_size=3),
    pairs=st.lists(st.tuples(st.integers(), text), max_size=2).map(tuple),
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
    day=st.none() | st.dates(),
    total=st.decimals(allow_nan=False, allow_infinity=False),
    ref=st.none() | st.uuids(),
    blob=text.map(str.encode),
    parent=st.none() | st.builds(Order, id=st.integers()),
).filter(lambda order: len(str(order.id)) < 250)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=12,
)


@given(orders)
def test_a_nested_dataclass_comes_back_equal(order: Order):
    order_type = object_type_of(order)
    assert order_type.decode(order_type.encode(order).json) == order


@given(json_values)
def test_any_json_value_in_a_field_comes_back_equal(value: Any):
    bag_type = object_type_of(Bag("1"))
    assert bag_type.decode(bag_type.encode(Bag("1", value)).json) == Bag("1", value)


@given(st.dictionaries(text, json_values, max_size=5), st.randoms())
def test_the_hash_does_not_depend_on_the_order_of_keys(value: dict[str, Any], random: Any):
    items = list(value.items())
    random.shuffle(items)
    assert encode_raw("bag", "1", dict(items)).hash == encode_raw("bag", "1", value).hash
    bags = object_type_of(Bag("1"))
    assert bags.encode(Bag("1", dict(items))).hash == bags.encode(Bag("1", value)).hash


def test_the_text_is_canonical_and_the_hash_is_its_sha256():
    encoded = object_type_of(User("é@x.com")).encode(User("é@x.com", "Bob", 1))
    assert encoded.json == '{"email":"é@x.com","name":"Bob","updated_at":1}'
    assert encoded.hash == sha256(encoded.json.encode()).digest()
    assert (encoded.kind, encoded.object_id, encoded.namespace) == ("user", "é@x.com", "default")
    assert (encoded.tags, encoded.metadata, encoded.created_at) == ((), "{}", None)


def test_a_raw_object_has_the_hash_of_the_same_object_of_a_class():
    raw = encode_raw("user", "a", {"updated_at": 0, "name": "", "email": "a"})
    assert raw == ObjectType(User).encode(User("a"))


def test_a_model_is_stored_under_its_field_names_without_computed_fields():
    account_type = ObjectType(Account)
    account = Account(accountNumber=3, owner=User("a"))
    encoded = account_type.encode(account)
    assert json.loads(encoded.json) == {
        "number": 3,
        "owner": {"email": "a", "name": "", "updated_at": 0},
    }
    assert encoded.object_id == "3"
    assert account_type.decode(encoded.json) == account
    assert account_type.decode('{"accountNumber":4}').number == 4
    schema = account_type.json_schema()
    assert schema is not None
    assert list(schema["properties"]) == ["number", "owner"]


class Untold(str):
    """A type of a user's whose schema cannot be told."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: Any) -> Any:
        return core_schema.no_info_plain_validator_function(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, _: Any, __: Any) -> Any:
        raise LookupError("no schema")


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (float, math.inf),
        (float, math.nan),
        (str, "\0"),
        (Literal["\0", "a"], "a"),
        (Annotated[str, Field(description="a\0b")], ""),
        (Untold, Untold()),
        (Callable[[], int], None),
    ],
)
def test_a_class_whose_schema_cannot_be_stored_has_none(annotation: Any, default: Any):
    held = create_model("Held", value=(annotation, default))
    made = ObjectType(create_model("Made", __base__=Based, held=(held, held())))
    assert made.json_schema() is None


def test_floats_and_integers_given_for_a_float_have_one_hash():
    line = ObjectType(Order)
    whole = line.encode(Order(1, lines=[Line("a", 3)]))
    assert whole.hash == line.encode(Order(1, lines=[Line("a", 3.0)])).hash


# --- sets ------------------------------------------------------------------------------------

_HASHES = """
from tests.engine.test_objects import Bag, Line, ObjectType
words = ["alpha", "beta", "gamma", "delta", "omega", "zeta"]
bag = Bag(
    "1",
    {"any": set(words), "deep": [{"x": frozenset(words)}], "mixed": {1, "a", None, ("b", 2)}},
    set(words),
    {(frozenset(words), 1), (frozenset(words[:4]), 2)},
    frozenset(Line(word, 1.0) for word in words),
)
print(ObjectType(Bag).encode(bag).hash.hex())
"""


def _hash_in_another_process(seed: int) -> str:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", _HASHES]
    return subprocess.run(
        command, env=environment, cwd=root, check=True, capture_output=True, text=True
    ).stdout


def test_sets_hash_alike_in_processes_that_iterate_them_differently():
    assert len({_hash_in_another_process(seed) for seed in (1, 2, 3, 4)}) == 1


def test_a_list_keeps_its_order():
    bags = ObjectType(Bag)
    encoded = bags.encode(Bag("1", {"list": ["b", "a"], "deque": deque("ba"), "set": set("ba")}))
    assert json.loads(encoded.json)["value"] == {
        "list": ["b", "a"],
        "deque": ["b", "a"],
        "set": ["a", "b"],
    }


def test_a_set_inside_a_root_model_is_sorted():
    class Words(RootModel[Any]):
        pass

    encoded = ObjectType(Bag).encode(Bag("1", Words({"c", "a", "b"})))
    assert json.loads(encoded.json)["value"] == ["a", "b", "c"]


# --- id, created_at, options -----------------------------------------------------------------


def test_an_id_may_be_an_int_an_enum_or_hold_control_characters():
    bags = ObjectType(Bag)

    class Name(StrEnum):
        A = "a"

    assert ObjectType(Order).encode(Order(42)).object_id == "42"
    assert bags.encode(Bag(Name.A)).object_id == "a"
    assert bags.encode(Bag("\x1b[31mred\n")).object_id == "\x1b[31mred\n"
    assert bags.encode(Bag("x" * 254)).object_id == "x" * 254


def test_created_at_is_a_field_a_property_or_a_method():
    at = datetime(2024, 1, 1, tzinfo=UTC)

    @dataclass
    class Made:
        id: str
        created_at: datetime | None
        kind: ClassVar[str] = "made"

    class MadeLater(BaseModel):
        kind: ClassVar[str] = "made"
        id: str = "1"

        def created_at(self) -> datetime:
            return at

    assert ObjectType(Made).encode(Made("1", at)).created_at == at
    assert ObjectType(Made).encode(Made("1", None)).created_at is None
    assert ObjectType(MadeLater).encode(MadeLater()).created_at == at
    # Postgres takes no offset beyond 16 hours, Python does.
    far = at.astimezone(timezone(timedelta(hours=-23, microseconds=1)))
    told = ObjectType(Made).encode(Made("1", far)).created_at
    assert told is not None
    assert (told, told.utcoffset()) == (at, timedelta(0))


def test_options_given_beat_those_of_the_object():
    @dataclass
    class Tagged:
        id: str
        kind: ClassVar[str] = "tagged"

        def inform_opts(self) -> InformOpts:
            return InformOpts(namespace="own", tags=("own-tag",), metadata={"b": [1], "a": 2})

    own = ObjectType(Tagged).encode(Tagged("1"))
    assert (own.namespace, own.tags, own.metadata) == ("own", ("own-tag",), '{"a":2,"b":[1]}')
    given_opts = InformOpts(namespace="given", priority=3, max_attempts=2)
    given_ = ObjectType(Tagged).encode(Tagged("1"), given_opts)
    assert (given_.namespace, given_.tags, given_.metadata) == ("given", (), "{}")
    assert (given_.priority, given_.max_attempts) == (3, 2)


# --- compare ---------------------------------------------------------------------------------


def test_compare_asks_the_new_object_about_the_old_one():
    users = ObjectType(User)
    old = users.encode(User("a", updated_at=5)).json
    assert users.has_compare
    assert users.compare(User("a", updated_at=3), old) < 0
    assert users.compare(User("a", updated_at=5), old) == 0
    assert users.compare(User("a", updated_at=9), old) > 0


def test_an_object_is_newer_than_one_that_cannot_be_decoded_any_more():
    assert ObjectType(User).compare(User("a"), '{"mail":"old shape"}') == 1


def test_an_object_without_compare_is_newer():
    assert not ObjectType(Order).has_compare
    assert ObjectType(Order).compare(Order(1), "{}") == 1


@pytest.mark.parametrize("result", ["soon", None, True, 1.5])
def test_compare_must_return_an_int(result: Any):
    @dataclass
    class Odd:
        id: str
        kind: ClassVar[str] = "odd"

        def compare(self, _other: Any) -> Any:
            return result

    with pytest.raises(InvalidObject, match=r"compare\(\) of kind 'odd' returned .*, not an int"):
        ObjectType(Odd).compare(Odd("1"), '{"id":"1"}')


def test_compare_that_raises_is_refused():
    with pytest.raises(InvalidObject, match=r"compare\(\) of User raised TypeError"):
        ObjectType(User).compare(User("a", updated_at=None), '{"email":"a"}')  # pyright: ignore[reportArgumentType]


# --- classes ---------------------------------------------------------------------------------


def test_an_object_type_is_built_once_per_class():
    assert object_type_of(User("a")) is object_type_of(User("b"))
    assert object_type_of(User("a")).settings.parallelism == 7
    assert object_type_of(Order(1)).settings == ObjectSettings()


def _class(**members: Any) -> type[Any]:
    annotations = members.pop("annotations", {"id": str})
    return dataclass(type("Thing", (), {"__annotations__": annotations, **members}))


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (_class(), "Thing does not say its kind"),
        (_class(kind=3), "Thing does not say its kind"),
        (_class(kind=property(lambda _: "a")), "Thing does not say its kind"),
        (_class(annotations={"id": str, "kind": str}, kind="a"), "Thing does not say its kind"),
        (_class(kind="a b"), "Thing: kind 'a b' is not valid"),
        (_class(kind="a", annotations={"name": str}), "Thing has no id"),
        (
            _class(kind="a", annotations={"id": object, "x": type(threading.Lock())}),
            "Thing cannot be",
        ),
        (_class(kind="a", annotations={"id": "Nowhere"}), "Thing cannot be stored"),
        (_class(kind="a", settings=lambda self: self), r"Thing.settings\(\) cannot be called"),
        (_class(kind="a", settings=staticmethod(lambda: 3)), r"settings\(\) returned a value of"),
    ],
)
def test_a_class_that_cannot_be_stored_is_refused(cls: type[Any], message: str):
    with pytest.raises(ConfigError, match=message):
        ObjectType(cls)


def test_a_kind_may_be_a_classmethod():
    assert ObjectType(_class(kind=classmethod(lambda _: "thing"))).kind == "thing"


# --- decoding --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ("{}", "field 'email': Field required"),
        ('{"email":3}', "field 'email': Input should be a valid string"),
        ("[]", "field 'object': Input should be an object"),
        ('{"email":', "field 'object': Invalid JSON"),
    ],
)
def test_an_undecodable_text_is_told_by_field(stored: str, message: str):
    with pytest.raises(InvalidObject, match=message) as caught:
        ObjectType(User).decode(stored)
    assert caught.value.field in message


def test_a_refusal_names_at_most_three_fields_and_never_the_input():
    stored = json.dumps({"id": "secret-a", "lines": [{"sku": "secret-b"}] * 5, "total": "secret-c"})
    with pytest.raises(
        InvalidObject, match=r"'lines.0.price': Field required.*and 4 more"
    ) as caught:
        ObjectType(Order).decode(stored)
    assert "secret" not in str(caught.value)


def test_a_class_whose_post_init_raises_is_told():
    @dataclass
    class Fussy:
        id: str
        kind: ClassVar[str] = "fussy"

        def __post_init__(self) -> None:
            if self.id == "bad":
                raise KeyError("no such thing")

    with pytest.raises(InvalidObject, match="kind 'fussy' cannot be built: KeyError"):
        ObjectType(Fussy).decode('{"id":"bad"}')


def test_a_duration_comes_back_equal():
    @dataclass
    class Timed:
        id: str
        lasts: timedelta
        kind: ClassVar[str] = "timed"

    timed = Timed("1", timedelta(days=3, microseconds=1))
    assert ObjectType(Timed).decode(ObjectType(Timed).encode(timed).json) == timed
