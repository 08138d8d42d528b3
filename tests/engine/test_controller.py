"""Controllers know their object's class, and an application has one per kind."""

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from delta_cli.engine.controller import Controller, Controllers
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.resource import Resource

T = TypeVar("T")


@dataclass
class User:
    id: str
    kind: ClassVar[str] = "user"


@dataclass
class Group:
    id: str
    kind: ClassVar[str] = "group"


class UserController(Controller[User]):
    async def work(self, resource: Resource[User]) -> None: ...

    def inform(self, options: Any) -> Any:
        yield User("1")


class GroupController(Controller[Group]):
    def work(self, resource: Resource[Group]) -> None: ...


class Base(Controller[T], Generic[T]):
    def work(self, resource: Resource[T]) -> None: ...


class Derived(UserController): ...


U = TypeVar("U")


class Mixin: ...


class Swapped(Base[T], Generic[U, T]): ...


class Users(Base[User]): ...


class Groups(Mixin, Swapped[int, Group]): ...


class DerivedGroups(Groups): ...


class Named(Controller["User"]): ...


class Undecided(Base[T]): ...


class Bare(Controller): ...  # pyright: ignore[reportMissingTypeArgument]


class Workless(Controller[User]): ...


class Yielding(Controller[User]):
    def work(self, resource: Resource[User]) -> Any:
        yield resource


class YieldingAsync(Controller[User]):
    async def work(self, resource: Resource[User]) -> Any:
        yield resource


def test_a_controller_knows_the_class_of_its_objects():
    assert UserController.object_class() is User
    assert Derived.object_class() is User


@pytest.mark.parametrize(
    ("cls", "worked"),
    [(Users, User), (Groups, Group), (DerivedGroups, Group)],
)
def test_a_generic_base_of_controllers_passes_the_class_of_their_objects_on(
    cls: type[Controller[Any]], worked: type[Any]
):
    assert cls.object_class() is worked


def test_a_controller_says_whether_it_informs_and_how_it_works():
    assert (UserController().has_informer, UserController().is_async) == (True, True)
    assert (GroupController().has_informer, GroupController().is_async) == (False, False)


def test_an_object_that_is_no_class_is_named():
    with pytest.raises(ConfigError, match=r"given ForwardRef\('User'\), which is no class"):
        Named.object_class()


@pytest.mark.parametrize("cls", [Base, Undecided, Swapped])
def test_a_generic_base_alone_works_no_object(cls: type[Controller[Any]]):
    with pytest.raises(ConfigError, match=f"{cls.__name__} does not say which object") as caught:
        cls.object_class()
    assert "as Base[YourObject]" in (caught.value.hint or "")


def test_a_controller_without_an_object_is_refused():
    with pytest.raises(ConfigError, match="Bare does not say which object it works"):
        Bare.object_class()


def test_controllers_are_found_by_kind():
    user, group = UserController(), GroupController()
    controllers = Controllers([user, group])
    assert (len(controllers), list(controllers)) == (2, ["user", "group"])
    assert "user" in controllers
    assert controllers.controller("group") is group
    assert controllers.object_type("user").cls is User
    with pytest.raises(KeyError):
        controllers.controller("nothing")


def test_only_keeps_the_named_kinds():
    controllers = Controllers([UserController(), GroupController()])
    assert list(controllers.only(["group", "group"])) == ["group"]
    with pytest.raises(ConfigError, match="no controller works kind 'nothing'") as caught:
        controllers.only(["nothing"])
    assert caught.value.hint == "kinds of this application: group, user"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([UserController], "got the class UserController"),
        ([3], "got 3"),
        ([Workless()], r"Workless has no work\(\)"),
        ([Yielding()], "of Yielding, for kind 'user', has a yield in it"),
        ([YieldingAsync()], "of YieldingAsync, for kind 'user', has a yield in it"),
        ([UserController(), Derived()], "two controllers: UserController and Derived"),
    ],
)
def test_what_is_not_a_good_set_of_controllers_is_refused(given: list[Any], message: str):
    with pytest.raises(ConfigError, match=message):
        Controllers(given)
