"""The kernel's structures, to the byte, and the errors of its calls."""

from __future__ import annotations

import ctypes
import os

import pytest

from tinybox import explain
from tinybox.errors import HostError, SyscallError
from tinybox.linux import abi, capability, mount, process
from tinybox.linux.filesystem import files


@pytest.mark.parametrize(
    ("structure", "size"),
    [
        (process.CloneArgs, 88),
        (mount.MountAttr, 32),
        (files.OpenHow, 24),
        (capability.Header, 8),
        (capability.Data, 12),
    ],
)
def test_structures_have_the_kernels_size(structure: type[ctypes.Structure], size: int) -> None:
    """Each structure has the size of the kernel's headers."""
    assert ctypes.sizeof(structure) == size


def test_clone_args_has_cgroup_at_80() -> None:
    """The field of CLONE_INTO_CGROUP, the last of Linux 5.7, begins at byte 80."""
    assert process.CloneArgs.cgroup.offset == 80
    assert process.CloneArgs.exit_signal.offset == 32


def test_pivot_root_has_another_number_on_each_machine() -> None:
    """The table has both machines' numbers, and a third machine is a clear error."""
    assert (abi.number("pivot_root", "x86_64"), abi.number("pivot_root", "aarch64")) == (155, 41)
    with pytest.raises(HostError, match=r"machine riscv64: its system call numbers are not known"):
        abi.number("pivot_root", "riscv64")


def test_numbers_are_those_of_the_machines_own_headers() -> None:
    """Every number in the table is that of this machine's seccomp table."""
    from tinybox.linux import syscalls

    numbers = syscalls.numbers_of(os.uname().machine)
    assert {name: abi.number(name) for name in abi.NUMBERS} == {name: numbers[name] for name in abi.NUMBERS}


def test_a_refusal_is_python_s_own_oserror() -> None:
    """ENOENT of a call is caught as FileNotFoundError, and names the call."""
    with pytest.raises(FileNotFoundError) as caught:
        files.openat2(mount.AT_FDCWD, b"/no/such/file", os.O_RDONLY, 0)
    assert isinstance(caught.value, SyscallError)
    assert str(caught.value) == "openat2: No such file or directory [ENOENT]"


def test_listeners_get_each_call_with_its_result() -> None:
    """A successful call is reported to a listener once, with its arguments and its result."""
    heard: list[tuple[str, object]] = []
    explain.listeners.append(lambda name, arguments, result, begun: heard.append((name, result)))  # noqa: ARG005
    try:
        fd = files.openat2(mount.AT_FDCWD, b"/", os.O_PATH, 0)
    finally:
        explain.listeners.clear()
    os.close(fd)
    assert heard == [("openat2", fd)]


def test_capget_agrees_with_proc() -> None:
    """The three sets are those that /proc/self/status shows."""
    with open("/proc/self/status", encoding="ascii") as file:
        shown = dict(line.split(":", 1) for line in file)
    sets = [int(shown[name], 16) for name in ("CapEff", "CapPrm", "CapInh")]
    assert list(capability.capget()) == sets
