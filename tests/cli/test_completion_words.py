import pytest
from hypothesis import given
from hypothesis import strategies as st

from delta_cli.cli.completion import completed_word
from delta_cli.cli.completion_words import is_offered

MARKS = "_-./@:+=,%"


@pytest.mark.parametrize(
    "word",
    [
        "bob@hello.com",
        "urn:x:1",
        "uid=root,ou=people",
        "/a/b.c",
        "+49",
        "@bob",
        "50%",
        "QQ==",
        "äöü",
    ],
)
def test_words_that_mean_themselves_are_offered(word: str) -> None:
    assert is_offered(word)


@pytest.mark.parametrize(
    "word",
    [
        "",
        "two words",
        "two\nlines",
        r"zz\$(touch owned)y",
        "`touch owned`",
        "$HOME",
        "a;b",
        "a|b",
        "a&b",
        "a>b",
        "{a,b}",
        "a*",
        "a?",
        "[a]",
        "it's",
        'a"b',
        "!!",
        "~root",
        "a=~",
        "#a",
        "^a^b",
        "-rf",
        "--yes",
        "=ls",
        "a==ls",
        "a:=ls",
        "%self",
        "a\x1b]0;b\x07",
        "a\x9b31m",
        "a\u202eb",
        "a\u200bb",
        "a\xa0b",
        "a\u3164b",
        "a\ud800b",
    ],
)
def test_words_that_a_shell_or_a_terminal_obeys_are_not(word: str) -> None:
    assert not is_offered(word)


@given(st.text(st.characters() | st.sampled_from(MARKS + "abc")))
def test_no_word_with_any_other_character_is_offered(word: str) -> None:
    strange = [one for one in word if not (one.isalpha() or one.isdecimal() or one in MARKS)]
    hidden = [one for one in word if not one.isprintable()]
    if strange or hidden or word.startswith("-"):
        assert not is_offered(word)


@given(st.text(st.sampled_from(MARKS + "aZ09é字"), min_size=1))
def test_what_begins_with_a_letter_is_offered_with_all_marks_but_a_command_s_path(
    word: str,
) -> None:
    assert is_offered("a" + word.replace("=", "")) is True


@pytest.mark.parametrize(
    ("value", "typed", "replaced", "word"),
    [
        ("bob", "b", "b", "bob"),
        ("bob@hello.com", "bob@hel", "@hel", "@hello.com"),
        ("bob@hello.com", "bob@hel", "bob@hel", "bob@hello.com"),
        ("bob@hello.com", "bob@hel", r"bob\@hel", "bob@hello.com"),
        ("urn:x:1", "urn:", "", "x:1"),
        ("degraded", "--state=de", "--state=de", "--state=degraded"),
        ("degraded", "--state=de", "de", "degraded"),
        ("a:b", "--kind=a:", "", "b"),
    ],
)
def test_the_shell_is_given_what_takes_the_place_of_the_end_of_the_word(
    value: str, typed: str, replaced: str, word: str
) -> None:
    assert completed_word(value, typed, replaced) == word
