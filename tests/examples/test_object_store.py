import contextlib
import errno
import io
import itertools
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from delta_cli import (
    Client,
    Config,
    ConfigError,
    InvalidObject,
    NamespaceConfig,
    ResourceState,
    TickOutcome,
    TickRow,
)
from delta_cli.examples import object_store
from delta_cli.examples.object_store import make_config, parse_backends, passes, put
from delta_cli.examples.object_store.__main__ import main
from delta_cli.examples.object_store.backend import Backend
from delta_cli.examples.object_store.catalogue import StoredObject
from delta_cli.examples.object_store.files import copy, part_of
from delta_cli.examples.object_store.passes import Gauges
from delta_cli.examples.object_store.placing import Fill, Move, are_level, next_move, next_target
from delta_cli.examples.object_store.store import Done, ObjectStore
from tests.support.waiting import eventually

MOMENT = timedelta(milliseconds=100)
#: For what real passes do on a busy machine.
A_WHILE_S = 60.0

MakeStore = Callable[..., ObjectStore]


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """A store over backends that are named by their quotas: a=1000 is the folder `a`."""

    def make(**quotas: int) -> ObjectStore:
        store = ObjectStore(tmp_path / "catalogue", {tmp_path / n: q for n, q in quotas.items()})
        store.catalogue.create()
        return store

    return make


def take_in(store: ObjectStore, name: str, content: bytes, copies: int = 1) -> None:
    store.catalogue.put(name, io.BytesIO(content), copies)


def copies_of(store: ObjectStore, name: str) -> dict[str, bytes]:
    """The copies by the last parts of the backends' names."""
    found: dict[str, bytes] = {}
    for backend in store.backends.values():
        with contextlib.suppress(FileNotFoundError):
            found[backend.folder.name] = backend.copy_of(name).read_bytes()
    return found


def content_of(store: ObjectStore, name: str) -> bytes | None:
    found = store.find_content(name)
    return found.read_bytes() if found else None


def used(store: ObjectStore) -> dict[str, int]:
    return {Path(fill.name).name: fill.used for fill in store.fills()}


# --- one object at a time --------------------------------------------------------------------


def test_an_object_gets_its_copies_on_different_backends(make_store: MakeStore) -> None:
    store = make_store(a=100, b=100, c=100)
    take_in(store, "photo.jpg", b"pixels", copies=2)
    assert store.bring("photo.jpg") == Done(2)
    assert list(copies_of(store, "photo.jpg").values()) == [b"pixels", b"pixels"]
    assert store.bring("photo.jpg") == Done(0)
    # What came in is not needed any more; and a part would count as used.
    assert not store.catalogue.incoming("photo.jpg").exists()
    assert sum(used(store).values()) == 12


def test_a_new_version_replaces_the_copies_of_the_old_one(make_store: MakeStore) -> None:
    store = make_store(a=10, b=10)
    take_in(store, "report", b"old text", copies=2)
    store.bring("report")
    take_in(store, "report", b"new texts", copies=2)
    assert content_of(store, "report") == b"new texts"
    assert store.bring("report") == Done(2)
    assert copies_of(store, "report") == {"a": b"new texts", "b": b"new texts"}


@pytest.mark.parametrize("damage", [b"pixelx", b"pix", b""])
def test_a_damaged_copy_counts_as_missing(make_store: MakeStore, damage: bytes) -> None:
    store = make_store(a=6, b=6)
    take_in(store, "photo", b"pixels", copies=2)
    store.bring("photo")
    file = next(iter(store.backends.values())).copy_of("photo")
    times = file.stat()
    file.write_bytes(damage)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert store.bring("photo") == Done(1)
    assert copies_of(store, "photo") == {"a": b"pixels", "b": b"pixels"}


def test_the_last_copy_is_kept_for_whoever_can_mend_it_when_all_are_damaged(
    make_store: MakeStore,
) -> None:
    store = make_store(a=100, b=100)
    take_in(store, "photo", b"pixels", copies=2)
    store.bring("photo")
    for backend in store.backends.values():
        backend.copy_of("photo").write_bytes(b"pix")
    done = store.bring("photo")
    assert done == Done(0, "photo: no good copy is left")
    assert store.trim("photo") == Done(0)
    assert len(copies_of(store, "photo")) == 2
    assert content_of(store, "photo") is None


