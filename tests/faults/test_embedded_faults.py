import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from delta_cli.engine.embedded import EmbeddedServer
from delta_cli.engine.errors import EmbeddedError
from tests.support.embedded import (
    User,
    clone,
    embedded_place,
    is_zombie,
    pid_of,
    postmasters,
    remember,
    remembered,
    until,
    users,
)

_numbers = itertools.count()


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with embedded_place() as folder:
        yield folder


@pytest.fixture(scope="module")
def prepared(home: Path) -> Path:
    folder = home / "template"
    first = EmbeddedServer(folder)
    first.join()
    remember(first, "before")
    first.leave()
    return folder


@pytest.fixture
def folder(home: Path, prepared: Path) -> Path:
    return clone(prepared, home / f"clone-{next(_numbers)}")


def kill(pid: int, folder: Path) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid not in postmasters(folder))


def test_a_server_whose_only_user_was_killed_is_joined_and_then_stopped(folder: Path) -> None:
    with users(folder) as (only,):
        only.signal(signal.SIGKILL)
    (left,) = postmasters(folder)
    one = EmbeddedServer(folder)
    one.join()
    assert pid_of(one) == left
    assert not one.status().used
    one.leave()
    assert not postmasters(folder)


def test_a_killed_server_starts_again_with_its_data(folder: Path) -> None:
    one = EmbeddedServer(folder)
    one.join()
    remember(one, "after")
    kill(pid_of(one), folder)
    one.join()
    assert remembered(one) == ["before", "after"]
    one.leave()
    assert not postmasters(folder)


def test_a_server_and_its_user_that_were_killed_start_again_with_their_data(folder: Path) -> None:
    one = EmbeddedServer(folder)
    with users(folder) as (only,):
        remember(one, "after")
        only.signal(signal.SIGKILL)
        kill(pid_of(one), folder)
    one.join()
    assert remembered(one) == ["before", "after"]
    one.leave()
    assert not postmasters(folder)


def log_of(folder: Path) -> str:
    """What the server has logged; nothing while its log is being replaced."""
    try:
        return (folder / "postgres.log").read_text()
    except FileNotFoundError:
        return ""


def test_a_killed_server_whose_backend_still_works_is_waited_for(folder: Path) -> None:
    one = EmbeddedServer(folder)
    one.join()
    with psycopg.connect(one.dsn, autocommit=True) as connection:
        backend = connection.info.backend_pid
        # A stopped backend cannot notice that its postmaster is gone.
        os.kill(backend, signal.SIGSTOP)
        kill(pid_of(one), folder)
        waiting = User(folder)
        until(lambda: "shared memory block" in log_of(folder))
        os.kill(backend, signal.SIGCONT)
        waiting.joined()
    assert remembered(one) == ["before"]
    waiting.leave()
    one.leave()


@pytest.mark.parametrize("name", ["data/postmaster.pid", ".s.PGSQL.5432.lock"])
def test_a_pid_file_that_names_a_stranger_does_not_stop_a_start(folder: Path, name: str) -> None:
    one = EmbeddedServer(folder)
    one.join()
    pid = pid_of(one)
    kill(pid, folder)
    file = folder / name
    file.write_text(file.read_text().replace(str(pid), str(os.getppid()), 1))
    one.join()
    assert remembered(one) == ["before"]
    one.leave()


@pytest.mark.parametrize("left", ["", "\n", "1", "12\n/some", "-7\n", "rubbish\n"])
@pytest.mark.parametrize("name", ["data/postmaster.pid", ".s.PGSQL.5432.lock"])
def test_a_cut_off_pid_file_does_not_stop_a_start(folder: Path, name: str, left: str) -> None:
    (folder / name).write_text(left)
    one = EmbeddedServer(folder)
    one.join()
    assert remembered(one) == ["before"]
    one.leave()
    assert not postmasters(folder)


def test_a_pid_file_cut_off_while_the_server_runs_leads_to_no_second_server(folder: Path) -> None:
    one = EmbeddedServer(folder)
    one.join()
    (folder / "data" / "postmaster.pid").write_text("")
    one.join()
    assert len(postmasters(folder)) == 1
    assert remembered(one) == ["before"]
    one.leave()
    assert not postmasters(folder)


def test_a_socket_removed_while_the_server_runs_is_made_again(folder: Path) -> None:
    one = EmbeddedServer(folder)
    one.join()
    (folder / ".s.PGSQL.5432").unlink()
    one.join()
    assert remembered(one) == ["before"]
    one.leave()
    assert not postmasters(folder)


def test_a_zombie_server_that_nobody_reaps_counts_as_dead(folder: Path) -> None:
    one = EmbeddedServer(folder)
    with users(folder) as (parent,):
        killed = pid_of(one)
        parent.process.send_signal(signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        until(lambda: is_zombie(killed))
        assert not one.status().running
        one.join()
        assert is_zombie(killed)
        assert pid_of(one) != killed
        assert remembered(one) == ["before"]
        parent.process.send_signal(signal.SIGCONT)
    one.leave()
    assert not postmasters(folder)


def test_a_first_start_that_was_cut_off_leaves_nothing(home: Path) -> None:
    folder = home / "cut-off"
    user = User(folder)
    until(lambda: any(folder.glob("data.new-*/base")))
    user.signal(signal.SIGKILL)
    assert not (folder / "data").exists()
    one = EmbeddedServer(folder)
    remember_after_join(one)
    one.leave()
    one.join()
    assert not list(folder.glob("data.new-*"))
    one.leave()


def remember_after_join(server: EmbeddedServer) -> None:
    server.join()
    remember(server, "first")
    assert remembered(server) == ["first"]


def test_a_server_in_another_container_is_joined_and_never_doubled(folder: Path) -> None:
    container = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*container, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to make a process namespace")
    one = EmbeddedServer(folder)
    inside = User(folder, within=container).joined()
    (only,) = postmasters(folder)
    one.join()
    assert remembered(one) == ["before"]
    assert postmasters(folder) == [only]
    with pytest.raises(EmbeddedError, match="cannot be seen"):
        one.stop(force=True)
    # The container takes its server with it.
    inside.leave()
    until(lambda: not postmasters(folder))
    one.join()
    assert remembered(one) == ["before"]
    one.leave()
    assert not postmasters(folder)


def test_a_user_killed_while_it_waits_for_the_server_is_no_user(folder: Path) -> None:
    with users(folder, 2) as (first, second):
        first.signal(signal.SIGKILL)
        second.leave()
    assert not postmasters(folder)


def test_a_folder_removed_under_its_server_does_not_harm_the_next(
    folder: Path, prepared: Path
) -> None:
    old = EmbeddedServer(folder)
    old.join()
    orphan = pid_of(old)
    shutil.rmtree(folder)
    clone(prepared, folder)
    new = EmbeddedServer(folder)
    new.join()
    pid = pid_of(new)
    old.leave()
    assert pid in postmasters(folder)
    assert remembered(new) == ["before"]
    new.leave()
    os.kill(orphan, signal.SIGQUIT)
