"""The sample folder of the demo, and where it lies."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

SAMPLES: Final = 200


def make_samples(folder: Path) -> None:
    """Small files in a few folders; those that are there already stay as they are."""
    if folder.is_dir():
        return
    for number in range(SAMPLES):
        file = folder / f"folder-{number % 8}" / f"file-{number:03}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"This is sample {number}.\n" * (1 + number % 40), encoding="utf-8")


def data_folder(environ: Callable[[str], str | None] = os.environ.get) -> Path:
    """Where this user's data of Delta lies."""
    if chosen := environ("DELTA_DATA_DIR"):
        return Path(chosen)
    if chosen := environ("XDG_DATA_HOME"):
        return Path(chosen) / "delta"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "delta"
    return Path.home() / ".local" / "share" / "delta"
