"""The words of tinybox-oci are read as runc reads its own: long or short, with = or without, up to the program."""

from __future__ import annotations

import pytest

from tinybox.errors import UsageError
from tinybox.oci import VERBS as ACTS
from tinybox.oci.words import VERBS, options, parse, usage


@pytest.mark.parametrize(
    "line",
    [
        "--root /r create --bundle /b --pid-file /p box",
        "--root=/r create -b /b --pid-file=/p box",
        "-root /r create box --bundle=/b -pid-file /p",
        "--root /x --root /r create -b=/b --pid-file /p -- box",
    ],
)
def test_many_spellings_are_one(line: str) -> None:
    """Values may follow = or a space, one dash or two; options may follow the id; the last one counts."""
    words = parse(line.split())
    assert (words.root(), words.verb, words.arguments) == ("/r", "create", ["box"])
    assert (words.value("bundle"), words.value("pid-file"), words.number("preserve-fds")) == ("/b", "/p", 0)


def test_a_program_keeps_its_options() -> None:
    """Behind the id of `exec` nothing is ours any more."""
    words = parse("exec -t -e A=1 --env B=2 box ls -l --tty=no -- x".split())
    assert words.arguments == ["box", "ls", "-l", "--tty=no", "--", "x"]
    assert (words.flags, words.values["env"]) == ({"tty"}, ["A=1", "B=2"])


def test_flags_have_values_too() -> None:
    """A flag may be said to be true or false; another word is refused."""
    assert parse("delete --force=true box".split()).flags == {"force"}
    assert parse("delete --force=false box".split()).flags == set()
    with pytest.raises(UsageError, match="neither true nor false"):
        parse("delete --force=perhaps box".split())


@pytest.mark.parametrize("line", ["", "nosuch", "start", "start a b", "start --nosuch a", "create --bundle", "--log"])
def test_what_means_nothing_is_refused(line: str) -> None:
    """A verb or an id that is missing, a word too many, an unknown option, a value that is not there."""
    with pytest.raises(UsageError):
        parse(line.split())


def test_every_verb_is_done_and_explained() -> None:
    """The table of words and the table of what is done have the same verbs; help names each option of each."""
    assert set(VERBS) == set(ACTS)
    for verb, told in VERBS.items():
        said = usage(verb)
        assert told.says in said
        assert all(f"--{name}" in said for name, _ in options(told.options).values())
        assert "help" in parse([verb, "--help"]).flags
