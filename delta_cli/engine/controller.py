"""What a user writes: one controller per kind, its informer and its worker in one class."""

import inspect
from collections.abc import AsyncIterable, Iterable, Iterator
from typing import Any, Generic, TypeVar, get_args, get_origin

from delta_cli.engine.backoff import ExponentialBackoff, RetryPolicy
from delta_cli.engine.errors import ConfigError
from delta_cli.engine.field_types import check_argument
from delta_cli.engine.objects import ObjectType
from delta_cli.engine.resource import Resource
from delta_cli.engine.returned import never_runs
from delta_cli.engine.settings import InformOptions

T = TypeVar("T")


class Controller(Generic[T]):
    """Keeps one kind of object right: subclass it, or a generic base, as `Controller[YourObject]`.

    `work()` makes one object right; it may be `async def` or plain (plain runs in a thread), and
    holds no `yield`. An awaitable that it returns is awaited.
    `inform()` reports what exists outside; it is an async generator, a generator, or returns an
    iterable. Raising in either means that the work or the run failed.
    `backoff` says when a failed resource is tried again; replace it on the class or instance.
    """

    backoff: RetryPolicy = ExponentialBackoff()

    def work(self, resource: Resource[T]) -> Any:
        """Make one object right. Returning means synced.

        Raising means failed, unless it is `Snooze`, `Permanent` or `ResourceDelete`.
        """
        raise NotImplementedError

    def inform(self, options: InformOptions) -> AsyncIterable[T] | Iterable[T] | Any:
        """Report objects that exist outside, those created after `options.after` at least."""
        return ()

    @classmethod
    def object_class(cls) -> type[Any]:
        """The `T` of the `Controller[T]` that this class derives from, also through generic bases.

        Raises ConfigError where that is not a class.
        """
        worked = _object_of(cls, ())
        if isinstance(worked, type):
            return worked
        given = "" if worked is None else f": it is given {worked!r}, which is no class"
        raise ConfigError(
            f"{cls.__name__} does not say which object it works{given}",
            hint=f"derive it as: class {cls.__name__}(Controller[YourObject]), "
            "or from a generic base of yours, as Base[YourObject]",
        )

    @property
    def has_informer(self) -> bool:
        """Whether `inform()` was written."""
        return type(self).inform is not Controller.inform

    @property
    def is_async(self) -> bool:
        """Whether `work()` is a coroutine function; a plain one runs in a thread."""
        return inspect.iscoroutinefunction(self.work)


def _object_of(cls: type[Any], arguments: tuple[Any, ...]) -> Any:
    """What a subclass of Controller, given these arguments, puts for its `T`; None if nothing."""
    if cls is Controller:
        return arguments[0] if arguments else None
    known = dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))
    # Not getattr(): a class without generic bases of its own would show its parent's.
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin = get_origin(base) or base
        if isinstance(origin, type) and issubclass(origin, Controller):
            given = tuple(known.get(one, one) for one in get_args(base))
            found = _object_of(origin, given)
            if found is not None and not isinstance(found, TypeVar):
                return found
    return None


class Controllers:
    """The controllers of an application by kind, each with the `ObjectType` of its objects.

    Refuses with `ConfigError` what is not a controller, and two controllers of one kind.
    """

    def __init__(self, controllers: Iterable[Controller[Any]] = ()) -> None:
        self._controllers: dict[str, Controller[Any]] = {}
        self._types: dict[str, ObjectType[Any]] = {}
        for controller in controllers:
            self._add(controller)

    def _add(self, controller: Controller[Any]) -> None:
        if not isinstance(controller, Controller):
            got = (
                f"the class {controller.__name__}"
                if isinstance(controller, type)
                else repr(controller)
            )
            raise ConfigError(
                f"controllers must hold instances of Controller, got {got}",
                hint="write controllers=[UserController()], with the parentheses",
            )
        if type(controller).work is Controller.work:
            raise ConfigError(f"{type(controller).__name__} has no work()")
        check_argument(f"backoff of {type(controller).__name__}", controller.backoff, RetryPolicy)
        object_type = ObjectType(controller.object_class())
        kind = object_type.kind
        if never_runs(controller.work):
            raise ConfigError(
                f"work() of {type(controller).__name__}, for kind {kind!r}, has a yield in it: "
                "it is a generator, which nobody runs",
                hint="remove the yield; only inform() reports objects with one",
            )
        if kind in self._controllers:
            raise ConfigError(
                f"kind {kind!r} has two controllers: "
                f"{type(self._controllers[kind]).__name__} and {type(controller).__name__}",
                hint="keep one controller per kind",
            )
        self._controllers[kind] = controller
        self._types[kind] = object_type

    def __iter__(self) -> Iterator[str]:
        return iter(self._controllers)

    def __len__(self) -> int:
        return len(self._controllers)

    def __contains__(self, kind: object) -> bool:
        return kind in self._controllers

    def controller(self, kind: str) -> Controller[Any]:
        """The controller of a kind; KeyError when there is none."""
        return self._controllers[kind]

    def object_type(self, kind: str) -> ObjectType[Any]:
        """How objects of a kind are encoded and decoded; KeyError when there is none."""
        return self._types[kind]

    def only(self, kinds: Iterable[str]) -> "Controllers":
        """Those of the given kinds. Raises ConfigError for a kind without a controller."""
        wanted = list(kinds)
        for kind in wanted:
            if kind not in self:
                known = ", ".join(sorted(self)) or "none"
                raise ConfigError(
                    f"no controller works kind {kind!r}", hint=f"kinds of this application: {known}"
                )
        return Controllers(self._controllers[kind] for kind in dict.fromkeys(wanted))
