"""Keeps a folder mirrored: every regular file below a source folder, byte for byte, in a target.

    export MIRROR_SOURCE=photos MIRROR_TARGET=/backup/photos
    delta run --app delta_cli.examples.mirror:config

Each mirror, a source and a target, has a namespace of its own, so that another source or another
target begins anew and no settings of yours change. A kind has one informer, though: mirrors that
are kept at the same time need a schema each (`--schema`).

Symbolic links, devices and empty folders are not mirrored. Paths longer than an id may be (254
characters) and names that are not UTF-8 are refused and counted by the inform run.
"""

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from threading import Lock
from typing import IO, Annotated, Any, ClassVar, Final

from pydantic import Field

from delta_cli import (
    Config,
    ConfigError,
    Controller,
    InformOptions,
    InformOpts,
    NamespaceConfig,
    ObjectSettings,
    Permanent,
    Resource,
    ResourceDelete,
    Snooze,
)

INFORM_INTERVAL: Final = timedelta(seconds=10)
MAINTENANCE_INTERVAL: Final = timedelta(seconds=10)
#: A mirrored file is looked at again after this time: drift is repaired, the vanished removed.
EXPIRY_TTL: Final = timedelta(minutes=5)
WORK_TIMEOUT: Final = timedelta(minutes=30)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK: Final = 1024 * 1024
_PERMISSIONS: Final = 0o777
_PART_SUFFIX: Final = ".delta-part"
_NAME_LENGTH: Final = 40  # of the source's, in a namespace


