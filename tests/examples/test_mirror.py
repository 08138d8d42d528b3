import asyncio
import contextlib
import os
import shutil
import stat
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from delta_cli import (
    Client,
    Config,
    ConfigError,
    InformRun,
    NamespaceConfig,
    ResourceRow,
    ResourceState,
)
from delta_cli.engine.settings import check_namespace
from delta_cli.examples import mirror
from delta_cli.examples.mirror import (
    Deed,
    FileController,
    MirroredFile,
    make_config,
    namespace_of,
    vanished,
)
from tests.support.waiting import eventually

MOMENT = timedelta(milliseconds=50)
LONG_AGO_NS = 10**18


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def write(folder: Path, **files: str | bytes) -> None:
    """Write files; in a name, `__` stands for a slash."""
    for name, content in files.items():
        file = folder / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())


def tree(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Content, time and mode of every file below a folder."""
    return {
        str(file.relative_to(folder)): (
            file.read_bytes(),
            file.stat().st_mtime_ns,
            stat.S_IMODE(file.stat().st_mode),
        )
        for file in folder.rglob("*")
        if file.is_file()
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {path: content for path, (content, _, _) in tree(folder).items()}


async def sync(client: Client) -> InformRun:
    """One run of the informer, and the works that follow from it."""
    return await client.schedule_inform("file", run_foreground=True)


async def rows(client: Client) -> dict[str, ResourceRow]:
    return {row.object_id: row async for row in client.resources()}


@contextlib.asynccontextmanager
async def opened(dsn: str, source: Path, target: Path, **settings: Any) -> AsyncIterator[Client]:
    async with Client(dsn, make_config(source, target, **settings)) as client:
        yield client


@contextlib.asynccontextmanager
async def restless(dsn: str, source: Path, target: Path, **settings: Any) -> AsyncIterator[Client]:
    """A client that works, with passes in quick succession."""
    quick: dict[str, Any] = {"maintenance_interval": MOMENT, "cleaner_interval": MOMENT}
    async with opened(dsn, source, target, **quick | settings) as client:
        await client.start()
        yield client
        await client.stop(hard=True)


async def test_the_mirror_equals_the_source_byte_for_byte(
    dsn: str, source: Path, target: Path
) -> None:
    write(source, a="one", b__c__d="two", empty="", b__große_Datei=os.urandom(3 * 2**20 + 17))
    (source / "b/c/d").chmod(0o640)
    os.utime(source / "a", ns=(LONG_AGO_NS, LONG_AGO_NS + 123_456_789))

    async with opened(dsn, source, target) as client:
        run = await sync(client)
        assert {row.state for row in (await rows(client)).values()} == {ResourceState.SYNCED}

    assert tree(target) == tree(source)
    assert (run.counts.seen, run.counts.refused, run.error) == (4, 0, None)


async def test_a_second_run_does_nothing(dsn: str, source: Path, target: Path) -> None:
    write(source, a="one", b__c="two")
    async with opened(dsn, source, target) as client:
        await sync(client)
        before = await rows(client)
        run = await sync(client)
        assert await rows(client) == before
    assert run.counts.unchanged == run.counts.seen == 2


async def test_a_changed_file_is_copied_and_the_others_are_left_alone(
    dsn: str, source: Path, target: Path
) -> None:
    write(source, changed="before", other="same")
    async with opened(dsn, source, target) as client:
        await sync(client)
        write(source, changed="after!")
        (source / "other").chmod(0o600)
        run = await sync(client)
        assert {id_: row.sync_count for id_, row in (await rows(client)).items()} == {
            "changed": 2,
            "other": 2,
        }
    assert run.counts.updated == 2
    assert tree(target) == tree(source)


async def test_a_file_with_an_old_time_is_found_behind_the_watermark(
    dsn: str, source: Path, target: Path
) -> None:
    write(source, new="one")
    async with opened(dsn, source, target) as client:
        await sync(client)
        write(source, old="two")
        os.utime(source / "old", ns=(LONG_AGO_NS, LONG_AGO_NS))
        await sync(client)
    assert tree(target) == tree(source)


async def test_a_vanished_file_leaves_the_mirror_with_the_folders_it_empties(
    dsn: str, source: Path, target: Path
) -> None:
    write(source, a__b__gone="one", a__stays="two")
    async with opened(dsn, source, target) as client:
        await sync(client)
        shutil.rmtree(source / "a/b")
        known = [row.object_id async for row in client.resources()]
        assert vanished(known, source) == ["a/b/gone"]
        await client.invalidate("file", "a/b/gone", namespace=namespace_of(source, target))
        await client.start()
        await client.wait_until_drained()
        row = (await rows(client))["a/b/gone"]
        await client.stop()
    assert row.state is ResourceState.DELETED
    assert contents(target) == {"a/stays": b"two"}
    assert [file.name for file in (target / "a").iterdir()] == ["stays"]


async def test_a_file_that_comes_back_is_mirrored_again(
    dsn: str, source: Path, target: Path
) -> None:
    write(source, a="one")
    always = {
        namespace_of(source, target): NamespaceConfig(
            expiry_ttl=MOMENT, deleted_retention=timedelta(0)
        )
    }
    async with restless(dsn, source, target, namespaces=always) as client:
        await eventually(lambda: contents_or_none(target) == {"a": b"one"})
        (source / "a").unlink()
        await eventually(lambda: contents_or_none(target) == {})
        write(source, a="again")

        async def mirrored() -> bool:
            await client.schedule_inform("file")
            return contents_or_none(target) == {"a": b"again"}

        await eventually(mirrored)


def contents_or_none(folder: Path) -> dict[str, bytes] | None:
    """The files of a folder that is being changed; None if one went away during the look."""
    try:
        return contents(folder)
    except FileNotFoundError:
        return None


async def test_drift_in_the_mirror_is_repaired_after_the_ttl(
    dsn: str, source: Path, target: Path
) -> None:
    write(source, damaged="right", missing__file="there", stranger="")
    async with opened(dsn, source, target) as client:
        await sync(client)
    before = tree(target)
    times = (before["damaged"][1], before["damaged"][1])
    write(target, damaged="wrong", never_in_the_source="mine")
    os.utime(target / "damaged", ns=times)
    shutil.rmtree(target / "missing")

    ttl = {namespace_of(source, target): NamespaceConfig(expiry_ttl=MOMENT)}
    async with restless(dsn, source, target, namespaces=ttl):
        await eventually(
            lambda: contents_or_none(target) == contents(source) | {"never_in_the_source": b"mine"}
        )


async def test_paths_out_of_the_folders_are_refused_for_good(
    dsn: str, source: Path, target: Path, tmp_path: Path
) -> None:
    paths = ["../outside", "a/../../outside", str(tmp_path / "outside"), ".", "a//b", "a/"]
    write(tmp_path, outside="not yours")
    before = contents(tmp_path)
    async with opened(dsn, source, target) as client:
        for path in paths:
            await client.inform(
                MirroredFile(path, 9, LONG_AGO_NS, 0o644, namespace_of(source, target))
            )
        await client.start()
        await client.wait_until_drained()
        found = await rows(client)
        await client.stop()
    assert {row.state for row in found.values()} == {ResourceState.DEGRADED}
    assert {row.errors[-1].error for row in found.values()} == {"Permanent"}
    assert len(found) == len(paths)
    assert contents(tmp_path) == before
    assert vanished(paths, source) == paths


async def test_links_are_not_mirrored_and_lead_nowhere(
    dsn: str, source: Path, target: Path, tmp_path: Path
) -> None:
    write(tmp_path, elsewhere__file="not yours")
    write(source, real="mine", folder__file="mine too")
    (source / "link").symlink_to(tmp_path / "elsewhere/file")
    (source / "links").symlink_to(tmp_path / "elsewhere")
    (source / "round").symlink_to(source)
    async with opened(dsn, source, target) as client:
        await sync(client)
        assert contents(target) == {"real": b"mine", "folder/file": b"mine too"}

        # A folder that becomes a link holds no file of the source any more.
        await client.inform(
            MirroredFile("links/file", 9, LONG_AGO_NS, 0o644, namespace_of(source, target))
        )
        await sync(client)
        assert (await rows(client))["links/file"].state is ResourceState.DELETED

        # And one in the mirror is not written through.
        shutil.rmtree(target / "folder")
        (target / "folder").symlink_to(tmp_path / "elsewhere")
        write(source, folder__file="changed")
        await sync(client)
        assert (await rows(client))["folder/file"].state is ResourceState.DEGRADED
    assert contents(tmp_path / "elsewhere") == {"file": b"not yours"}


async def test_a_copy_that_breaks_off_leaves_the_old_file_and_nothing_else(
    dsn: str, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(source, file="old")
    seen: list[dict[str, bytes]] = []

    def break_off(reading: Any, writing: Any) -> bytes:
        writing.write(b"ha")
        writing.flush()
        seen.append(contents(target))
        raise OSError("no space left")

    async with opened(dsn, source, target) as client:
        await sync(client)
        write(source, file="halves")
        with monkeypatch.context() as patch:
            patch.setattr(mirror, "_copy_bytes", break_off)
            await sync(client)
        row = (await rows(client))["file"]
        assert (row.state, row.errors[-1].message) == (ResourceState.FAILED, "no space left")
        assert seen[0].pop("file") == b"old"
        assert list(seen[0].values()) == [b"ha"]
        assert contents(target) == {"file": b"old"}

        await client.retry("file", "file", namespace=namespace_of(source, target))
        await client.start()
        await client.wait_until_drained()
        await client.stop()
    assert tree(target) == tree(source)


@pytest.mark.parametrize("trouble", ["changed while it was copied", "not hold what was written"])
async def test_a_copy_that_is_not_the_source_is_never_shown(
    dsn: str, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    write(source, file="right")
    copy_bytes = mirror._copy_bytes

    def disturbed(reading: Any, writing: Any) -> bytes:
        digest = copy_bytes(reading, writing)
        if "changed" in trouble:
            write(source, file="another")
        else:
            writing.seek(0)
            writing.write(b"wrong")
        return digest

    monkeypatch.setattr(mirror, "_copy_bytes", disturbed)
    async with opened(dsn, source, target) as client:
        await sync(client)
        row = (await rows(client))["file"]
    assert row.state is ResourceState.FAILED
    assert trouble in row.errors[-1].message
    assert contents(target) == {}


async def test_the_part_that_a_dead_worker_left_is_removed_by_the_next_attempt(
    dsn: str, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(source, file="whole")
    copy = mirror._copy
    died = asyncio.Event()

    def die_once(source: Path, target: Path, part: Path) -> None:
        if died.is_set():
            return copy(source, target, part)
        died.set()
        part.write_bytes(b"wh")
        raise OSError("as if killed")

    monkeypatch.setattr(mirror, "_copy", die_once)
    async with restless(dsn, source, target):
        await eventually(died.is_set)
        await eventually(lambda: contents_or_none(target) == {"file": b"whole"})


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are always UTF-8")
async def test_a_name_that_is_not_utf8_is_refused_and_the_others_are_mirrored(
    dsn: str, source: Path, target: Path
) -> None:
    write(source, a="one", z="two")
    (source / os.fsdecode(b"m\xff")).write_text("no")
    async with opened(dsn, source, target) as client:
        run = await sync(client)
    assert (run.counts.refused, run.counts.seen, run.state) == (1, 3, "succeeded")
    assert contents(target) == {"a": b"one", "z": b"two"}


async def test_a_source_that_is_away_fails_the_run_and_empties_no_mirror(
    dsn: str, source: Path, target: Path
) -> None:
    write(source, a="one")
    async with opened(dsn, source, target) as client:
        await sync(client)
        shutil.move(source, source.with_name("away"))
        await client.invalidate("file", "a", namespace=namespace_of(source, target))
        run = await sync(client)
        row = (await rows(client))["a"]
    assert run.state == "failed"
    assert "FileNotFoundError" in str(run.error)
    assert row.state is ResourceState.FAILED
    assert contents(target) == {"a": b"one"}
    with pytest.raises(FileNotFoundError):
        vanished(["a"], source)


async def test_a_folder_that_cannot_be_listed_fails_the_run_after_all_the_others(
    dsn: str, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(source, a__file="one", locked__file="no", z__file="two")
    entries = mirror._entries

    def refuse(folder: Path) -> list[os.DirEntry[str]]:
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return entries(folder)

    monkeypatch.setattr(mirror, "_entries", refuse)
    async with opened(dsn, source, target) as client:
        run = await sync(client)
    assert run.state == "failed"
    assert "locked" in str(run.error)
    assert contents(target) == {"a/file": b"one", "z/file": b"two"}


def test_source_and_target_must_not_lie_in_each_other(tmp_path: Path) -> None:
    for inner in ("", "inner"):
        with pytest.raises(ConfigError, match="lie in each other"):
            FileController(tmp_path, tmp_path / inner)
        with pytest.raises(ConfigError, match="lie in each other"):
            FileController(tmp_path / inner, tmp_path)


def test_a_time_that_no_calendar_holds_is_no_watermark() -> None:
    assert MirroredFile("a", 0, 10**21, 0o644).created_at is None


def test_the_application_is_configured_by_the_environment(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRROR_SOURCE", str(source))
    monkeypatch.delenv("MIRROR_TARGET", raising=False)
    with pytest.raises(ConfigError, match="MIRROR_TARGET is not set"):
        _ = mirror.config
    monkeypatch.setenv("MIRROR_TARGET", str(target))
    assert isinstance(mirror.config, Config)
    assert isinstance(mirror.config.controllers[0], FileController)


async def test_another_target_or_source_is_another_mirror(
    dsn: str, source: Path, target: Path, tmp_path: Path
) -> None:
    write(source, a="one", b="two")
    other_target, other_source = tmp_path / "other target", tmp_path / "other source"
    write(other_source, a="another")
    for one, another in ((source, target), (source, other_target), (other_source, target)):
        async with opened(dsn, one, another) as client:
            run = await sync(client)
        assert run.counts.created == run.counts.seen == len(contents(one))
    assert contents(other_target) == {"a": b"one", "b": b"two"}
    assert contents(target) == {"a": b"another", "b": b"two"}


async def test_the_files_of_another_mirror_are_left_to_its_own_workers(
    dsn: str, source: Path, target: Path, tmp_path: Path
) -> None:
    write(source, a="one")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    async with opened(dsn, source, target) as client:
        await sync(client)
        await client.invalidate("file", "a", namespace=namespace_of(source, target))
    async with opened(dsn, theirs, target) as client:  # to them, `a` has vanished
        await sync(client)
        row = (await rows(client))["a"]
    assert (row.state, row.attempt) == (ResourceState.SCHEDULED, 0)
    assert contents(target) == {"a": b"one"}


async def test_the_default_namespace_keeps_its_settings(
    dsn: str, source: Path, target: Path
) -> None:
    async with opened(dsn, source, target) as client:
        kept = await client.control.namespaces()
    assert {one.name for one in kept if one.expiry_ttl_s or one.deleted_retention_s == 0} == {
        namespace_of(source, target)
    }


def test_a_namespace_is_named_by_the_source_whatever_way_the_folders_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "My Photos (2026)"
    photos.mkdir()
    (tmp_path / "link").symlink_to(photos)
    name = namespace_of(photos, tmp_path / "to")
    assert name.startswith("mirror-my-photos-2026-")
    monkeypatch.chdir(photos)
    assert (
        name
        == namespace_of(Path(), Path("../to"))
        == namespace_of(tmp_path / "link", tmp_path / "to")
    )
    others = [(photos, tmp_path), (Path("/"), tmp_path), (Path("/日本"), tmp_path)]
    others += [(tmp_path / ("long" * 60), photos), (Path(os.fsdecode(b"/\xff")), photos)]
    names = {check_namespace(namespace_of(*folders)) for folders in others}
    assert len(names | {name}) == len(others) + 1


async def test_what_works_did_is_counted_by_what_they_changed(
    dsn: str, source: Path, target: Path
) -> None:
    write(source, new="one", there="two", gone="three")
    write(target, there="two")
    controller = FileController(source, target)
    async with opened(dsn, source, target, controllers=[controller]) as client:
        await sync(client)
        (source / "gone").unlink()
        await client.invalidate("file", "gone", namespace=controller.namespace)
        await sync(client)
    assert controller.deeds == {Deed.COPIED: 2, Deed.COMPARED: 1, Deed.REMOVED: 1}


def test_a_file_looks_right_while_size_time_and_mode_are_the_sources(
    source: Path, target: Path
) -> None:
    write(source, a="one", b="two", c="one", d="x", e="y")
    shutil.copytree(source, target)
    write(target, a="another")
    os.utime(target / "b", ns=(LONG_AGO_NS, LONG_AGO_NS))
    (target / "c").chmod(0o600)
    (source / "d").unlink()
    (target / "link").symlink_to(target / "e")
    write(source, link="y", missing="z")
    controller = FileController(source, target)
    paths = ["a", "b", "c", "d", "e", "link", "missing", "../target/e"]
    assert [path for path in paths if controller.looks_right(path)] == ["e"]


async def test_a_mirror_of_many_files_is_worked_in_parallel(
    dsn: str, source: Path, target: Path
) -> None:
    write(source, **{f"folder_{n % 7}__file_{n}": str(n) for n in range(300)})
    async with opened(dsn, source, target) as client:
        await asyncio.wait_for(sync(client), 60)
    assert tree(target) == tree(source)
