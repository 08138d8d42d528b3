"""The README's repair at night does what it says, against a worker whose API was down."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.cli.conftest import Here, Rows
from tests.cli.test_control_plane import until
from tests.support.command_line import APPS, CommandLine
from tests.support.programs import CHECKOUT

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
WAITS = re.findall(r"^delta status --watch .*?'\n.*?'$", README, re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_a_repair_at_night(
    delta: CommandLine, quick: Here, rows: Rows, dsn: str, tmp_path: Path
) -> None:
    down = tmp_path / "down"
    down.touch()
    for words in (
        ("user", "--object", '{"id": "ann"}', "--object", '{"id": "bob"}'),
        ("user", "--object", '{"id": "eve"}', "--namespace", "eu", "--tag", "vip"),
        ("invoice", "--object", '{"id": "i-1"}'),
    ):
        quick("inform", *words).expect(0)
    app = {"DELTA_APP": f"{APPS / 'night.py'}:config", "SHOP_FOLDER": str(tmp_path)}
    with delta.started("run", environ=app, stdout=subprocess.DEVNULL):
        until(lambda: {row["state"] for row in rows().values()} == {"failed"})
        down.unlink()
        done = run_blocks(tmp_path, dsn)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.splitlines()
    assert "3 user: the API of users is down" in told
    assert "1 invoice: the API of invoices is down" in told
    assert "3" in told, "the rehearsal counts the users"
    with (tmp_path / "users.csv").open(encoding="utf-8") as file:
        exported = {row["object_id"]: row for row in csv.DictReader(file)}
    assert exported["eve"]["state"] == "expired", "held back by the pause"
    assert exported.keys() == {"ann", "bob", "eve"}
    after = rows()
    assert {after[name]["state"] for name in ("ann", "bob", "eve")} == {"synced"}
    assert after["i-1"]["state"] == "failed", "its kind was not retried"
    assert after["eve"]["sync_count"] == 2


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_wait_of_the_repair_ends_beside_deleted_and_degraded_rows(
    quick: Here, dsn: str, tmp_path: Path
) -> None:
    (wait,) = set(WAITS)
    for name in ("ann", "bob", "eve"):
        quick("inform", "user", "--object", f'{{"id": "{name}"}}').expect(0)
    quick("delete", "user", "ann", "--yes").expect(0)
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=delta") as connection:
        connection.execute(
            "update delta_resource set state = 'degraded', due_at = null where object_id = 'bob'"
        )
        connection.execute(
            "update delta_resource set state = 'synced', due_at = null, synced_at = now(),"
            " synced_generation = generation where object_id = 'eve'"
        )
    done = start_script(wait, tmp_path, dsn)
    out, err = done.communicate(timeout=60)
    assert done.returncode == 0, err
    assert json.loads(out) == [{"synced": 1, "degraded": 1, "deleted": 1}]
    mistyped = start_script(wait.replace('"user"', '"usre"'), tmp_path, dsn)
    out, err = mistyped.communicate(timeout=60)
    assert mistyped.returncode != 0
    assert (out, "there are no users" in err) == ("", True)


def run_blocks(folder: Path, dsn: str) -> "subprocess.CompletedProcess[str]":
    """Run exactly what the README says."""
    script = start_script("\n".join(BLOCKS), folder, dsn)
    out, err = script.communicate(timeout=240)
    return subprocess.CompletedProcess(script.args, script.returncode, out, err)


def start_script(script: str, folder: Path, dsn: str) -> "subprocess.Popen[str]":
    delta = folder / "bin" / "delta"
    delta.parent.mkdir(exist_ok=True)
    delta.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m delta_cli.cli.app "$@"\n')
    delta.chmod(0o755)
    path = f"{delta.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": path, "DELTA_DSN": dsn, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