@dataclass(frozen=True, slots=True)
class MirroredFile:
    """A file of the source as `stat` tells it: equal size, time and mode are taken for no change.

    `path` is relative to the source, with forward slashes; `mtime_ns` is since 1970. `namespace` is
    the mirror's; it is stored as the row's, not in the object.
    """

    path: str
    size: int
    mtime_ns: int
    mode: int
    namespace: Annotated[str, Field(exclude=True)] = "default"

    kind: ClassVar[str] = "file"

    @property
    def id(self) -> str:
        return self.path

    @property
    def created_at(self) -> datetime | None:
        """The file's time; None for one that no calendar holds."""
        try:
            return _EPOCH + timedelta(microseconds=self.mtime_ns // 1000)
        except OverflowError:
            return None

    def inform_opts(self) -> InformOpts:
        return InformOpts(namespace=self.namespace)

    @classmethod
    def settings(cls) -> ObjectSettings:
        return ObjectSettings(parallelism=8, work_timeout=WORK_TIMEOUT)


class Deed(StrEnum):
    """What a work did to the target; one that compared two equal files changed nothing."""

    COPIED = "copied"
    COMPARED = "compared"
    REMOVED = "removed"


class FileController(Controller[MirroredFile]):
    """Copies files from `source` to `target`, and removes from `target` those that vanished.

    Files of the target that never were in the source are left alone. `deeds` counts what the works
    of this process have done. Raises ConfigError when one folder lies in the other.
    """

    def __init__(self, source: Path, target: Path) -> None:
        self.source: Path = source.resolve()
        self.target: Path = target.resolve()
        self.namespace: str = namespace_of(source, target)
        self.deeds: Counter[Deed] = Counter()
        self._counting: Lock = Lock()  # works run in threads
        if self.source.is_relative_to(self.target) or self.target.is_relative_to(self.source):
            raise ConfigError(
                f"source {self.source} and target {self.target} lie in each other",
                hint="mirror into a folder of its own",
            )

    def inform(self, options: InformOptions) -> Iterator[MirroredFile]:
        """List every file, whatever `options.after` says.

        A file that is moved or unpacked into the source brings an old time along, so the watermark
        would hide it. Listing all is cheap: an unchanged file costs a `stat` and no write.
        """
        return _walk(self.source, self.namespace)

    def work(self, resource: Resource[MirroredFile]) -> None:
        """Make the target's file equal to the source's, or remove it when that has vanished."""
        if resource.namespace != self.namespace:
            raise Snooze(EXPIRY_TTL)  # another mirror's: these folders tell nothing of it
        path = resource.object.path
        target = self._target_of(path)
        source = _find(self.source, path)
        if source is None:
            if _remove(target, below=self.target):
                self._count(Deed.REMOVED)
            raise ResourceDelete(f"{path} is not in the source any more")
        part = _Part(target, path, resource.term)
        if resource.attempt > 1:
            part.remove_older()
        if _have_equal_content(source, target):
            _copy_time_and_mode(source.stat(), target)
            self._count(Deed.COMPARED)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(source, target, part.path)
            self._count(Deed.COPIED)

    def looks_right(self, path: str) -> bool:
        """Whether the target's file has the size, time and mode of the source's; neither is read.

        False where one of them is no file. Raises FileNotFoundError when the source is away.
        """
        source = _find(self.source, path) if _is_inside(path) else None
        target = _without_links(self.target, path)
        if source is None or target is None or not _is_regular(target):
            return False
        return _described(path, source.stat()) == _described(path, target.stat())

    def _count(self, deed: Deed) -> None:
        with self._counting:
            self.deeds[deed] += 1

    def _target_of(self, path: str) -> Path:
        if not _is_inside(path):
            raise Permanent(f"{path!r} is not a path below the source")
        target = _without_links(self.target, path)
        if target is None:
            raise Permanent(f"a link in {self.target} leads {path!r} out of it")
        return target


def make_config(source: Path, target: Path, **overrides: Any) -> Config:
    """The application that mirrors `source` into `target`; `overrides` are settings of `Config`.

    Deleted resources are cleaned at the next pass: an informer does not bring back a deleted
    resource, but a file that comes back is to be mirrored again.
    """
    controller = FileController(source, target)
    namespace = NamespaceConfig(expiry_ttl=EXPIRY_TTL, deleted_retention=timedelta(0))
    settings: dict[str, Any] = {
        "controllers": [controller],
        "namespaces": {controller.namespace: namespace},
        "resource_inform_interval": INFORM_INTERVAL,
        "resource_inform_jitter": timedelta(seconds=1),
        "maintenance_interval": MAINTENANCE_INTERVAL,
        "cleaner_interval": MAINTENANCE_INTERVAL,
    }
    return Config(**(settings | overrides))


def namespace_of(source: Path, target: Path) -> str:
    """The namespace of a mirror: the source's name, and a digest of both folders.

    The same for every way to write the folders.
    """
    source = source.resolve()
    both = b"\0".join(os.fsencode(folder) for folder in (source, target.resolve()))
    words = re.findall("[a-z0-9]+", source.name.lower())
    name = "-".join(words)[:_NAME_LENGTH].rstrip("-")
    return "-".join(filter(None, ("mirror", name, hashlib.sha256(both).hexdigest()[:8])))


def vanished(paths: Iterable[str], source: Path) -> list[str]:
    """Those of the paths (ids of resources) that are no file of the source any more."""
    root = source.resolve()
    return [path for path in paths if not _is_inside(path) or _find(root, path) is None]


def __getattr__(name: str) -> Any:
    """`config` is made when it is asked for: `--app delta_cli.examples.mirror:config`."""
    if name != "config":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return make_config(_folder("MIRROR_SOURCE"), _folder("MIRROR_TARGET"))


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        raise ConfigError(
            f"{variable} is not set", hint=f"name a folder: export {variable}=/path/to/folder"
        )
    return Path(value)


# --- the source ------------------------------------------------------------------------------


def _walk(root: Path, namespace: str) -> Iterator[MirroredFile]:
    """The files below `root`. What cannot be listed is told at the end, after all the others."""
    unlisted: list[OSError] = []
    folders = [""]
    while folders:
        prefix = folders.pop()
        try:
            entries = _entries(root / prefix)
        except OSError as error:
            if not prefix:
                raise
            if not isinstance(error, FileNotFoundError):
                unlisted.append(error)
            continue
        subfolders = [one.name for one in entries if one.is_dir(follow_symlinks=False)]
        folders += [f"{prefix}{name}/" for name in reversed(subfolders)]
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                # A file may go between the listing and the look at it.
                with suppress(FileNotFoundError):
                    seen = entry.stat(follow_symlinks=False)
                    yield _described(f"{prefix}{entry.name}", seen, namespace)
    if unlisted:
        raise OSError(f"{len(unlisted)} folders cannot be listed, the first: {unlisted[0]}")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as listing:
        return sorted(listing, key=lambda entry: entry.name)


def _described(path: str, seen: os.stat_result, namespace: str = "") -> MirroredFile:
    mode = seen.st_mode & _PERMISSIONS
    return MirroredFile(path, seen.st_size, seen.st_mtime_ns, mode, namespace)


def _find(root: Path, path: str) -> Path | None:
    """The regular file at a path below the source, reached without links; None if there is none.

    Raises FileNotFoundError when the source itself is away: then nothing has vanished.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"the source folder {root} is not there")
    file = _without_links(root, path)
    return file if file is not None and _is_regular(file) else None


# --- paths -----------------------------------------------------------------------------------


def _is_inside(path: str) -> bool:
    """Whether a path is relative and does not climb."""
    parts = path.split("/")
    return all(part not in ("", ".", "..") and Path(part).name == part for part in parts)


def _without_links(root: Path, path: str) -> Path | None:
    """The path below `root`, or None if a folder on the way is a link."""
    file = root / path
    return file if file.parent.resolve() == file.parent else None


def _is_regular(file: Path) -> bool:
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


# --- the target ------------------------------------------------------------------------------


class _Part:
    """The file that a copy grows in, in the target's folder, until it is whole and renamed.

    Its name holds the resource's term, which grows with each claim: a part of a lower term belongs
    to a worker that died or lost its claim. Removing it also keeps such a worker from renaming it.
    """

    def __init__(self, target: Path, path: str, term: int) -> None:
        digest = hashlib.sha256(path.encode()).hexdigest()
        self._prefix: str = f".{digest[:16]}-"
        self._term: int = term
        self.path: Path = target.with_name(f"{self._prefix}{term}{_PART_SUFFIX}")

    def remove_older(self) -> None:
        for part in self.path.parent.glob(f"{self._prefix}*{_PART_SUFFIX}"):
            term = part.name.removeprefix(self._prefix).removesuffix(_PART_SUFFIX)
            if term.isdecimal() and int(term) < self._term:
                part.unlink(missing_ok=True)


def _copy(source: Path, target: Path, part: Path) -> None:
    """Copy by way of `part`, so that the target is always the old file or the new one, whole."""
    try:
        with _open_new(part) as writing, _open_no_link(source) as reading:
            before = os.fstat(reading.fileno())
            digest = _copy_bytes(reading, writing)
            after = os.fstat(reading.fileno())
        if _described("", before) != _described("", after):
            raise OSError(f"{source} changed while it was copied")
        if _digest(part) != digest:
            raise OSError(f"{part} does not hold what was written to it")
        _copy_time_and_mode(before, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _copy_bytes(reading: IO[bytes], writing: IO[bytes]) -> bytes:
    digest = hashlib.sha256()
    while chunk := reading.read(_CHUNK):
        digest.update(chunk)
        writing.write(chunk)
    writing.flush()
    os.fsync(writing.fileno())
    return digest.digest()


def _open_new(file: Path) -> IO[bytes]:
    # Nobody else may read it before it has the source's mode.
    return open(file, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def _open_no_link(file: Path) -> IO[bytes]:
    no_follow = getattr(os, "O_NOFOLLOW", 0)
    return open(file, "rb", opener=lambda name, flags: os.open(name, flags | no_follow))


def _copy_time_and_mode(seen: os.stat_result, file: Path) -> None:
    file.chmod(seen.st_mode & _PERMISSIONS)
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def _have_equal_content(source: Path, target: Path) -> bool:
    """Whether the target is a regular file with the source's bytes."""
    if not _is_regular(target) or target.stat().st_size != source.stat().st_size:
        return False
    return _digest(source) == _digest(target)


def _digest(file: Path) -> bytes:
    with file.open("rb") as reading:
        return hashlib.file_digest(reading, "sha256").digest()


def _remove(file: Path, *, below: Path) -> bool:
    """Remove a file of the mirror, and the folders that it leaves empty. False: there was none."""
    if file.is_dir() and not file.is_symlink():
        return False  # what was a file has become a folder
    removed = False
    with suppress(FileNotFoundError, NotADirectoryError):
        file.unlink()
        removed = True
    with suppress(OSError):  # of the first folder that still holds something
        for folder in takewhile(lambda parent: parent != below, file.parents):
            folder.rmdir()
    return removed
