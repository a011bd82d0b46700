"""tinybox.run() from Python: an option without an effect is refused before anything is made."""

from __future__ import annotations

from typing import Any

import pytest

import tinybox
from tinybox.container import python_options
from tinybox.container.process.wait_loop import Ending
from tinybox.errors import UsageError


@pytest.mark.parametrize("key", python_options.AT_A_TERMINAL)
def test_options_of_the_command_line_alone_are_refused(key: str) -> None:
    """Each of these options would have no effect, so the error names the command that has it."""
    options: dict[str, Any] = {key: "text"}
    with pytest.raises(UsageError, match=f"{key}: is for the command line only .*--{key.replace('_', '-')}"):
        tinybox.run("no-such-image", **options)


def test_an_unknown_option_is_refused() -> None:
    """An unknown keyword is an error."""
    with pytest.raises(UsageError, match="memroy: is unknown"):
        tinybox.run("no-such-image", memroy="32m")


def test_options_that_are_off_or_none_count_as_not_given() -> None:
    """The control: the same options, switched off, are accepted; numbers and single values as on the command line."""
    words = python_options.normal({"explain": None, "step": False, "memory": 33554432, "volume": "/a:/b", "rm": 1})
    assert words == {"step": False, "memory": "33554432", "volume": ["/a:/b"], "rm": True}
    assert not any(map(words.get, python_options.AT_A_TERMINAL))


@pytest.mark.parametrize("words", [(["sh", "-c", "true"],), ("sleep", 3), ("cat", None)])
def test_a_command_is_words_one_by_one(words: tuple[Any, ...]) -> None:
    """A list, which other libraries take, a number and None are refused by name, before an image is looked for."""
    with pytest.raises(UsageError, match=r"^command .*: is (list|int|NoneType), not str: each word"):
        tinybox.run("no-such-image", *words)
    with pytest.raises(UsageError, match=r"^command .* is "):
        tinybox.Container.create("no-such-image", *words)


@pytest.mark.parametrize(
    ("ending", "text", "code"),
    [
        (Ending(0), "exit status 0", "Ending(0)"),
        (Ending(3), "exit status 3", "Ending(3)"),
        (Ending(143), "exit status 143: 128 + 15, as after SIGTERM", "Ending(143)"),
        (Ending(128 + 40), "exit status 168: 128 + 40, as after signal 40", "Ending(168)"),
        (Ending(255), "exit status 255", "Ending(255)"),
        (Ending(137, out_of_memory=True), "exit status 137: out of memory", "Ending(137, out_of_memory=True)"),
        (Ending(1, complaint="no log"), "exit status 1: no log", "Ending(1, complaint='no log')"),
    ],
)
def test_an_ending_shows_status_and_cause(ending: Ending, text: str, code: str) -> None:
    """print() says both; repr() is the Python that makes such an ending, without what the program wrote."""
    assert (str(ending), repr(ending)) == (text, code)
