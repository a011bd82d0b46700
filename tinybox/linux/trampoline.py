"""Trampoline: a machine-code program of 200 bytes that executes the container's program, so that Python never does.

While a process calls execve(2), /proc/self/exe is the file that this process runs. So a script of the container that
begins with ``#!/proc/self/exe`` would run the host's Python again, with the container's dynamic loader; and the
container could then open the host's Python for writing (CVE-2019-5736). So tinybox's Python never executes a file of a
container. It executes this program, which is in sealed memory, and this program executes the file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from tinybox.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

FAILED = 127  # the exit status of a trampoline whose execve(2) was refused

_BASE = 0x400000  # the address of the program in memory, the linker's usual one
_HEADERS = 64 + 56  # one ELF header, one program header
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_MFD_EXEC = 0x10  # the file may be executed, Linux 6.3; see memfd_create(2)


def make(report: int) -> int:
    """Return an fd of a new trampoline in sealed memory, which writes an error to the fd *report*; memfd_create(2).

    HostError: the host forbids to execute memory files (sysctl vm.memfd_noexec).
    """
    try:
        try:
            fd = os.memfd_create("tinybox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | _MFD_EXEC)
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: a kernel before 6.3, where all of them may be executed
                raise
            fd = os.memfd_create("tinybox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except PermissionError as error:
        raise HostError("vm.memfd_noexec", "no memory file may be executed", "sysctl vm.memfd_noexec=1") from error
    os.write(fd, program(report))
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    return fd


def execute(trampoline: int | str, path: str, args: list[str], env: dict[str, str]) -> NoReturn:
    """Execute the *trampoline*, an fd or a path of it, which executes *path*; see execveat(2), AT_EMPTY_PATH.

    OSError: the trampoline itself cannot be executed. If *path* cannot be, the trampoline writes to its report fd, see
    `program`.
    """
    os.execve(trampoline, [path, *args], env)


def program(report: int, machine: str = "") -> bytes:
    """Return the trampoline for *machine* (default: this one) as an ELF file; see elf(5).

    Its arguments are the path and then the arguments of the program to execute; its environment is the program's.
    It marks the fd *report* as close-on-exec, and calls execve(2). If that is refused, it writes the errno as one byte
    and a newline to *report*, and exits with FAILED. If *report* is closed already, it exits with FAILED at once: then
    a script with the interpreter /proc/self/exe has executed the trampoline again.
    """
    machine = machine or os.uname().machine
    number, code = {"x86_64": (62, _x86_64), "aarch64": (183, _aarch64)}[machine]
    text = code(report)
    size = _HEADERS + len(text)
    return (
        struct.pack("<4sBBB9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 2, number, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1,
                    0, 0, 0)
        + struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)
        + text
    )  # fmt: skip


def _x86_64(report: int) -> bytes:
    """Return the code for x86-64; see syscall(2) for the registers. The stack starts with argc and the arguments."""
    fd = struct.pack("<I", report).hex()
    lines = (
        f"bf {fd}          ",  # mov edi, report
        "be 02 00 00 00    ",  # mov esi, F_SETFD
        "ba 01 00 00 00    ",  # mov edx, FD_CLOEXEC
        "b8 48 00 00 00    ",  # mov eax, SYS_fcntl
        "0f 05             ",  # syscall
        "85 c0             ",  # test eax, eax
        "74 0c             ",  # jz execute
        "83 f8 f7          ",  # cmp eax, -EBADF
        "74 3d             ",  # je end                         it was executed by a #!/proc/self/exe script
        "b8 03 00 00 00    ",  # mov eax, SYS_close             a seccomp filter refused fcntl: do without a report
        "0f 05             ",  # syscall
        "48 8b 7c 24 08    ",  # execute: mov rdi, [rsp + 8]    the path
        "48 8d 74 24 10    ",  # lea rsi, [rsp + 16]            the arguments
        "48 8b 0c 24       ",  # mov rcx, [rsp]                 their number, with the path
        "48 8d 54 cc 10    ",  # lea rdx, [rsp + rcx * 8 + 16]  the environment, behind them and a zero
        "b8 3b 00 00 00    ",  # mov eax, SYS_execve
        "0f 05             ",  # syscall
        "f7 d8             ",  # neg eax               execve returns only -errno
        "0d 00 0a 00 00    ",  # or eax, '\n' << 8
        "50                ",  # push rax
        f"bf {fd}          ",  # mov edi, report
        "48 89 e6          ",  # mov rsi, rsp
        "ba 02 00 00 00    ",  # mov edx, 2
        "b8 01 00 00 00    ",  # mov eax, SYS_write
        "0f 05             ",  # syscall
        "bf 7f 00 00 00    ",  # end: mov edi, FAILED
        "b8 e7 00 00 00    ",  # mov eax, SYS_exit_group
        "0f 05             ",  # syscall
    )
    return bytes.fromhex("".join(lines))


def _aarch64(report: int) -> bytes:
    """Return the code for aarch64, the same steps, 32 bits for each instruction; see syscall(2) for the registers."""
    call = 0xD4000001  # svc #0

    def put(register: int, value: int) -> int:  # movz wREGISTER, #value
        return 0x52800000 | value << 5 | register

    instructions = (
        put(0, report), put(1, 2), put(2, 1), put(8, 25), call,  # fcntl(report, F_SETFD, FD_CLOEXEC)
        0x340000C0,  # cbz w0, execute
        0x3100241F, 0x54000260,  # cmn w0, #EBADF; b.eq end
        put(0, report), put(8, 57), call,  # close(report)
        0xF94003E3,  # execute: ldr x3, [sp]      the number of arguments, with the path
        0xF94007E0,  # ldr x0, [sp, #8]           the path
        0x910043E1,  # add x1, sp, #16            the arguments
        0x8B030C22,  # add x2, x1, x3, lsl #3     the environment
        put(8, 221), call,  # execve
        0x4B0003E0,  # neg w0, w0
        0x52814001,  # mov w1, '\n' << 8
        0x2A010000,  # orr w0, w0, w1
        0xF81F0FE0,  # str x0, [sp, #-16]!
        put(0, report), 0x910003E1, put(2, 2), put(8, 64), call,  # write(report, sp, 2)
        put(0, FAILED), put(8, 94), call,  # end: exit_group(FAILED)
    )  # fmt: skip
    return struct.pack(f"<{len(instructions)}I", *instructions)
