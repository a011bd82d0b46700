"""The calls that are told are those that this machine's kernel gets, and they are written as in C."""

from __future__ import annotations

import os

import pytest

from tinybox.linux.syscalls import numbers_of
from tinybox.seeing.decoding import decode, manual
from tinybox.seeing.interpreter import FUNCTIONS, REPLACED, real_call

CALLS = [call for _, _, call in FUNCTIONS if call != "fork"]  # which Python asks of libc, which makes a clone(2)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_each_call_that_is_told_exists_there(machine: str) -> None:
    """A machine is never said to have been asked for what it has no number for."""
    assert {real_call(call, {}, machine) for call in CALLS} <= numbers_of(machine).keys()


def test_without_the_newer_names_it_would_not() -> None:
    """The control: aarch64 lacks those that are replaced, and x86-64 is told as it is."""
    assert not REPLACED.keys() & numbers_of("aarch64").keys()
    assert [real_call(call, {}, "x86_64") for call in REPLACED] == list(REPLACED)
    assert real_call("rmdir", {"dir_fd": 5}, "x86_64") == "unlinkat"


def test_this_machine_is_the_one_that_is_meant() -> None:
    """Without a word the machine is the one that runs."""
    assert {real_call(call, {}) for call in CALLS} <= numbers_of(os.uname().machine).keys()


@pytest.mark.parametrize(
    ("call", "raw", "shown", "page"),
    [
        ("unlinkat", [b"/run/box", {}], ["AT_FDCWD", '"/run/box"', "AT_REMOVEDIR"], "unlink(2)"),
        ("unlinkat", [b"box", {"dir_fd": 5}], ["5", '"box"', "AT_REMOVEDIR"], "unlink(2)"),
        ("renameat", [b"a.new", b"a", {}], ["AT_FDCWD", '"a.new"', "AT_FDCWD", '"a"'], "rename(2)"),
        ("dup3", [7, 1, {}], ["7", "1", "0"], "dup(2)"),
    ],
)
def test_the_newer_calls_are_written_as_in_c(call: str, raw: list[object], shown: list[str], page: str) -> None:
    """The kernel's order, with the words that Python leaves out, and the page of the manual."""
    assert (decode(call, raw), manual(call)) == (shown, page)
