"""The tables of system call numbers agree with the kernel's own headers and with the rest of tinybox."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tinybox.linux import abi
from tinybox.linux.syscalls import X32_SYSCALL_BIT, numbers_of

HEADERS = Path("/usr/include/x86_64-linux-gnu/asm")
DEFINITION = re.compile(r"#define __NR_(\w+) \(?(__X32_SYSCALL_BIT \+ )?(\d+)\)?")


@pytest.mark.parametrize(("architecture", "header"), [("x86_64", "64"), ("i386", "32"), ("x32", "x32")])
def test_the_table_is_that_of_the_headers(architecture: str, header: str) -> None:
    """Every call of the installed headers has the same number here."""
    path = HEADERS / f"unistd_{header}.h"
    if not path.exists():
        pytest.skip(f"{path} is not installed (apt install linux-libc-dev)")
    theirs = {
        name: int(number) | X32_SYSCALL_BIT * bool(bit) for name, bit, number in DEFINITION.findall(path.read_text())
    }
    ours = numbers_of(architecture)
    assert len(theirs) > 300
    assert {name: ours.get(name) for name in theirs} == theirs


@pytest.mark.parametrize("machine", abi.MACHINES)
def test_the_table_agrees_with_the_one_door(machine: str) -> None:
    """The few numbers of linux/abi.py are the same as here."""
    assert {name: numbers_of(machine)[name] for name in abi.NUMBERS} == {
        name: abi.number(name, machine) for name in abi.NUMBERS
    }


def test_new_calls_have_one_number_everywhere() -> None:
    """From 424 on all machines count alike, up to the newest that is known here."""
    tables = [numbers_of(machine) for machine in ("x86_64", "i386", "aarch64")]
    new = [{name: number for name, number in table.items() if number >= 424} for table in tables]
    assert new[0] == new[1] == new[2]
    assert new[0]["removexattrat"] == 466


@pytest.mark.parametrize("architecture", ["x86_64", "x32", "i386", "aarch64"])
def test_no_number_is_given_twice(architecture: str) -> None:
    """Each number is one call."""
    table = numbers_of(architecture)
    assert len(set(table.values())) == len(table)
