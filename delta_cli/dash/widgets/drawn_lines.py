"""A list that draws only the lines it shows, in tones. Tables and logs are made of it."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from delta_cli.dash.glyphs import UNICODE, Glyphs
from delta_cli.dash.tones import COMPONENTS, Piece, Tone


class DrawnLines(ScrollView, can_focus=True):
    """Lines below `header_lines` that stay. Its subclass says how many there are and draws them."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *COMPONENTS,
        "line--cursor",
        "line--cursor-away",
        "line--marked",
        "line--header",
    }

    header_lines: int = 0

    def __init__(self, *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.glyphs: Glyphs = glyphs
        self._styles: dict[str, Style] = {}
        self._base: Style = Style.null()
        self.show_horizontal_scrollbar = False

    def notify_style_update(self) -> None:
        """The theme has changed."""
        self._styles.clear()
        super().notify_style_update()

    def style_of(self, name: str) -> Style:
        """The style of a component class, without what is around it."""
        if name not in self._styles:
            self._styles[name] = self.get_component_rich_style(name, partial=True)
        return self._styles[name]

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines of the widget, all on the style that it has now: asking for it takes long."""
        self._base = self.rich_style
        return super().render_lines(crop)

    @property
    def line_width(self) -> int:
        """How wide a line is, beside the place of the scrollbar."""
        return self.scrollable_content_region.width

    @property
    def visible_lines(self) -> int:
        """How many lines there is room for below the header."""
        return max(1, self.size.height - self.header_lines)

    def set_line_count(self, count: int) -> None:
        """So many lines there are: the scrollbar follows."""
        size = Size(self.line_width, count + self.header_lines)
        if size != self.virtual_size:
            self.virtual_size = size

    def line_at(self, y: int) -> int:
        """Which line is drawn at a place of the widget; negative in the header."""
        if y < self.header_lines:
            return -1
        return y - self.header_lines + round(self.scroll_offset.y)

    def show_line(self, line: int) -> None:
        """Scroll as little as needed for a line to be seen."""
        top = round(self.scroll_offset.y)
        if line < top:
            self.scroll_to(y=line, animate=False, immediate=True)
        elif line >= top + self.visible_lines:
            self.scroll_to(y=line - self.visible_lines + 1, animate=False, immediate=True)

    def redraw(self, line: int) -> None:
        """Draw one line again, if it is seen."""
        y = line - round(self.scroll_offset.y) + self.header_lines
        if self.header_lines <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def draw(self, pieces: Sequence[Piece], *under: str) -> Strip:
        """Pieces as one line over the whole width; `under`: component classes beneath them."""
        base = self._base
        for name in under:
            base += self.style_of(name)
        width = self.line_width
        segments: list[Segment] = []
        left = width
        for words, tone in pieces:
            if left <= 0:
                break
            length = len(words) if words.isascii() else cell_len(words)
            if length > left:
                words, length = set_cell_size(words, left), left  # noqa: PLW2901
            left -= length
            style = base if tone is Tone.PLAIN else base + self.style_of(f"tone--{tone.value}")
            segments.append(Segment(words, style))
        if left > 0:
            segments.append(Segment(" " * left, base))
        return Strip(segments, width)
