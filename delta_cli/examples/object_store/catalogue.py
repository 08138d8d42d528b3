"""What should be stored: a folder with one small record per object, and what has just come in.

Every process of the store uses the same folder, so the locks that they meet at lie in it too.
"""

import errno
import hashlib
import io
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, ClassVar, Final

from delta_cli import InvalidObject, ObjectSettings
from delta_cli.examples.object_store.files import copy, locked, part_of

INFORM_INTERVAL: Final = timedelta(seconds=10)
WORK_TIMEOUT: Final = timedelta(minutes=30)

_NAME: Final = re.compile(r"\w[\w.\-]{0,199}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One record of the catalogue: `size` in bytes, `sha256` of the content in hexadecimal."""

    name: str
    size: int
    sha256: str
    copies: int

    kind: ClassVar[str] = "stored_object"

    @property
    def id(self) -> str:
        return self.name

    @classmethod
    def settings(cls) -> ObjectSettings:
        return ObjectSettings(
            parallelism=4, inform_interval=INFORM_INTERVAL, work_timeout=WORK_TIMEOUT
        )


class Catalogue:
    """The records in `folder/objects`; content waits in `folder/incoming` until it is stored."""

    def __init__(self, folder: Path) -> None:
        self.folder: Path = folder.resolve()
        self.locks: Path = self.folder / "locks"
        self._objects: Path = self.folder / "objects"
        self._incoming: Path = self.folder / "incoming"

    def create(self) -> None:
        """Make its folders where they are not there yet, but not the folder that they lie in.

        Only for those who put objects: a worker that made a lost catalogue anew would find that
        nothing is wanted any more.
        """
        for folder in (self.folder, self._objects, self._incoming, self.locks):
            folder.mkdir(exist_ok=True)

    def changing(self, name: str) -> AbstractContextManager[None]:
        """Whoever changes an object or its copies holds this lock meanwhile."""
        digest = hashlib.sha256(name.encode()).hexdigest()
        return locked(self.locks / f"object-{digest[:2]}")

    def put(self, name: str, content: IO[bytes], copies: int) -> StoredObject:
        """Take an object in, or a new version of it. Raises InvalidObject."""
        if not is_name(name):
            raise InvalidObject(
                f"{name!r} cannot name an object",
                field="name",
                hint="use at most 200 letters, digits, '_', '-' and '.', no '-' or '.' first",
            )
        with self._part() as part:
            sha256 = copy(content, part)
            found = StoredObject(name, part.tell(), sha256, _checked_copies(copies))
            with self.changing(name):
                Path(part.name).replace(self._incoming / name)
                self._write(found)
        return found

    def set_copies(self, name: str, copies: int) -> StoredObject:
        """Want another number of copies. Raises FileNotFoundError for an unknown name."""
        with self.changing(name):
            found = self.find(name)
            if found is None:
                raise FileNotFoundError(f"the catalogue has no object {name!r}")
            changed = StoredObject(name, found.size, found.sha256, _checked_copies(copies))
            self._write(changed)
        return changed

    def remove(self, name: str) -> None:
        """Want an object no more; its copies go when its resource is worked the next time."""
        with self.changing(name):
            if is_name(name):
                (self._objects / name).unlink(missing_ok=True)
            self.discard_incoming(name)

    def find(self, name: str) -> StoredObject | None:
        """The record of an object; None if there is none.

        Raises FileNotFoundError when the catalogue itself is away: then nothing was removed; and
        OSError for a record that cannot be read.
        """
        if not self._objects.is_dir():
            raise FileNotFoundError(f"the catalogue {self.folder} is not there")
        if not is_name(name):
            return None
        try:
            return StoredObject(name=name, **json.loads((self._objects / name).read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise OSError(errno.EIO, f"the record of {name} is damaged ({error})") from None

    def records(self) -> Iterator[StoredObject]:
        """Every object that should be stored, in the order of their names."""
        for name in sorted(file.name for file in self._objects.iterdir() if is_name(file.name)):
            # It may be removed between the listing and the look at it.
            if (found := self.find(name)) is not None:
                yield found

    def incoming(self, name: str) -> Path:
        """Where the content of an object waits until it has all its copies."""
        return self._incoming / name

    def discard_incoming(self, name: str) -> None:
        """Its content lies elsewhere now, or is not wanted."""
        if is_name(name):
            self.incoming(name).unlink(missing_ok=True)

    def _write(self, record: StoredObject) -> None:
        fields = asdict(record)
        del fields["name"]
        with self._part() as part:
            copy(io.BytesIO(json.dumps(fields).encode()), part)
            Path(part.name).replace(self._objects / record.name)

    def _part(self) -> AbstractContextManager[IO[bytes]]:
        return part_of(self._incoming, self.locks / "incoming")


def is_name(name: str) -> bool:
    """Whether a name is a plain file name, and none of our parts."""
    return _NAME.fullmatch(name) is not None


def _checked_copies(copies: int) -> int:
    if copies < 1:
        raise InvalidObject(f"copies must be 1 or more, got {copies}", field="copies")
    return copies
