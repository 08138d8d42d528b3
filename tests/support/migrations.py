"""Folders of migrations for cases that the shipped ones are not."""

from pathlib import Path

from delta_cli.engine.schema import Migration, shipped_migrations


def write_migrations(folder: Path, **files: str) -> list[Migration]:
    """Write `_001_first="create table ..."` as the file 001_first.sql, and read the folder."""
    folder.mkdir(exist_ok=True)
    for name, sql in files.items():
        (folder / f"{name.removeprefix('_')}.sql").write_text(sql)
    return shipped_migrations(folder)
