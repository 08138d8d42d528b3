"""What keeps an operator from harm: read-only and protected profiles, and names to be typed."""

from collections.abc import Callable

import psycopg
import pytest

from tests.cli.conftest import Inform, Rows
from tests.cli.leaves import LEAVES
from tests.support.command_line import CommandLine

CHANGES = [
    ["run"],
    ["inform", "item", "--object", '{"id": "z"}'],
    ["invalidate", "item", "a"],
    ["retry", "item", "a", "--yes"],
    ["delete", "item", "a"],
    ["cancel", "item", "a"],
    ["pause", "kind", "item"],
    ["resume", "kind", "item"],
    ["namespaces", "set", "default", "--max-workers", "3"],
    ["tick", "clean"],
    ["migrate"],
    ["demo"],
    ["db", "start"],
    ["db", "stop"],
    ["db", "reset", "--yes"],
]
LOOKS = [
    ["list"],
    ["status"],
    ["get", "item", "a"],
    ["namespaces"],
    ["tick"],
    ["pause"],
    ["migrate", "status"],
    ["migrate", "--check"],
    ["delete", "item", "a", "--dry-run"],
]


@pytest.fixture
def profiled(delta: CommandLine, dsn: str) -> Callable[[str], CommandLine]:
    """`delta` under a profile with these switches."""

    def choose(switches: str) -> CommandLine:
        text = f'profile = "night"\n[profiles.night]\ndsn = "{dsn}"\n{switches}\n'
        (delta.folder / "delta.toml").write_text(text)
        delta.environ["DELTA_DSN"] = None
        return delta

    return choose


def test_no_command_that_changes_something_is_forgotten() -> None:
    has_dry_run = {name for name, options in LEAVES.items() if "--dry-run" in options}
    refused = {" ".join(words[: 2 if words[0] == "db" else 1]) for words in CHANGES}
    # init writes files beside the profiles, and touches no database.
    assert refused == has_dry_run - {"init"} | {"run"}


def test_a_read_only_profile_lets_nothing_be_changed(
    profiled: Callable[[str], CommandLine], inform: Inform, rows: Rows
) -> None:
    inform("a")
    before = rows()
    delta = profiled("read_only = true")
    for words in CHANGES:
        refused = delta(*words)
        assert refused.code == 6, (words, refused)
        assert "'night' is read only" in refused.err
    for words in LOOKS:
        delta(*words).expect(0)
    assert rows() == before


def test_a_read_only_profile_lets_events_be_read_and_no_position_be_kept(
    profiled: Callable[[str], CommandLine], dsn: str
) -> None:
    delta = profiled("read_only = true")
    words = ("subscribe", "--since", "0", "--no-follow")
    refused = delta(*words, "--name", "audit").expect(6)
    assert "'night' is read only, and --name would change something" in refused.err
    assert "leave out --name" in refused.err
    delta(*words).expect(0)
    with psycopg.connect(dsn) as connection:
        kept = connection.execute("select count(*) from delta.delta_subscription").fetchone()
    assert kept == (0,)


def test_a_protected_profile_keeps_positions_without_a_question(
    profiled: Callable[[str], CommandLine],
) -> None:
    profiled("protected = true")("subscribe", "--name", "audit", "--no-follow").expect(0)


def test_a_protected_profile_asks_for_its_name(
    profiled: Callable[[str], CommandLine], inform: Inform, rows: Rows
) -> None:
    inform("a")
    delta = profiled("protected = true")
    words = ("delete", "item", "a")
    assert "nobody is here to answer" in delta(*words).expect(2).err
    code, shown = delta.on_terminal(*words, typed="yes\n")
    assert (code, "nothing was changed" in shown) == (1, True)
    assert rows()["a"]["state"] == "unknown"
    code, _ = delta.on_terminal(*words, typed="night\n")
    assert code == 0
    assert rows()["a"]["state"] == "deleted"
    delta("retry", "item", "a", "--yes").expect(0)


def test_many_resources_are_agreed_to_by_typing_their_kind(
    delta: CommandLine, inform: Inform, rows: Rows
) -> None:
    inform(*(f"item-{number}" for number in range(101)))
    words = ("delete", "item", "--all")
    code, shown = delta.on_terminal(*words, typed="y\n")
    assert (code, "Type item to go on" in shown) == (1, True)
    assert {row["state"] for row in rows().values()} == {"unknown"}
    assert delta.on_terminal(*words, typed="item\n")[0] == 0
    assert {row["state"] for row in rows().values()} == {"deleted"}
