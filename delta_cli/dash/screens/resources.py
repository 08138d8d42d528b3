"""The tab Resources: a list with filter, sort and marks, and beside it the one under the cursor."""

from collections.abc import Sequence
from typing import Final

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message

from delta_cli.dash.actions import Plan, plan_repair
from delta_cli.dash.describing import PANES
from delta_cli.dash.event_lines import Entry
from delta_cli.dash.filters import Filter
from delta_cli.dash.messages import PageRead, ReadFailed, ResourceRead, TimelineRead
from delta_cli.dash.screens.resource_reading import ResourceReading
from delta_cli.dash.screens.resource_rows import as_read, columns, resource_row
from delta_cli.dash.screens.tab import Tab
from delta_cli.dash.state import State
from delta_cli.dash.store import Page, Resources
from delta_cli.dash.widgets.detail import Detail
from delta_cli.dash.widgets.filter_bar import FilterBar
from delta_cli.dash.widgets.keyed_table import KeyedTable
from delta_cli.dash.words import fit, short_count, shown
from delta_cli.engine.model.event import Event
from delta_cli.engine.model.resource_row import ResourceRow
from delta_cli.engine.store.overview import Line, Wanted

#: Of a filter at least so much is shown in the title.
_SHORTEST_FILTER: Final = 8


