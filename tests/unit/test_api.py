"""tinybox.run() from Python: an option without an effect is refused before anything is made."""

from __future__ import annotations

from typing import Any

import pytest

import tinybox
from tinybox.container import launch
from tinybox.errors import UsageError


@pytest.mark.parametrize("key", launch.AT_A_TERMINAL)
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
    words = launch.normal({"explain": None, "step": False, "memory": 33554432, "volume": "/a:/b", "rm": 1})
    assert words == {"step": False, "memory": "33554432", "volume": ["/a:/b"], "rm": True}
    assert not any(map(words.get, launch.AT_A_TERMINAL))
