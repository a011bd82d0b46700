"""The detach keys: how they are written, and how they are found in the input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tinybox.container.monitor import attach_protocol
from tinybox.container.monitor.attach import AttachSession
from tinybox.container.process.detaching import key_bytes
from tinybox.container.records.paths import Paths
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def visit() -> Iterator[tuple[AttachSession, list[bytes]]]:
    """Give an attach client on a terminal, and a list of the packets that it sends."""
    ours, theirs = attach_protocol.pair()
    it = AttachSession(Paths("/nowhere"), "id", ours, terminal_inside=True, keys="ctrl-p,ctrl-q")
    sent: list[bytes] = []
    it.say = sent.append  # type: ignore[method-assign, assignment]
    yield it, sent
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-a,x", b"\x01x"),
        ("ctrl-@", b"\0"),
        ("ctrl-[", b"\x1b"),
        ("DEL,ctrl-_", b"\x7f\x1f"),
    ],
)
def test_keys(text: str, keys: bytes) -> None:
    """A letter is itself, ctrl- and a letter its control character."""
    assert key_bytes(text) == keys


@pytest.mark.parametrize("text", ["", "ctrl-", "ab", "ctrl-ab", "alt-x", "a,,b", "ctrl-1"])
def test_no_keys(text: str) -> None:
    """An invalid key is an error."""
    with pytest.raises(UsageError):
        key_bytes(text)


def test_the_keys_detach_in_one_piece_and_in_two(visit: tuple[AttachSession, list[bytes]]) -> None:
    """Input before the keys is sent, the keys are not, whether they arrive at once or one by one."""
    it, sent = visit
    assert not it.type(b"before\x10\x11after")
    assert sent == [b"ibefore"]
    it.keys.held = b""
    assert it.type(b"\x10")
    assert not it.type(b"\x11")
    assert sent == [b"ibefore"]


def test_half_of_the_keys_is_input(visit: tuple[AttachSession, list[bytes]]) -> None:
    """The first key alone is held back; another key after it, or the end of input, sends both."""
    it, sent = visit
    assert it.type(b"x\x10")
    assert it.type(b"y")
    assert it.type(b"\x10")
    assert it.type(b"")
    assert sent == [b"ix", b"i\x10y", b"i\x10", attach_protocol.END]


def test_without_a_terminal_every_byte_is_input(visit: tuple[AttachSession, list[bytes]]) -> None:
    """The control: without a terminal inside, the keys are bytes like any others."""
    it, sent = visit
    it.terminal_inside = False
    assert it.type(b"\x10\x11")
    assert sent == [b"i\x10\x11"]
