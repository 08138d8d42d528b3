"""A real PgBouncer in front of a test's database. It is a package of the system: a test that needs
it skips where it is missing.
"""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.support.waiting import eventually

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

needs_pgbouncer = pytest.mark.skipif(
    PROGRAM is None, reason="there is no pgbouncer here: apt install pgbouncer"
)


@contextlib.asynccontextmanager
async def pgbouncer(
    folder: Path, dsn: str, *, mode: Literal["transaction", "session"] = "transaction"
) -> AsyncGenerator[str]:
    """Run a pooler with few server connections; yields the DSN that leads through it.

    `folder` is made, where the owner of the server's socket can enter it.
    """
    target = conninfo_to_dict(dsn)
    port = _free_port()
    process = _start(folder, target, port, mode)
    pooled = make_conninfo(host="127.0.0.1", port=port, dbname="pooled", user=target["user"])
    try:
        await eventually(lambda: process.poll() is not None or _answers(pooled))
        assert process.poll() is None, "pgbouncer ended at once"
        yield pooled
    finally:
        process.kill()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, target: Mapping[str, Any], port: int, mode: str) -> subprocess.Popen[Any]:
    assert PROGRAM is not None
    folder.mkdir()
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        "[databases]\n"
        f"pooled = host={target['host']} port={target['port']} dbname={target['dbname']} "
        f"user={target['user']}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = {mode}\ndefault_pool_size = {4 if mode == 'transaction' else 50}\n"
        f"max_client_conn = 200\nlogfile = {folder / 'pgbouncer.log'}\n"
    )
    return subprocess.Popen([PROGRAM, "-q", settings], **_as_who(folder, str(target["host"])))


def _answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _as_who(folder: Path, socket_folder: str) -> dict[str, Any]:
    """Root runs it as the owner of the server's socket: PgBouncer refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    owner = Path(socket_folder).stat()
    for path in (folder, *folder.iterdir()):
        os.chown(path, owner.st_uid, owner.st_gid)
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
