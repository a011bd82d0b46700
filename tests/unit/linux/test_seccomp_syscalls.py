"""The tables of system call numbers agree with the kernel's own headers and with the rest of tinybox."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tinybox.linux import abi
from tinybox.linux.syscalls import X32_SYSCALL_BIT, numbers_of

HEADERS = Path("/usr/include/x86_64-linux-gnu/asm")
GENERIC = Path("/usr/include/asm-generic/unistd.h")  # aarch64 uses these numbers, and any header package has them
TIME64 = range(403, 424)  # for machines of 32 bits: the calls with times after 2038
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


def generic() -> dict[str, int]:
    """Return name: number of the generic table for 64 bits; the names of a few calls are only at its end."""
    if not GENERIC.exists():
        pytest.skip(f"{GENERIC} is not installed (apt install linux-libc-dev)")
    text = GENERIC.read_text()
    numbers = {name: int(number) for name, number in re.findall(r"#define __NR(\w+) (\d+)", text)}
    wide = text[text.index("#if __BITS_PER_LONG == 64 &&") :].partition("#else")[0]
    found = {name[1:]: number for name, number in numbers.items() if name[0] == "_" and number not in TIME64}
    others = re.findall(r"#define __NR_(\w+) __NR(3264_\w+)", wide)
    return found | {name: numbers[other] for name, other in others if other in numbers}


def test_the_table_of_aarch64_is_the_generic_one() -> None:
    """Every call of the generic table has the same number here, except for two marks and a call that aarch64 lacks."""
    theirs, ours = generic(), numbers_of("aarch64")
    for name in ("syscalls", "arch_specific_syscall", "sync_file_range2"):
        del theirs[name]
    assert len(theirs) > 290
    assert {name: ours.get(name) for name in theirs} == theirs


def test_aarch64_has_no_old_calls() -> None:
    """A call that a newer one replaces never had a number there, so a profile must not rely on it."""
    old = "access dup2 epoll_wait fork mkdir open pipe poll rename rmdir select stat unlink vfork".split()
    assert not set(old) & set(numbers_of("aarch64"))
    assert set(old) <= set(numbers_of("x86_64"))


@pytest.mark.parametrize("machine", abi.MACHINES)
def test_the_table_agrees_with_abi(machine: str) -> None:
    """The few numbers of linux/abi.py are the same as here."""
    assert {name: numbers_of(machine)[name] for name in abi.NUMBERS} == {
        name: abi.number(name, machine) for name in abi.NUMBERS
    }


def test_new_calls_have_one_number_everywhere() -> None:
    """From 424 on all machines use the same numbers, up to the newest known here."""
    tables = [numbers_of(machine) for machine in ("x86_64", "i386", "aarch64")]
    new = [{name: number for name, number in table.items() if number >= 424} for table in tables]
    assert new[0] == new[1] == new[2]
    assert new[0]["removexattrat"] == 466


@pytest.mark.parametrize("architecture", ["x86_64", "x32", "i386", "aarch64"])
def test_no_number_is_used_twice(architecture: str) -> None:
    """Each number is one call."""
    table = numbers_of(architecture)
    assert len(set(table.values())) == len(table)
