"""What a person wants to see of a list: which columns, in which order, with or without a head."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from delta_cli.engine.errors import ConfigError

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """`columns` empty: those that the command shows. `sort`: a column's name, `-name` descending.

    Rows without a value of it come last.
    """

    columns: tuple[str, ...] = ()
    sort: str | None = None
    header: bool = True

    def check(self, known: Sequence[str]) -> None:
        """Raise ConfigError for a column that the list has not."""
        sort, _ = self.by
        for name in (*self.columns, *(() if sort is None else (sort,))):
            if name not in known:
                option = "--columns" if name in self.columns else "--sort"
                raise ConfigError(
                    f"{option}: there is no column {name!r}", hint=f"columns: {', '.join(known)}"
                )

    @property
    def by(self) -> tuple[str | None, bool]:
        """The column of `sort` (None: there is none), and whether it descends."""
        if self.sort is None:
            return None, False
        return self.sort.removeprefix("-"), self.sort.startswith("-")

    def ordered(self, records: Iterable[Record]) -> Iterable[Record]:
        """The records as `sort` says; as they come without it."""
        name, descends = self.by
        if name is None:
            return records
        rows = list(records)
        valued = [row for row in rows if row.get(name) is not None]
        valued.sort(key=lambda row: _comparable(row[name]), reverse=descends)
        return [*valued, *(row for row in rows if row.get(name) is None)]

    def chosen(self, record: Record) -> Record:
        """The record with the chosen columns alone, in their order."""
        return {name: record.get(name) for name in self.columns} if self.columns else record


ALL: Final = View()


def view_of(columns: str | None, sort: str | None, *, no_header: bool) -> View:
    """The view that options ask for; `columns` are joined by commas."""
    names = [name.strip() for name in (columns or "").split(",")]
    return View(tuple(name for name in names if name), sort or None, not no_header)


def _comparable(value: Any) -> Any:
    return value if not isinstance(value, (list, tuple, dict)) else str(value)
