"""Delta's version in the time of a look at a folder: `importlib.metadata` takes 30 ms to import."""

import os
import sys
from typing import Final

_PACKAGE: Final = "deltaloop"
_SUFFIX: Final = ".dist-info"


def quick_version() -> str | None:
    """What the name of the installed package's folder says, else its metadata; None: neither."""
    for folder in sys.path:
        for name in _names(folder):
            if name.startswith(f"{_PACKAGE}-") and name.endswith(_SUFFIX):
                return name.removeprefix(f"{_PACKAGE}-").removesuffix(_SUFFIX)
    from delta_cli.engine.versions import installed_version

    return installed_version(_PACKAGE)


def _names(folder: str) -> list[str]:
    try:
        with os.scandir(folder or ".") as entries:
            return [entry.name for entry in entries]
    except OSError:  # an archive, or nothing at all
        return []
