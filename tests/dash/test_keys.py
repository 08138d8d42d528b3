import pytest

from delta_cli.dash.keys import chosen_keys
from delta_cli.engine.errors import ConfigError
from tests.dash.conftest import Dash, inform


def test_keys_are_named_as_they_are_typed_or_as_textual_names_them() -> None:
    chosen = chosen_keys(["retry=u", "filter=F", "help=f1", "delete=ctrl+x,?"][:3])
    assert chosen == {"retry": "u", "filter": "F", "help": "f1"}
    assert chosen_keys(["copy=;"]) == {"copy": "semicolon"}
    assert chosen_keys(["retry=u,ctrl+r"]) == {"retry": "u,ctrl+r"}


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        (["retry"], "names no key"),
        (["nonsense=u"], "there is no action 'nonsense'"),
        (["retry=nonsense"], "'nonsense' is no key"),
        (["retry=i"], "i is the key of invalidate"),
        (["retry=j"], "j is the key of moving the cursor"),
        (["retry=u", "filter=u"], "u is the key of retry"),
    ],
)
def test_a_key_that_cannot_be_is_refused_by_name(pairs: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        chosen_keys(pairs)
    assert told in f"{refused.value.message} {refused.value.hint}"


def test_two_actions_may_change_places() -> None:
    assert chosen_keys(["retry=i", "invalidate=r"]) == {"retry": "i", "invalidate": "r"}


async def test_help_and_the_line_of_keys_name_them_as_they_are_set(dash: Dash, dsn: str) -> None:
    await inform(dsn, "a")
    keys = chosen_keys(["invalidate=u", "help=f1"])
    async with dash(tab="resources", keys=keys) as driven:
        screen = await driven.shows("all · 1", " u invalidate ")
        assert " i invalidate" not in screen
        await driven.press("f1")
        await driven.shows("Here: arrows", "u      invalidate", "f1     help")


async def test_help_is_named_however_narrow_the_terminal_is(dash: Dash, dsn: str) -> None:
    await inform(dsn, "a")
    for size in ((80, 24), (60, 20)):
        async with dash(tab="resources", size=size) as driven:
            screen = await driven.shows("all · 1", "? help", "q quit")
            assert "invalidate" in screen.splitlines()[-1]


async def test_a_click_presses_the_key_that_is_named(dash: Dash, dsn: str) -> None:
    await inform(dsn, "a")
    async with dash(tab="resources", size=(120, 30)) as driven:
        screen = await driven.shows("all · 1", "? help")
        await driven.pilot.click("#keys", offset=(screen.splitlines()[-1].index("? help"), 0))
        await driven.shows("Here:")
