"""From how many columns of the terminal on more is shown; `dash.tcss` goes by the same."""

from typing import Final

WIDE: Final = 100
BROAD: Final = 160
