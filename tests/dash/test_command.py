from pathlib import Path

import pytest

from tests.cli.conftest import delta, nowhere
from tests.dash.conftest import inform
from tests.support.command_line import CommandLine
from tests.support.engine import item_controller, working

__all__ = ["delta", "nowhere"]


@pytest.fixture
async def stored(dsn: str) -> None:
    await inform(dsn, "a", "b")


@pytest.mark.usefixtures("stored")
def test_once_prints_one_frame_as_text_svg_and_json(delta: CommandLine) -> None:
    text = delta("dash", "--once", "--size", "80x24").expect(0).out
    assert "States by kind" in text and "item" in text
    assert "\x1b" not in text
    assert len(text.splitlines()) <= 24 and max(map(len, text.splitlines())) <= 80
    assert delta("dash", "--once", "-o", "svg").expect(0).out.startswith("<svg")
    frame = delta("dash", "--once", "-o", "json").expect(0).json()
    assert frame["kinds"] == [
        {"kind": "item", "states": {"unknown": 2}, "due": 0, "oldest_due_at": None}
    ]


@pytest.mark.usefixtures("stored")
def test_read_only_holds_in_the_database_too(delta: CommandLine, dsn: str) -> None:
    text = delta("dash", "--once", "--read-only", "--tab", "resources").expect(0).out
    assert "[RO]" in text and "all · 2" in text
    writable = f"{dsn} options='-c statement_timeout=60000'"
    refused = delta("dash", "--once", "--read-only", environ={"DELTA_DSN": writable}).expect(2)
    assert "leave the sessions writable" in refused.err


def test_bad_options_are_refused_by_name(delta: CommandLine) -> None:
    for words, told in (
        (("--once", "--size", "big"), "'big' is no size"),
        (("--once", "--size", "10x10"), "out of range"),
        (("--once", "--key", "nonsense=u"), "there is no action 'nonsense'"),
        (("--once", "--theme", "nonsense"), "there is no theme 'nonsense'"),
        ((), "needs a terminal"),
    ):
        assert told in delta("dash", *words).expect(2).err


def test_no_server_is_told_without_the_password(nowhere: CommandLine, tmp_path: Path) -> None:
    done = nowhere("dash", "--once").expect(3)
    assert "hunter2" not in done.out + done.err


def test_a_read_only_profile_opens_it_read_only(delta: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "delta.toml").write_text("[profiles.look]\nread_only = true\n")
    assert "[RW]" in delta("dash", "--once").expect(0).out
    assert "[RO]" in delta("dash", "--once", "--profile", "look").expect(0).out


async def test_a_frame_holds_what_the_last_events_add_up_to(delta: CommandLine, dsn: str) -> None:
    await inform(dsn, "a", "b", "c")
    async with working(dsn, item_controller(lambda _: None)) as client:
        await client.wait_until_drained()
    for _ in range(3):
        text = delta("dash", "--once").expect(0).out
        assert "newest event 3" in text and "█" in text


def test_sigterm_ends_the_dashboard_and_its_status_says_so(delta: CommandLine) -> None:
    with delta.terminal("dash") as terminal:
        terminal.until("\x1b[?1049h")  # it has taken the screen
        terminal.process.terminate()
        code, shown = terminal.end()
    assert code == 143
    assert "\x1b[?1049l" in shown  # and has given it back
