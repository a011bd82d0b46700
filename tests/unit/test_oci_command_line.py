"""The arguments of tinybox-oci are parsed as by runc: long or short, with = or without, up to the program."""

from __future__ import annotations

import pytest

from tinybox.errors import UsageError
from tinybox.linux import user_namespaces
from tinybox.oci import VERBS as ACTS
from tinybox.oci import usage as usage_of
from tinybox.oci.command_line import DEFAULT_ROOT, VERBS, options, parse, usage


@pytest.mark.parametrize(
    "line",
    [
        "--root /r create --bundle /b --pid-file /p box",
        "--root=/r create -b /b --pid-file=/p box",
        "-root /r create box --bundle=/b -pid-file /p",
        "--root /x --root /r create -b=/b --pid-file /p -- box",
    ],
)
def test_several_spellings_are_one(line: str) -> None:
    """A value may follow = or a space, one dash or two; options may follow the id; the last one counts."""
    words = parse(line.split())
    assert (words.root(), words.verb, words.arguments) == ("/r", "create", ["box"])
    assert (words.value("bundle"), words.value("pid-file"), words.number("preserve-fds")) == ("/b", "/p", 0)


def test_the_records_of_a_user_without_root_are_in_its_runtime_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As runc's: in XDG_RUNTIME_DIR if this is a user namespace, or with --rootless=true; --root comes first."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/live")
    assert parse(["--rootless=true", "list"]).root() == "/live/tinybox-oci"
    assert parse(["--rootless", "false", "list"]).root() == DEFAULT_ROOT
    assert parse(["--rootless=true", "--root=/r", "list"]).root() == "/r"
    monkeypatch.setattr(user_namespaces, "planned", True)
    assert parse(["list"]).root() == "/live/tinybox-oci"
    for unusable in ("", "live"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", unusable)
        assert parse(["list"]).root() == DEFAULT_ROOT


def test_a_program_keeps_its_options() -> None:
    """All arguments after the id of `exec` belong to the program."""
    words = parse("exec -t -e A=1 --env B=2 box ls -l --tty=no -- x".split())
    assert words.arguments == ["box", "ls", "-l", "--tty=no", "--", "x"]
    assert (words.flags, words.values["env"]) == ({"tty"}, ["A=1", "B=2"])


@pytest.mark.parametrize("text", ["", "x", "1" * 5000, str(2**64), "\u0663", "\u00b2", "1.5", "--1"])
def test_an_invalid_number_is_named(text: str) -> None:
    """A number is whole, decimal, and of at most 64 bits: any other value is one line with the option's name."""
    with pytest.raises(UsageError, match=r"--preserve-fds .*is not a number"):
        parse(["create", f"--preserve-fds={text}", "box"]).number("preserve-fds")
    assert parse(["create", "--preserve-fds=-7", "box"]).number("preserve-fds") == -7


@pytest.mark.parametrize("text", ["", "0s", "500h5", "9" * 5000, "577h", "-5s", "1m30"])
def test_an_interval_is_one_that_can_be_waited_for(text: str) -> None:
    """`events --interval` takes what poll(2) does: 24 days."""
    with pytest.raises(UsageError, match="is no time"):
        usage_of.seconds(text)
    assert (usage_of.seconds("576h"), usage_of.seconds("5")) == (usage_of.LONGEST, 5)
    assert usage_of.seconds("1m30s") == 90  # as runc reads it, whose option it is


def test_flags_have_values_too() -> None:
    """A flag may have the value true or false; any other value is refused."""
    assert parse("delete --force=true box".split()).flags == {"force"}
    assert parse("delete --force=false box".split()).flags == set()
    with pytest.raises(UsageError, match="neither true nor false"):
        parse("delete --force=perhaps box".split())


@pytest.mark.parametrize("line", ["", "nosuch", "start", "start a b", "start --nosuch a", "create --bundle", "--log"])
def test_invalid_arguments_are_refused(line: str) -> None:
    """A missing verb or id, an argument too many, an unknown option, a missing value."""
    with pytest.raises(UsageError):
        parse(line.split())


def test_every_verb_is_implemented_and_explained() -> None:
    """The table of options and the table of implementations have the same verbs; help names each option of each."""
    assert set(VERBS) == set(ACTS)
    for verb, told in VERBS.items():
        said = usage(verb)
        assert told.help in said
        assert all(f"--{name}" in said for name, _ in options(told.options).values())
        assert "help" in parse([verb, "--help"]).flags