def test_no_copy_goes_past_a_quota_and_the_shortage_is_named(make_store: MakeStore) -> None:
    store = make_store(a=10, b=9, c=9)
    take_in(store, "big", b"x" * 10, copies=2)
    done = store.bring("big")
    assert done.count == 1
    assert (
        done.problem is not None and "big: 1 of 2 copies, no room for 10 bytes on " in done.problem
    )
    assert used(store) == {"a": 10, "b": 0, "c": 0}
    # Its content stays until there is room for all.
    assert store.catalogue.incoming("big").exists()


def test_two_copies_never_lie_on_one_backend(make_store: MakeStore) -> None:
    store = make_store(a=100, b=100)
    take_in(store, "photo", b"pixels", copies=3)
    done = store.bring("photo")
    assert done == Done(2, "photo: 2 of 3 copies, no further backend (2 of 2 are there)")


def test_a_backend_whose_disk_is_away_takes_no_copies(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    store = ObjectStore(tmp_path / "catalogue", {disk / "store": 100, tmp_path / "b": 100})
    store.catalogue.create()
    take_in(store, "photo", b"pixels", copies=2)
    done = store.bring("photo")
    assert done == Done(1, "photo: 1 of 2 copies, no further backend (1 of 2 are there)")
    assert not disk.exists()
    disk.mkdir()
    assert store.bring("photo") == Done(1)


def test_a_backend_that_fails_does_not_keep_copies_from_the_others(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(a=1000, b=100, c=100)
    add = Backend.add

    def fail_on_a(self: Backend, *arguments: Any) -> None:
        if self.folder.name == "a":
            raise OSError(5, "Input/output error", self.name)
        add(self, *arguments)

    monkeypatch.setattr(Backend, "add", fail_on_a)
    take_in(store, "photo", b"pixels", copies=2)
    assert store.bring("photo") == Done(2)
    take_in(store, "other", b"pixels", copies=3)
    done = store.bring("other")
    assert done.count == 2 and "Input/output error" in str(done.problem)


def test_writers_at_a_time_keep_a_quota_together(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(a=50)
    (backend,) = store.backends.values()
    names = [f"object-{number}" for number in range(8)]
    for name in names:
        take_in(store, name, b"0123456789")
    may_go_on = threading.Event()

    def copy_later(*arguments: Any) -> str:
        may_go_on.wait(20)
        return copy(*arguments)

    def add(name: str) -> None:
        wanted = store.catalogue.find(name)
        assert wanted is not None
        backend.add(wanted, store.catalogue.incoming(name))

    monkeypatch.setattr("delta_cli.examples.object_store.backend.copy", copy_later)
    with ThreadPoolExecutor(len(names)) as threads:
        ending = as_completed([threads.submit(add, name) for name in names], timeout=20)
        refused = [next(ending).exception() for _ in range(3)]
        assert used(store) == {"a": 50}  # though nothing was copied yet
        may_go_on.set()
        assert [one.exception() for one in ending] == [None] * 5
    assert {getattr(error, "errno", None) for error in refused} == {errno.EDQUOT}
    assert used(store) == {"a": 50}


def test_trim_removes_from_the_fullest_backend_what_is_too_much(make_store: MakeStore) -> None:
    store = make_store(a=100, b=50, c=200)
    take_in(store, "photo", b"pixels", copies=3)
    store.bring("photo")
    assert store.trim("photo") == Done(0)
    store.catalogue.set_copies("photo", 1)
    assert store.trim("photo") == Done(2)
    assert copies_of(store, "photo") == {"c": b"pixels"}
    assert store.trim("photo") == Done(0)


def test_trim_counts_good_copies_only(make_store: MakeStore) -> None:
    store = make_store(a=100, b=100, c=1000)
    take_in(store, "photo", b"pixels", copies=3)
    store.bring("photo")
    for backend in list(store.backends.values())[:2]:
        backend.copy_of("photo").write_bytes(b"pixelx")
    store.catalogue.set_copies("photo", 1)
    assert store.trim("photo") == Done(0)
    assert copies_of(store, "photo")["c"] == b"pixels"


def test_spread_moves_from_the_fullest_to_the_emptiest_until_they_are_level(
    make_store: MakeStore,
) -> None:
    names = [f"object-{number}" for number in range(10)]
    first = make_store(a=100)
    for name in names:
        take_in(first, name, b"0123456789")
        first.bring(name)
    store = make_store(a=100, b=100)
    moved = sum(store.spread(name, 0.1).count for name in names for _ in range(3))
    assert moved == 5
    assert used(store) == {"a": 50, "b": 50}
    assert all(list(copies_of(store, name).values()) == [b"0123456789"] for name in names)


def test_spread_leaves_a_damaged_copy_where_it_is(make_store: MakeStore) -> None:
    first = make_store(a=10)
    for name, content in (("photo", b"pixels"), ("other", b"one")):
        take_in(first, name, content)
        first.bring(name)
    (backend,) = first.backends.values()
    store = make_store(a=10, b=100)
    backend.copy_of("photo").write_bytes(b"pixelx")
    assert store.spread("photo", 0.1) == Done(0)
    assert copies_of(store, "photo") == {"a": b"pixelx"}
    backend.copy_of("photo").write_bytes(b"pixels")
    assert store.spread("photo", 0.1) == Done(1)
    assert copies_of(store, "photo") == {"b": b"pixels"}


def test_a_copy_that_breaks_off_leaves_nothing(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(a=100)
    take_in(store, "photo", b"pixels")

    def write_half(reading: Any, writing: Any) -> str:
        writing.write(b"pix")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("delta_cli.examples.object_store.backend.copy", write_half)
        done = store.bring("photo")
    assert "No space left" in str(done.problem)
    assert used(store) == {"a": 0}


def test_a_copy_that_is_not_what_was_written_is_never_shown(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(a=100)
    take_in(store, "photo", b"pixels")

    def write_wrongly(reading: Any, writing: Any) -> str:
        writing.write(b"pixelx")
        writing.flush()
        return ""

    with monkeypatch.context() as patch:
        patch.setattr("delta_cli.examples.object_store.backend.copy", write_wrongly)
        done = store.bring("photo")
    assert "is not what was written" in str(done.problem)
    assert (copies_of(store, "photo"), used(store)) == ({}, {"a": 0})


def test_the_part_of_a_dead_writer_makes_room_and_that_of_a_living_one_does_not(
    make_store: MakeStore, tmp_path: Path
) -> None:
    store = make_store(a=10)
    take_in(store, "photo", b"pixels")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/.part-dead").write_bytes(b"0123456789")
    with part_of(tmp_path / "a", tmp_path / "catalogue/locks/any", 10):
        (tmp_path / "a/.part-dead").write_bytes(b"0123456789")
        assert store.bring("photo").count == 0
        assert used(store) == {"a": 10}  # the dead one has gone
    assert store.bring("photo") == Done(1)


def test_what_a_dead_writer_was_taking_in_is_removed_by_the_next(make_store: MakeStore) -> None:
    store = make_store(a=10)
    incoming = store.catalogue.folder / "incoming"
    (incoming / ".part-dead").write_bytes(b"pix")
    take_in(store, "photo", b"pixels")
    assert [file.name for file in incoming.iterdir()] == ["photo"]


# --- decisions -------------------------------------------------------------------------------


def test_a_move_is_never_undone_by_the_next() -> None:
    """Whatever the sizes: a move leaves its target no fuller than its source."""
    for used_a, used_b, size in itertools.product(
        range(0, 101, 10), range(0, 101, 10), (1, 30, 60)
    ):
        fills = [Fill("a", used_a, 100), Fill("b", used_b, 150)]
        move = next_move(fills, {"a"}, size, 0.05)
        if move is not None:
            assert move == Move("a", "b")
            after = [Fill("a", used_a - size, 100), Fill("b", used_b + size, 150)]
            assert next_move(after, {"b"}, size, 0.05) is None


def test_a_backend_that_is_away_is_neither_a_target_nor_unlevel() -> None:
    fills = [Fill("a", 90, 100), Fill("b", 0, 100, is_there=False), Fill("c", 85, 100)]
    assert next_target(fills, {"a"}, 10) == "c"
    assert next_target(fills, {"a"}, 20) is None
    assert are_level(fills, 0.1)
    assert not are_level(fills, 0.01)


# --- a running store -------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def running(
    dsn: str, store: ObjectStore, gauges: Gauges | None = None, **settings: Any
) -> AsyncIterator[Client]:
    """A worker of the store, its passes in quick succession."""
    quick: dict[str, Any] = {
        "interval": MOMENT,
        "poll_interval": MOMENT,
        "maintenance_interval": MOMENT,
        "cleaner_interval": MOMENT,
    }
    async with Client(dsn, make_config(store, gauges=gauges, **quick | settings)) as client:
        await client.start()
        try:
            yield client
        finally:
            await client.stop(hard=True)


async def put_many(client: Client, store: ObjectStore, count: int, copies: int) -> dict[str, bytes]:
    """Objects of ten bytes each."""
    contents = {f"object-{number:02}": f"content {number:02}".encode() for number in range(count)}
    for name, content in contents.items():
        await put(client, store, name, io.BytesIO(content), copies=copies)
    return contents


def is_right(store: ObjectStore, contents: dict[str, bytes], copies: int) -> bool:
    """Whether each object has so many copies, every one of them good, and no quota is passed."""
    keeps_quotas = all(fill.used <= fill.quota for fill in store.fills())
    return keeps_quotas and all(
        list(copies_of(store, name).values()) == [content] * copies
        for name, content in contents.items()
    )


async def test_a_lost_backend_is_made_good_by_the_passes(dsn: str, make_store: MakeStore) -> None:
    store = make_store(a=200, b=300, c=250)
    gauges = Gauges(store)
    async with running(dsn, store, gauges) as client, running(dsn, store):
        contents = await put_many(client, store, 12, copies=2)
        await eventually(lambda: is_right(store, contents, 2), within=A_WHILE_S)
        lost = max(store.backends.values(), key=lambda backend: backend.fill().used).folder
        shutil.rmtree(lost)
        await eventually(lambda: is_right(store, contents, 2), within=A_WHILE_S)
        assert {name: content_of(store, name) for name in contents} == contents
        await eventually(lambda: list(gauges.fills) == store.fills(), within=A_WHILE_S)
    assert sum(used(store).values()) == 12 * 2 * 10


async def test_copies_that_are_damaged_while_the_store_runs_are_replaced(
    dsn: str, make_store: MakeStore
) -> None:
    store = make_store(a=1000, b=1000)
    async with running(dsn, store) as client:
        contents = await put_many(client, store, 4, copies=2)
        await eventually(lambda: is_right(store, contents, 2), within=A_WHILE_S)
        for name, backend in zip(contents, itertools.cycle(store.backends.values()), strict=False):
            backend.copy_of(name).write_bytes(b"gibberish!")
        await eventually(lambda: is_right(store, contents, 2), within=A_WHILE_S)


async def test_copies_that_are_wanted_no_more_are_trimmed(dsn: str, make_store: MakeStore) -> None:
    store = make_store(a=1000, b=1000, c=1000)
    async with running(dsn, store) as client:
        contents = await put_many(client, store, 6, copies=3)
        await eventually(lambda: is_right(store, contents, 3), within=A_WHILE_S)
        for name in contents:
            store.catalogue.set_copies(name, 1)
        await eventually(lambda: is_right(store, contents, 1), within=A_WHILE_S)
        trimmed = await tick_of(client, "trim")
    assert (trimmed.count_key, trimmed.last_error) == ("copies_removed", None)


async def test_an_empty_backend_is_filled_until_all_are_level(
    dsn: str, make_store: MakeStore
) -> None:
    async with running(dsn, make_store(a=100, b=200)) as client:
        store = make_store(a=100, b=200)
        contents = await put_many(client, store, 9, copies=2)
        await eventually(lambda: is_right(store, contents, 2), within=A_WHILE_S)
    wider = make_store(a=100, b=200, c=300)
    assert used(wider) == {"a": 90, "b": 90, "c": 0}
    async with running(dsn, wider, margin=0.2):
        await eventually(lambda: are_level(wider.fills(), 0.2), within=A_WHILE_S)
        assert used(wider)["c"] >= 60
        await eventually(lambda: is_right(wider, contents, 2), within=A_WHILE_S)


async def test_what_no_backend_has_room_for_is_told_by_name_until_there_is_room(
    dsn: str, make_store: MakeStore
) -> None:
    async with running(dsn, make_store(a=30, b=30)) as client:
        store = make_store(a=30, b=30)
        contents = await put_many(client, store, 4, copies=2)

        def short() -> set[str]:
            return {name for name in contents if len(copies_of(store, name)) < 2}

        async def are_told() -> bool:
            told = str((await tick_of(client, "replicate")).last_error)
            return short() == {name for name in contents if name in told} and (
                "of 2 copies, no room for 10 bytes" in told
            )

        async def worker_tells() -> bool:
            row = await client.get("stored_object", min(short()))
            return bool(row.errors) and "no room for 10 bytes" in row.errors[-1].message

        await eventually(are_told, within=A_WHILE_S)
        await eventually(worker_tells, within=A_WHILE_S)
        assert used(store) == {"a": 30, "b": 30}
    wider = make_store(a=30, b=30, c=1000)
    async with running(dsn, wider) as client:
        await eventually(lambda: is_right(wider, contents, 2), within=A_WHILE_S)
        await eventually(lambda: has_recovered(client, "replicate"), within=A_WHILE_S)


async def tick_of(client: Client, name: str) -> TickRow:
    return next(row for row in await client.ticks() if row.name == name)


async def has_recovered(client: Client, name: str) -> bool:
    row = await tick_of(client, name)
    return row.last_success is not None and row.consecutive_failures == 0


async def test_a_removed_object_leaves_the_backends_and_may_come_back(
    dsn: str, make_store: MakeStore
) -> None:
    store = make_store(a=1000, b=1000)
    ttl = {"default": NamespaceConfig(expiry_ttl=MOMENT, deleted_retention=timedelta(0))}
    async with running(dsn, store, namespaces=ttl) as client:
        contents = await put_many(client, store, 2, copies=2)
        await eventually(lambda: is_right(store, contents, 2), within=A_WHILE_S)
        store.catalogue.remove("object-00")
        await eventually(lambda: not copies_of(store, "object-00"), within=A_WHILE_S)
        assert is_right(store, {"object-01": contents["object-01"]}, 2)
        await put(client, store, "object-00", io.BytesIO(b"again"), copies=1)
        await eventually(lambda: is_right(store, {"object-00": b"again"}, 1), within=A_WHILE_S)


async def test_a_pass_ends_after_so_many_changes_and_the_next_goes_on(
    dsn: str, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "MOST_CHANGES", 3)
    store = make_store(a=1000, b=1000)
    counts: list[int | None] = []
    async with Client(dsn, make_config(store)) as client:
        contents = await put_many(client, store, 5, copies=1)
        for _ in range(3):
            assert await client.tick("replicate") is TickOutcome.SUCCESS
            counts.append((await tick_of(client, "replicate")).last_count)
    assert counts == [3, 2, 0]
    assert is_right(store, contents, 1)


async def test_a_damaged_record_is_named_and_keeps_no_other_object_from_its_copies(
    dsn: str, make_store: MakeStore
) -> None:
    store = make_store(a=1000, b=1000)
    async with Client(dsn, make_config(store)) as client:
        contents = await put_many(client, store, 3, copies=2)
        (store.catalogue.folder / "objects/object-00").write_text("{")
        del contents["object-00"]
        assert await client.tick("replicate") is TickOutcome.FAILED
        row = await tick_of(client, "replicate")
    assert (row.last_count, row.runs[0].count) == (None, 4)
    assert "the record of object-00 is damaged" in str(row.last_error)
    assert is_right(store, contents, 2)


async def test_the_catalogue_is_informed_and_a_lost_one_removes_nothing(
    dsn: str, make_store: MakeStore
) -> None:
    store = make_store(a=1000)
    take_in(store, "photo", b"pixels")
    async with Client(dsn, make_config(store)) as client:
        await client.schedule_inform("stored_object", run_foreground=True)
        assert copies_of(store, "photo") == {"a": b"pixels"}
        store.catalogue.folder.rename(store.catalogue.folder.with_name("away"))
        await client.invalidate("stored_object", "photo")
        run = await client.schedule_inform("stored_object", run_foreground=True)
        row = await client.get("stored_object", "photo")
    assert (run.state, row.state) == ("failed", ResourceState.FAILED)
    assert copies_of(store, "photo") == {"a": b"pixels"}


async def test_an_object_with_a_name_that_climbs_is_refused_for_good(
    dsn: str, make_store: MakeStore, tmp_path: Path
) -> None:
    store = make_store(a=1000)
    (tmp_path / "a").mkdir()
    (tmp_path / "outside").write_text("not yours")
    async with Client(dsn, make_config(store)) as client:
        await client.inform(StoredObject("../outside", 9, "", 1))
        await client.schedule_inform("stored_object", run_foreground=True)
        row = await client.get("stored_object", "../outside")
    assert row.state is ResourceState.DEGRADED
    assert (tmp_path / "outside").read_text() == "not yours"
    with pytest.raises(InvalidObject, match="cannot name an object"):
        take_in(store, "../outside", b"mine")


# --- settings and the shell ------------------------------------------------------------------


def test_backends_are_read_from_one_line() -> None:
    assert parse_backends("/mnt/a=1:/mnt/b/c=2K:/mnt/d=3M:/mnt/e=4G:/mnt/f=5T") == {
        Path("/mnt/a"): 1,
        Path("/mnt/b/c"): 2 * 2**10,
        Path("/mnt/d"): 3 * 2**20,
        Path("/mnt/e"): 4 * 2**30,
        Path("/mnt/f"): 5 * 2**40,
    }


@pytest.mark.parametrize("text", ["", "/mnt/a", "/mnt/a=", "/mnt/a=x", "/mnt/a=1:/mnt/a=2", "=1"])
def test_backends_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a folder with a quota of its own"):
        parse_backends(text)


def test_folders_and_quotas_that_make_no_store_are_refused(tmp_path: Path) -> None:
    for quotas, words in (
        ({}, "no backends"),
        ({tmp_path / "a": 0}, "must be 1 byte or more"),
        ({tmp_path / "a": 1, tmp_path / "a/b": 1}, "lies in"),
        ({tmp_path / "catalogue/a": 1}, "lies in"),
        ({tmp_path: 1}, "lies in"),
    ):
        with pytest.raises(ConfigError, match=words):
            ObjectStore(tmp_path / "catalogue", quotas)


def test_the_application_and_its_shell_are_configured_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("OBJECT_STORE_CATALOGUE", str(tmp_path / "catalogue"))
    monkeypatch.delenv("OBJECT_STORE_BACKENDS", raising=False)
    with pytest.raises(ConfigError, match="OBJECT_STORE_BACKENDS is not set"):
        _ = object_store.config
    monkeypatch.setenv("OBJECT_STORE_BACKENDS", f"{tmp_path / 'a'}=1K")
    assert isinstance(object_store.config, Config)
    (tmp_path / "photo").write_bytes(b"pixels")

    main(["put", str(tmp_path / "photo"), "--name", "picture", "--copies", "1"])
    main(["get", "picture"])  # it has only come in yet
    assert capfdbinary.readouterr().out == b"pixels"
    assert object_store.store_from_environment().bring("picture") == Done(1)
    main(["show"])
    assert capfdbinary.readouterr().out == f"{tmp_path / 'a'}: 6 of 1,024 bytes, 1%\n".encode()
    main(["remove", "picture"])
    for words in (["get", "picture"], ["put", str(tmp_path / "photo"), "--copies", "0"]):
        with pytest.raises(SystemExit, match="error: "):
            main(words)
