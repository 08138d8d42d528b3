"""One resource: its state on top, and below one of five panes."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from delta_cli.dash.describing import PANES, head, pane
from delta_cli.dash.glyphs import Glyphs
from delta_cli.dash.tones import Piece, Tone, text_of
from delta_cli.dash.words import shown
from delta_cli.engine.model.event import Event
from delta_cli.engine.model.resource_row import ResourceRow


class DetailScroll(VerticalScroll, can_focus=True):
    """Scrolls the pane; left and right choose another."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "app.pane(1)", "pane"),
        Binding("left,h", "app.pane(-1)", "pane before", show=False),
    ]
    HELP = (
        "left and right choose a pane, d the diff, w breaks long lines or lets them run on, "
        "v shows all in a pager, y copies the object, esc goes back"
    )


class Detail(Vertical):
    """Shows what it is given; the pane stays as it was chosen."""

    def __init__(self, *, glyphs: Glyphs, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.pane: str = PANES[0]
        self.row: ResourceRow | None = None
        self._glyphs: Glyphs = glyphs
        self._timeline: Sequence[Event] | None = None
        self._shown: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """A head, the names of the panes, and a pane."""
        yield Static(id="detail-head")
        yield Static(id="detail-panes")
        with DetailScroll(id="detail-scroll"):
            yield Static(id="detail-body")

    def show_row(
        self, row: ResourceRow | None, timeline: Sequence[Event] | None, now: datetime
    ) -> None:
        """Show a resource; None: it is gone, and what was shown last stays, and says so."""
        if row is None:
            if self.row is not None:
                gone = Content(f"{shown(self.row.kind)}/{shown(self.row.object_id)}: gone")
                self.border_title = gone
            return
        if self.row is not None and row.id != self.row.id:
            self.query_one("#detail-scroll").scroll_home(animate=False)
        self.row, self._timeline = row, timeline
        self.border_title = Content(f"{shown(row.kind)}/{shown(row.object_id)}")
        self.query_one("#detail-head", Static).update(head(row, now))
        self._show_body()

    def clear(self) -> None:
        """Show nothing: there is no resource to look into."""
        if self.row is None:
            return
        self.row, self._timeline, self._shown = None, None, ()
        self.border_title = None
        for part in ("#detail-head", "#detail-panes", "#detail-body"):
            self.query_one(part, Static).update("")

    def on_resize(self) -> None:
        """Two objects may have room side by side now, or none any more."""
        self._show_body()

    def toggle_wrap(self) -> None:
        """Break long lines, or let them run on to the right."""
        self.query_one("#detail-scroll").toggle_class("-unwrapped")

    def _show_body(self) -> None:
        """Made again only when it would be another: it may be long."""
        if self.row is None:
            return
        timeline, width = self._timeline, self.query_one("#detail-scroll").size.width
        told = (self.row, self.pane, None if timeline is None else len(timeline), width)
        if told != self._shown:
            self._shown = told
            self.query_one("#detail-panes", Static).update(text_of(self._names()))
            body = pane(self.pane, self.row, timeline, self._glyphs, width)
            self.query_one("#detail-body", Static).update(body)

    def _names(self) -> list[Piece]:
        return [
            (f"[{name}] " if name == self.pane else f" {name}  ", tone)
            for name in PANES
            for tone in [Tone.STRONG if name == self.pane else Tone.MUTED]
        ]
