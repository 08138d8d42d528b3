"""Objects given on the command line: decoded one by one, and told by their place when refused."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from delta_cli.cli.lines import numbered_lines
from delta_cli.engine.errors import ConfigError, InvalidObject

if TYPE_CHECKING:
    from delta_cli.engine.controller import Controllers
    from delta_cli.engine.settings import InformOpts

#: JSON may escape every character as six.
_ESCAPED: Final = 6

_FORM: Final = 'write it as {"id": "...", ...}'
_ARRAY: Final = "give one object a line, without an array around them; of one: jq -c '.[]'"

Decode = Callable[[bytes], Any]


class GivenObjects:
    """Objects from `--object` and `--file`. `refusals` counts those passed over.

    `place` is where the object that was given last came from: "line 17", of several files with the
    file's name before it. Raises ConfigError when stdin is named twice: it can be read once.
    """

    def __init__(
        self,
        decode: Decode,
        *,
        texts: Sequence[str],
        files: Sequence[str],
        max_bytes: int,
        on_refused: Callable[[InvalidObject], None] | None,
    ) -> None:
        if files.count("-") > 1:
            raise ConfigError("--file - is given twice", hint="stdin can be read once")
        self.place: str = ""
        self.refusals: int = 0
        self._decode: Decode = decode
        self._texts: Sequence[str] = texts
        self._files: Sequence[str] = files
        self._max_bytes: int = max_bytes
        self._on_refused: Callable[[InvalidObject], None] | None = on_refused

    async def read(self) -> AsyncIterator[Any]:
        """The objects. Raises InvalidObject, with its place, unless those are passed over."""
        async for data in self._texts_of_objects():
            try:
                if data is None:
                    raise self._too_long()
                obj = self._decode(data)
            except InvalidObject as error:
                if self._on_refused is None:
                    raise self.placed(error) from error
                self.refuse(error)
                continue
            yield obj

    def refuse(self, error: InvalidObject) -> None:
        """Count and tell an object that is passed over."""
        self.refusals += 1
        if self._on_refused is not None:
            self._on_refused(self.placed(error))

    def placed(self, error: InvalidObject) -> InvalidObject:
        """The error with the place of its object."""
        return InvalidObject(f"{self.place}: {error.message}", field=error.field, hint=error.hint)

    async def _texts_of_objects(self) -> AsyncIterator[bytes | None]:
        for number, text in enumerate(self._texts, start=1):
            self.place = "--object" if len(self._texts) == 1 else f"--object number {number}"
            yield text.encode()
        for file in self._files:
            of_file = f"{'stdin' if file == '-' else file} " if len(self._files) > 1 else ""
            async for number, line in numbered_lines(file, self._max_bytes * _ESCAPED):
                self.place = f"{of_file}line {number}"
                yield line

    def _too_long(self) -> InvalidObject:
        return InvalidObject(
            f"the line is longer than any object may be ({self._max_bytes:,} bytes)", field="object"
        )


def typed_decoder(controllers: "Controllers", kind: str) -> Decode:
    """Objects of a kind as its class; the class refuses what does not fit."""
    object_type = controllers.object_type(kind)

    def decode(data: bytes) -> Any:
        _parse(data)  # says better where JSON is broken
        return object_type.decode(data)

    return decode


def raw_decoder(kind: str, *, id_field: str, opts: "InformOpts | None", max_bytes: int) -> Decode:
    """Objects of a kind whose class is not at hand, as the JSON that they are."""
    from delta_cli.engine.objects import encode_raw

    def decode(data: bytes) -> Any:
        value = _parse(data)
        if not isinstance(value, dict):
            raise InvalidObject(
                f"a JSON object is needed, got {_type_name(value)}", field="object", hint=_FORM
            )
        if id_field not in value:
            raise InvalidObject(
                f"the object has no field {id_field!r} to take its id from",
                field=id_field,
                hint="name the field with --id-field",
            )
        return encode_raw(kind, value[id_field], value, opts, max_bytes=max_bytes)

    return decode


def _parse(data: bytes) -> Any:
    try:
        value = json.loads(data)
    except UnicodeDecodeError as error:
        raise InvalidObject(f"not UTF-8: {error.reason}", field="object") from error
    except RecursionError as error:
        raise InvalidObject("nested too deeply", field="object") from error
    except ValueError as error:
        raise InvalidObject(
            f"not JSON: {error}", field="object", hint=_ARRAY if _is_array(data) else _FORM
        ) from error
    if isinstance(value, list):
        raise InvalidObject("a JSON object is needed, got an array", field="object", hint=_ARRAY)
    return value


def _is_array(data: bytes) -> bool:
    return data.lstrip().startswith(b"[")


def _type_name(value: Any) -> str:
    names = {str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
