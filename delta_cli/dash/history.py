"""The places one has been to, as a browser keeps them. No I/O."""

from typing import Final

_REMEMBERED: Final = 50


class History:
    """Places in the order of their visits, and at which of them one is."""

    def __init__(self) -> None:
        self._places: list[str] = []
        self._at: int = -1

    def visit(self, place: str) -> None:
        """Go to a place; those after the present one are forgotten."""
        if self._at < 0 or self._places[self._at] != place:
            self._places = [*self._places[: self._at + 1], place][-_REMEMBERED:]
            self._at = len(self._places) - 1

    def go(self, by: int) -> str | None:
        """The place before or after, or None where there is none."""
        if not 0 <= self._at + by < len(self._places):
            return None
        self._at += by
        return self._places[self._at]
