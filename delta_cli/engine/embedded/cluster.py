"""Makes the data folder: complete or not at all, whenever it is cut off."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from delta_cli.engine.embedded.account import Account
from delta_cli.engine.embedded.binaries import USE_A_DSN, Binaries
from delta_cli.engine.embedded.layout import Layout
from delta_cli.engine.errors import EmbeddedError


def ensure_cluster(binaries: Binaries, layout: Layout, account: Account) -> None:
    """Make the data folder if there is none; EmbeddedError if another major version made it.

    The caller holds the lock.
    """
    for leftover in layout.unfinished():
        # An initdb whose caller was killed may still be writing there.
        shutil.rmtree(leftover, ignore_errors=True)
    if not layout.data.exists():
        _make(binaries, layout, account)
    made_by = (layout.data / "PG_VERSION").read_text().strip()
    if made_by != str(binaries.major):
        raise EmbeddedError(
            f"{layout.data} is of PostgreSQL {made_by}, and {binaries.version} is installed",
            hint=f"remove the data with `delta db reset`, or {USE_A_DSN}",
        )


def _make(binaries: Binaries, layout: Layout, account: Account) -> None:
    fresh = layout.folder / f"data.new-{secrets.token_hex(4)}"
    try:
        _initdb(binaries, fresh, account)
        _create_database(binaries, fresh, account)
        fresh.rename(layout.data)
        _make_rename_durable(layout.folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _initdb(binaries: Binaries, fresh: Path, account: Account) -> None:
    # The built-in locale provider knows C.UTF-8 on every system. Nobody but the server's user
    # passes the 0700 folder of the socket, so it is the folder that authenticates.
    options = [
        "--username=delta",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
    ]
    _run(account, [binaries.path("initdb"), "-D", fresh, *options])


def _create_database(binaries: Binaries, fresh: Path, account: Account) -> None:
    # Without a server, so that the data folder is never there without its database.
    single = [binaries.path("postgres"), "--single", "-D", fresh, "-c", "exit_on_error=on"]
    _run(account, [*single, "template1"], given="create database delta\n")


def _run(account: Account, command: list[str | Path], *, given: str = "") -> None:
    name = Path(command[0]).name
    try:
        ended = account.run(command, given=given)
    except subprocess.TimeoutExpired as error:
        raise EmbeddedError(f"{name} did not end within {error.timeout:.0f} s") from error
    if ended.returncode != 0:
        lines = ended.stdout.strip().splitlines()[-10:]
        raise EmbeddedError(
            "\n".join([f"{name} failed with status {ended.returncode}:", *lines]),
            hint=f"mend what it says, or {USE_A_DSN}",
        )


def _make_rename_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
