"""Programs in memory: a small ELF file in a sealed memory file, which no process can change; see memfd_create(2)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from tinybox.errors import HostError

BASE = 0x400000  # the address of a program in memory, the linker's usual one
HEADERS = 64 + 56  # bytes before the code: one ELF header, one program header
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_MFD_EXEC = 0x10  # the file may be executed, Linux 6.3; see memfd_create(2)
_EXECUTABLE = 0o111  # who executes a file that it may not read is not dumpable, see PR_SET_DUMPABLE in prctl(2)
_MACHINES = {"x86_64": 62, "aarch64": 183}


def elf(machine: str, code: bytes) -> bytes:
    """Return *code*, and data behind it, as an ELF file for *machine*, which begins at the first byte; see elf(5)."""
    size = HEADERS + len(code)
    return (
        struct.pack("<4sBBB9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 2, _MACHINES[machine], 1, BASE + HEADERS, 64, 0, 0,
                    64, 56, 1, 0, 0, 0)
        + struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x10000)
        + code
    )  # fmt: skip


def make(name: str, content: bytes) -> int:
    """Return a close-on-exec fd of a new sealed memory file, which may be executed; see memfd_create(2).

    HostError: the host forbids to execute memory files (sysctl vm.memfd_noexec).
    """
    try:
        try:
            fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | _MFD_EXEC)
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: a kernel before 6.3, where all of them may be executed
                raise
            fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except PermissionError as error:
        raise HostError("vm.memfd_noexec", "no memory file may be executed", "sysctl vm.memfd_noexec=1") from error
    os.write(fd, content)
    os.fchmod(fd, _EXECUTABLE)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    return fd
