"""The versions of Delta and of what it stands on."""

import platform
from importlib.metadata import PackageNotFoundError, version

from psycopg import pq


def component_versions() -> dict[str, str | None]:
    """By name; None for what is not installed."""
    return {
        "delta": installed_version("deltaloop"),
        "python": platform.python_version(),
        "psycopg": installed_version("psycopg"),
        "libpq": _dotted(pq.version()),
        "textual": installed_version("textual"),
    }


def installed_version(package: str) -> str | None:
    """The version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _dotted(number: int) -> str:
    """Libpq's 180006 is 18.6."""
    return f"{number // 10_000}.{number % 10_000}"
