"""Reported system calls are those of this machine's kernel, and they are written as in C."""

from __future__ import annotations

import os

import pytest

from tinybox.linux.syscalls import numbers_of
from tinybox.seeing import syscall_format
from tinybox.seeing.decoding import decode, manual
from tinybox.seeing.interpreter import FUNCTIONS, REPLACED, real_call

CALLS = [call for _, _, call in FUNCTIONS if call != "fork"]  # Python calls libc for it, which calls clone(2)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_each_reported_call_exists_there(machine: str) -> None:
    """No machine gets a call in the report that has no number there."""
    assert {real_call(call, {}, machine) for call in CALLS} <= numbers_of(machine).keys()


def test_without_the_newer_names_it_would_not() -> None:
    """The control: aarch64 lacks the replaced calls, and on x86-64 the report is not changed."""
    assert not REPLACED.keys() & numbers_of("aarch64").keys()
    assert [real_call(call, {}, "x86_64") for call in REPLACED] == list(REPLACED)
    assert real_call("rmdir", {"dir_fd": 5}, "x86_64") == "unlinkat"


def test_the_default_is_this_machine() -> None:
    """Without an argument the machine is the one that runs."""
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
    """The kernel's order, with the arguments that Python leaves out, and the page of the manual."""
    assert (decode(call, raw), manual(call)) == (shown, page)


def test_a_real_time_signal_has_a_name() -> None:
    """A real-time signal is named by its distance from the nearer end, as `kill -l` of bash does."""
    names = {15: "SIGTERM", 34: "SIGRTMIN", 37: "SIGRTMIN+3", 61: "SIGRTMAX-3", 64: "SIGRTMAX", 32: "32", 0: "0"}
    assert {number: syscall_format.signal_name(number) for number in names} == names
