"""The trampoline: how it executes the program, and its report when execve(2) fails."""

from __future__ import annotations

import fcntl
import os
import struct

import pytest

from tinybox.linux import trampoline


def executed(path: str, args: list[str], *, report: bool = True) -> tuple[bytes, bytes, int]:
    """Execute *path* by a trampoline; return its output, the trampoline's report, and the exit status."""
    out, printed = os.pipe()
    heard, told = os.pipe()
    fd = trampoline.make(told)
    pid = os.fork()
    if pid == 0:
        os.dup2(printed, 1)
        os.set_inheritable(told, report)
        trampoline.execute(fd, path, args, {"WORD": "said"})
    os.close(printed)
    os.close(told)
    os.close(fd)
    with open(out, "rb") as stdout, open(heard, "rb") as pipe:
        said, refusal = stdout.read(), pipe.read()
    return said, refusal, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_arguments_and_environment_are_passed_on() -> None:
    """The program gets its own name, its arguments and its variables, and no trace of the trampoline."""
    script = 'echo "$0|$1|$2|$WORD"; ls /proc/self/fd | wc -w; exit 5'
    said, refusal, status = executed("/bin/sh", ["a name", "-c", script, "zero", "a b", ""])
    assert (said.splitlines()[0], refusal, status) == (b"zero|a b||said", b"", 5)


def test_a_refusal_is_reported_by_its_number() -> None:
    """The errno of execve(2) and a newline; without a report pipe, as after a second trampoline, it just ends."""
    assert executed("/no/such", ["x"])[1:] == (b"\x02\n", trampoline.FAILED)
    assert executed("/etc", ["x"])[1:] == (b"\x0d\n", trampoline.FAILED)
    assert executed("/bin/sh", ["sh", "-c", "exit 5"], report=False) == (b"", b"", trampoline.FAILED)


def test_it_cannot_be_changed() -> None:
    """All seals are set: it can be neither written to, nor enlarged, nor cut, nor unsealed; the control has none."""
    fd = trampoline.make(1)
    with pytest.raises(PermissionError):
        os.pwrite(fd, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
    with pytest.raises(PermissionError):
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    os.close(fd)
    control = os.memfd_create("control")
    assert os.pwrite(control, b"x", 0) == 1
    os.close(control)


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_it_is_an_elf_file_of_its_machine(machine: str, number: int) -> None:
    """The header names the machine, and one segment that can be read and executed, as long as the file."""
    program = trampoline.program(7, machine)
    assert program[:5] == b"\x7fELF\x02"
    assert struct.unpack_from("<HH", program, 16) == (2, number)
    kind, flags, _, start, _, size, _, _ = struct.unpack_from("<IIQQQQQQ", program, 64)
    assert (kind, flags, size) == (1, 5, len(program))
    assert struct.unpack_from("<Q", program, 24) == (start + 120,)
