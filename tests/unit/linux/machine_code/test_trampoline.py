"""The trampoline: how it executes the program, and its report when execve(2) fails."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct

import pytest

from tinybox.linux import process, seccomp
from tinybox.linux.machine_code import trampoline


def executed(
    path: str, args: list[str], *, report: bool = True, lock: trampoline.Lock | None = None
) -> tuple[bytes, bytes, int]:
    """Execute *path* by a trampoline; return its output, the trampoline's report, and the exit status."""
    out, printed = os.pipe()
    heard, told = os.pipe()
    fd = trampoline.make(told, lock)
    pid = os.fork()
    if pid == 0:
        os.dup2(printed, 1)
        os.set_inheritable(told, report)
        if lock is not None:
            process.set_no_new_privs()
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


def returning(value: int) -> bytes:
    """Return a filter that answers mkdir(2) and mkdirat(2) with *value*, and allows all other calls."""
    number = {"x86_64": (83, 258), "aarch64": (1030, 34)}[os.uname().machine]
    return b"".join([
        seccomp.sock_filter(seccomp.BPF_LD_W_ABS, seccomp.NR),
        seccomp.sock_filter(seccomp.BPF_JEQ_K, number[0], jt=2),
        seccomp.sock_filter(seccomp.BPF_JEQ_K, number[1], jt=1),
        seccomp.sock_filter(seccomp.BPF_RET_K, seccomp.SECCOMP_RET_ALLOW),
        seccomp.sock_filter(seccomp.BPF_RET_K, value),
    ])  # fmt: skip


def test_the_lock_installs_the_filter() -> None:
    """The program has one filter more, and mkdir is refused with its errno; the control has no lock."""
    script = ["sh", "-c", "grep ^Seccomp_filters /proc/self/status; mkdir /tmp 2>&1"]
    refused = trampoline.Lock(-1, returning(seccomp.SECCOMP_RET_ERRNO | errno.EXDEV), 0, None)
    without, within = executed("/bin/sh", script)[0], executed("/bin/sh", script, lock=refused)[0]
    assert b"File exists" in without
    assert os.strerror(errno.EXDEV).encode() in within
    assert int(within.split()[1]) == int(without.split()[1]) + 1


def test_the_lock_waits_at_its_gate() -> None:
    """For eight bytes of an eventfd, which the program does not get; a gate that is closed lets it go on at once."""
    allowed, gate = returning(seccomp.SECCOMP_RET_ALLOW), os.eventfd(0, os.EFD_CLOEXEC)
    heard, told = os.pipe()
    fd = trampoline.make(told, trampoline.Lock(gate, allowed, 0, None))
    pid = os.fork()
    if pid == 0:
        process.set_no_new_privs()
        os.set_inheritable(gate, True)
        os.set_inheritable(told, True)
        trampoline.execute(fd, "/bin/sh", ["sh", "-c", f"test ! -e /proc/self/fd/{gate}"], {"PATH": "/bin:/usr/bin"})
    os.close(told)
    os.close(fd)
    assert select.select([heard], [], [], 0.2)[0] == []  # it waits: its report is still open
    os.eventfd_write(gate, 1)
    assert os.read(heard, 1) == b""
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(heard)
    os.close(gate)


def test_the_lock_ends_with_its_gate() -> None:
    """If PID 1 has ended, whose pipe the gate is, the program does not begin."""
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    os.close(writing)
    lock = trampoline.Lock(reading, returning(seccomp.SECCOMP_RET_ALLOW), 0, None)
    assert executed("/bin/sh", ["sh", "-c", "echo ran"], lock=lock) == (b"", b"", trampoline.FAILED)
    os.close(reading)


def test_a_filter_that_the_kernel_refuses_is_reported() -> None:
    """The errno with the bit UNCONFINED; the program does not run."""
    for program, number in ((b"\xff" * 8, errno.EINVAL), (returning(0) * 1000, errno.EINVAL)):
        lock = trampoline.Lock(-1, program, 0, None)
        said, refusal, status = executed("/bin/sh", ["sh", "-c", "echo ran"], lock=lock)
        assert (said, refusal, status) == (b"", bytes((number | trampoline.UNCONFINED, 10)), trampoline.FAILED)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_lock_is_behind_the_code(machine: str) -> None:
    """The addresses in the code are those of the structures and of the filter in the file."""
    lock = trampoline.Lock(4, returning(0), 0, (1 << 40 | 2, 1 << 33 | 4))
    program = trampoline.program(7, machine, lock)
    address = 0x400000 + len(program) - len(lock.data(0))
    assert program.endswith(lock.data(address))
    count, where = struct.unpack_from("<HxxxxxxQ", program, len(program) - len(lock.data(0)))
    assert (count, program[where - 0x400000 :]) == (5, lock.filter)
    assert struct.unpack_from("<6I", lock.data(address), 24) == (2, 2, 4, 1 << 8, 1 << 8, 2)
