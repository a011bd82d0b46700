"""Variables of a Containerfile: docker's modifiers, quotes, escapes; words are split before they are expanded."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybox.build.variables import VariableError, expand, words

VALUES = {"a": "value", "e": "", "p": "/usr/local/lib.tar.gz", "two": "x y"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$a", "value"),
        ("${a}", "value"),
        ("x${a}y$a", "xvalueyvalue"),
        ("$n", ""),
        ("$", "$"),
        ("a$", "a$"),
        ("$-", ""),
        (r"\$a", "$a"),
        (r"\\$a", r"\value"),
        ("'$a'", "$a"),
        ('"$a"', "value"),
        (r'"\$a \x \""', r'$a \x "'),
        ("${e:-d}", "d"),
        ("${e-d}", ""),
        ("${n-d}", "d"),
        ("${a:-d}", "value"),
        ("${a:+s}", "s"),
        ("${e:+s}", ""),
        ("${e+s}", "s"),
        ("${n+s}", ""),
        ("${n:-${a}}", "value"),
        ("${n:-${m:-deep}}", "deep"),
        ("${p#*/}", "usr/local/lib.tar.gz"),
        ("${p##*/}", "lib.tar.gz"),
        ("${p%.*}", "/usr/local/lib.tar"),
        ("${p%%.*}", "/usr/local/lib"),
        ("${p/l/L}", "/usr/Local/lib.tar.gz"),
        ("${p//l/L}", "/usr/LocaL/Lib.tar.gz"),
        ("${p//[/x}", "/usr/local/lib.tar.gz"),
        ("${a:?no}", "value"),
    ],
)
def test_an_expansion(text: str, value: str) -> None:
    """The forms of docker's reference."""
    assert expand(text, VALUES) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${n:?is needed}", "n: is needed"),
        ("${n?}", "n: it is not set"),
        ("${a", "is not closed"),
        ("${}", "no name"),
        ("${a^}", "unknown modifier"),
        ("'a", "single quote"),
        ('"a', "double quote"),
    ],
)
def test_a_wrong_expansion(text: str, says: str) -> None:
    """The error says what is wrong."""
    with pytest.raises(VariableError, match=says):
        expand(text, VALUES)


def test_words_are_split_before_they_are_expanded() -> None:
    """A value with a blank stays one word; quotes join, also empty ones."""
    assert words("""$two "a b" c\\ d '' x'y z'w  A="$two" """, VALUES) == ["x y", "a b", "c d", "", "xy zw", "A=x y"]


def test_another_escape_character() -> None:
    """With escape=` a backslash is a letter."""
    assert expand(r"C:\x `$a", VALUES, "`") == r"C:\x $a"


def test_a_heredoc_keeps_its_quotes() -> None:
    """Only variables are replaced in it."""
    assert expand(r"""'$a' "x" \$a \n""", VALUES, keeps_quotes=True) == r"""'value' "x" $a \n"""


def test_depth_has_a_bound() -> None:
    """Words in words in words are refused, not a crash of Python's stack."""
    with pytest.raises(VariableError, match="nested too deeply"):
        expand("${n:-" * 1000 + "x" + "}" * 1000, {})


PIECES = [
    "$a",
    "${e:-d}",
    "${p#*l}",
    "${p##*l}",
    "${p%l*}",
    "${p%%l*}",
    "${n-x}",
    "${a:+y}",
    '"$a b"',
    "'$a'",
    "z",
    "/",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6))
def test_it_is_what_a_shell_makes_of_it(pieces: list[str]) -> None:
    """The POSIX forms have the value that sh gives them."""
    text = "".join(pieces)
    script = "a=value; e=; p=/usr/local/lib.tar.gz; printf %s " + (text if '"' in text or "'" in text else f'"{text}"')
    assert (
        expand(text, VALUES) == subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    )
