"""What waits to be worked is seen on the overview of any size."""

import pytest

from delta_cli.dash.running import screen_text
from tests.dash.test_snapshots import LIVE, StillDash


def shown(screen: str) -> dict[str, str]:
    """The numbers of the kind 'card' by their titles, as far as that of the oldest."""
    lines = screen.splitlines()
    titles = next(line for line in lines if "KIND" in line).strip("│ ").split()
    row = next(line for line in lines if "card " in line)
    numbers = row[row.index("card") :].split()
    end = titles.index("OLDEST") + 1
    return dict(zip(titles[:end], numbers[:end], strict=True))


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ((60, 15), {"PEND": "273"}),
        ((80, 24), {"PEND": "273"}),
        ((100, 30), {"PEND": "181", "SCHED": "92"}),
        ((120, 40), {"PEND": "181", "SCHED": "92", "SYNCED": "47,901", "FAIL": "12", "UNK": "0"}),
    ],
)
async def test_what_is_scheduled_or_being_worked_is_never_left_out(
    size: tuple[int, int], told: dict[str, str]
) -> None:
    app = StillDash(LIVE)
    async with app.run_test(size=size):
        found = shown(screen_text(app))
        assert {title: found.get(title) for title in told} == told
        assert found["TOTAL"] == "48,186"


async def test_a_terminal_made_wider_tells_apart_what_waits() -> None:
    app = StillDash(LIVE)
    async with app.run_test(size=(80, 24)) as pilot:
        assert "SCHED" not in shown(screen_text(app)) and "15 MIN" in screen_text(app)
        await pilot.resize_terminal(120, 40)
        app.show()
        await pilot.pause()
        assert "SCHED" in shown(screen_text(app))
