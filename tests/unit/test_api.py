"""tinybox.run() from Python: what it cannot do it refuses, before anything is made; no option is passed over."""

from __future__ import annotations

from typing import Any

import pytest

import tinybox
from tinybox.container import launch
from tinybox.errors import UsageError


@pytest.mark.parametrize("key", launch.AT_A_TERMINAL)
def test_what_the_command_line_alone_does_is_refused(key: str) -> None:
    """Each of these options would have no effect, so it is an error that names the command's."""
    options: dict[str, Any] = {key: "text"}
    with pytest.raises(UsageError, match=f"{key}: is for the command line only .*--{key.replace('_', '-')}"):
        tinybox.run("no-such-image", **options)


def test_an_unknown_option_is_refused() -> None:
    """A word that no option has is an error, not a surprise."""
    with pytest.raises(UsageError, match="memroy: is unknown"):
        tinybox.run("no-such-image", memroy="32m")


def test_what_is_off_or_none_is_as_if_it_were_not_given() -> None:
    """The control: the same options, switched off, are no reason to refuse; numbers and single words are as typed."""
    words = launch.normal({"explain": None, "step": False, "memory": 33554432, "volume": "/a:/b", "rm": 1})
    assert words == {"step": False, "memory": "33554432", "volume": ["/a:/b"], "rm": True}
    assert not any(map(words.get, launch.AT_A_TERMINAL))