class ResourcesTab(Tab):
    """Resources that a filter lets through, at most 500 at a time, and the detail of one."""

    main = "resources-table"
    verbs = ("invalidate", "retry", "delete", "cancel")

    def __init__(self, state: State, store: Resources, *, id: str) -> None:  # noqa: A002
        super().__init__(state, id=id)
        self.filter: Filter = Filter()
        self.is_open: bool = False
        self._reading: ResourceReading = ResourceReading(self, store)
        self._page: Page | None = None
        self._why: str | None = None
        self._listed: Wanted | None = None
        self._lines: dict[str, Line] = {}
        self._timeline: list[Event] | None = None
        self._timeline_of: int | None = None
        self._wanted_key: str | None = None

    def compose(self) -> ComposeResult:
        """The filter, the list and the detail."""
        yield FilterBar(back_to=self.main)
        with Horizontal():
            yield KeyedTable(
                columns(self.filter),
                id="resources-table",
                glyphs=self.glyphs,
                marks=True,
            )
            yield Detail(glyphs=self.glyphs, id="detail")

    @property
    def _table(self) -> KeyedTable:
        return self.query_one("#resources-table", KeyedTable)

    @property
    def _detail(self) -> Detail:
        return self.query_one("#detail", Detail)

    @property
    def line(self) -> Line | None:
        """The one under the cursor."""
        return self._lines.get(self._table.cursor_key or "")

    @property
    def _opened_key(self) -> str:
        """The key of the one that is looked into; empty where only the list is."""
        return (self._table.cursor_key or "") if self.is_open else ""

    @property
    def row(self) -> ResourceRow | None:
        """The one whose detail is shown."""
        line, row = self.line, self._detail.row
        return row if line is not None and row is not None and row.id == line.id else None

    @property
    def timeline(self) -> Sequence[Event] | None:
        """The events of the one whose detail is shown; None before they were read."""
        row = self.row
        return self._timeline if row is not None and row.id == self._timeline_of else None

    # Reading

    def show_state(self) -> None:
        """Read again when it is time; until then, show what was read with its ages of now."""
        if not self.read_soon():
            self._show_lines()

    def read_soon(self, *, at_once: bool = False) -> bool:
        """Read the list and the detail again. Returns whether that has begun."""
        if self.state.is_away:
            return False
        return self._reading.read_list(self.filter.wanted, at_once=at_once)

    def read_detail(self) -> None:
        """Read the one under the cursor again, if its detail is shown."""
        line = self.line
        if line is not None and self._is_detail_seen and not self.state.is_away:
            self._reading.read_one(line, with_timeline=self._timeline_of != line.id)

    @property
    def _is_detail_seen(self) -> bool:
        return self.is_open or not self.screen.has_class("-narrow")

    def on_page_read(self, message: PageRead) -> None:
        """The list was read."""
        if message.wanted != self.filter.wanted:
            return  # another filter was entered meanwhile
        is_same, self._listed = message.wanted == self._listed, message.wanted
        if not is_same:
            # Rows of the list before may have been shown in these columns.
            self._table.set_columns(columns(self.filter, message.page.lines))
        self._page, self._why = message.page, None
        lines = {str(line.id): line for line in message.page.lines}
        kept = self._table.marks | ({self._opened_key} if is_same else set[str]())
        gone = {key: line for key, line in self._lines.items() if key in kept - set(lines)}
        self._lines = lines | gone
        self._show_lines()
        if self._wanted_key is not None and self._table.move_to(self._wanted_key):
            self._wanted_key = None
        self.read_detail()

    def on_read_failed(self, message: ReadFailed) -> None:
        """Say that what is shown is not new."""
        self._why = message.why
        self._show_lines()

    def on_resource_read(self, message: ResourceRead) -> None:
        """The detail was read."""
        line = self.line
        if message.row is not None and line is not None and message.row.id == line.id:
            self._lines[str(line.id)] = as_read(line, message.row)
            self._show_detail(message.row)
        elif message.row is None:
            self._show_detail(None)

    def on_timeline_read(self, message: TimelineRead) -> None:
        """The events of one were read."""
        self._timeline_of = message.resource_id
        self._timeline = list(message.events)
        self._show_detail(self._detail.row)

    def take(self, entries: Sequence[Entry]) -> None:
        """Events: those of the one that is shown go on its timeline; lists are read again."""
        mine = [
            entry
            for entry in entries
            if isinstance(entry, Event) and entry.resource_id == self._timeline_of
        ]
        if mine and self._timeline is not None:
            last = self._timeline[-1].id if self._timeline else 0
            self._timeline += [event for event in mine if event.id > last]

    # Showing

    def _show_lines(self) -> None:
        now = self.state.now
        # What another filter let through, or did not, says nothing of this one.
        page = self._page if self._listed == self.filter.wanted else None
        self._table.empty = self._empty_words(page)
        if now is None or page is None:
            self._table.set_rows([])
            self._table.border_title = Content(shown(self.filter.text or "all"))
            self._detail.clear()
            return
        # What is looked into stays although the filter lets it through no more: keys are about it.
        seen = {str(line.id) for line in page.lines} | {self._opened_key}
        lines = [line for key, line in self._lines.items() if key in seen]
        if (needed := columns(self.filter, lines)) != self._table.columns:
            self._table.set_columns(needed)
        self._table.set_rows([resource_row(line, now) for line in lines])
        if not lines:
            self._detail.clear()
        self._table.border_title = Content(self._title(page))
        told = self._marked_words()
        if self._why is not None:
            told = f"cannot be read now: {shown(self._why)}"
        self._table.border_subtitle = Content(told)

    def _marked_words(self) -> str:
        marked = len(self._table.marked_keys)
        gone = len(self._table.marks) - marked
        told = f"{marked:,} marked: actions are about them" if marked else ""
        return ", ".join(filter(None, (told, f"marked and gone: {gone:,}" if gone else "")))

    def _empty_words(self, page: Page | None) -> str:
        """What stands in place of the lines: that there are none is said once all was looked at."""
        if page is None:
            away = "the database is away" if self.state.is_away else self._why
            return "not read yet" if away is None else f"cannot be read: {shown(away)}"
        if not page.is_all:
            return f"none among the newest {page.looked:,} so far"
        return "no resources that the filter lets through" if self.filter.text else "no resources"

    def _title(self, page: Page) -> str:
        """The filter, as far as there is room for it, and how many it lets through."""
        number = f"{len(page.lines):,}"
        if not page.is_over:
            number += f" so far, {short_count(page.looked)} looked at"
        elif not page.is_all:
            number += " of more"
        number = f" {self.glyphs.separator} {number}"
        room = max(_SHORTEST_FILTER, self._table.size.width - len(number) - 2)
        return fit(shown(self.filter.text or "all"), room, cut=self.glyphs.cut) + number

    def _show_detail(self, row: ResourceRow | None) -> None:
        now = self.state.now
        if now is not None:
            known = row is not None and row.id == self._timeline_of
            self._detail.show_row(row, self._timeline if known else None, now)

    def on_keyed_table_moved(self, message: KeyedTable.Moved) -> None:
        """Another row: its detail."""
        message.stop()
        self.read_detail()

    def on_keyed_table_opened(self, message: KeyedTable.Opened) -> None:
        """Enter: into the detail."""
        message.stop()
        self.open_detail()

    def on_keyed_table_marked(self, message: KeyedTable.Marked) -> None:
        """Other rows are marked."""
        message.stop()
        self._show_lines()

    def open_detail(self, pane: str | None = None) -> None:
        """Go into the detail, or into one pane of it."""
        self.is_open = True
        self.set_class(True, "-open")  # noqa: FBT003 - Textual's own call
        if pane is not None:
            self._detail.pane = pane
        self._show_detail(self.row)
        self.query_one("#detail-scroll").focus()
        self.read_detail()
        self.post_message(self.Crumbs())

    class Crumbs(Message):
        """Where one is has changed."""

    def turn_pane(self, by: int) -> None:
        """The next pane, or the one before."""
        place = (PANES.index(self._detail.pane) + by) % len(PANES)
        self._detail.pane = PANES[place]
        self._show_detail(self._detail.row)

    def toggle_wrap(self) -> None:
        """Break the long lines of the detail, or let them run on."""
        self._detail.toggle_wrap()

    def leave(self) -> bool:
        """Out of the detail; then unmark; then drop the filter."""
        if self.is_open:
            self.is_open = False
            self.set_class(False, "-open")  # noqa: FBT003 - Textual's own call
            self._table.focus()
            self._show_lines()
        elif self._table.marks:
            self._table.unmark()
        elif self.filter.text:
            self.filter_by(Filter())
        else:
            return False
        self.post_message(self.Crumbs())
        return True

    @property
    def crumbs(self) -> tuple[str, ...]:
        """Resources, the filter, the resource."""
        crumbs = ["Resources"]
        if self.filter.text:
            crumbs.append(self.filter.text)
        if self.is_open and self.line is not None:
            crumbs.append(f"{self.line.kind}/{self.line.object_id}")
        return tuple(crumbs)

    # Filtering and choosing

    def open_filter(self) -> None:
        """Write a filter."""
        self.query_one(FilterBar).open(self.filter.text)

    def on_filter_bar_entered(self, message: FilterBar.Entered) -> None:
        """A filter was entered."""
        message.stop()
        self.filter_by(message.chosen)

    def filter_by(self, chosen: Filter, *, then: str | None = None) -> None:
        """Show what this filter lets through; `then`: the key of the row to go to."""
        self.filter, self._wanted_key = chosen, then
        self._table.set_columns(columns(chosen))
        self._table.unmark()
        # Until it is read the list before is shown, if there are lines of it.
        if not self.read_soon(at_once=True) or not self._table.rows:
            self._show_lines()
        self.post_message(self.Crumbs())

    def plan(self, verb: str) -> Plan | None:
        """About the marked rows, or the one under the cursor."""
        if verb not in self.verbs:
            return None
        table = self._table
        # Marks whose rows are all gone are not a wish to act on the one under the cursor.
        keys = table.marked_keys if table.marks else [table.cursor_key or ""]
        chosen = [self._lines[key] for key in keys if key in self._lines]
        return plan_repair(verb, chosen) if chosen or table.marks else None
