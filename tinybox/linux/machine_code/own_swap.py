"""Own swap: a process that only waits moves its memory to a file, and waits without it; see mmap(2) and poll(2).

It writes its memory to a file, and maps the file in its place: none of it is in use then, until the process goes on.
The kernel can drop pages of a file and read them again, as it does with swap space. The process goes on as before: what
it reads comes from the file, and what it writes becomes a page of its own, by copy-on-write. No other process can open
the file: it has no name, and it ends with the process.
"""

from __future__ import annotations

import ctypes
import os
import struct

from tinybox.linux.filesystem import files
from tinybox.linux.machine_code import own_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 32 << 20  # bytes; a process with more memory keeps it
LEFT = 256 << 20  # bytes that are free on the disk: the last ones are not for this
_ROW = struct.Struct("<QQQQ")  # address, length, offset in the file, PROT_READ | PROT_WRITE
_POLLFD = struct.Struct("<ihh")  # fd, events, and the events that have happened
_TIMESPEC = struct.Struct("<QQ")  # seconds, nanoseconds
_PROTECTION = 3
IN_MEMORY = (0x01021994, 0x858458F6)  # TMPFS_MAGIC and RAMFS_MAGIC of statfs(2): such a file is memory, too


def wait(folder: str, events: Iterable[tuple[int, int]], milliseconds: float | None) -> bool:
    """Move this process's memory, except its stack, to a file in *folder*, and wait for one of the *events*; poll(2).

    Each event is a file descriptor and a mask. With None, the wait has no limit. Return whether the memory was moved:
    if the kernel or the file system refuses it, if it is more than MOST, or if the disk has less than LEFT, return at
    once. No other thread may run.
    """
    try:
        fd = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        disk = os.fstatvfs(fd)
        if files.file_system(fd) in IN_MEMORY or disk.f_bavail * disk.f_frsize < LEFT:
            return False
        return _wait(fd, events, milliseconds)
    except OSError:
        return False
    finally:
        os.close(fd)


def _wait(fd: int, events: Iterable[tuple[int, int]], milliseconds: float | None) -> bool:
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        found = areas(file.read())
    if sum(end - start for start, end in found) > MOST:
        return False
    code, polled = program(), [_POLLFD.pack(number, mask, 0) for number, mask in events]
    room = (len(found) + 1) * _ROW.size + len(polled) * _POLLFD.size + _TIMESPEC.size
    table = own_code.put(code, room)
    try:
        data = _table(found, table, polled, milliseconds)
        ctypes.memmove(table, data, len(data))
        stopped: int = own_code.call(table, fd)
    finally:
        own_code.remove(code, room)
    return stopped == table + len(found) * _ROW.size


def _table(found: list[tuple[int, int]], place: int, polled: list[bytes], milliseconds: float | None) -> bytes:
    """Return the table for `program`, which will be at the address *place*, and behind it what poll(2) needs."""
    rows, size = [], 0
    for start, end in found:
        rows.append(_ROW.pack(start, end - start, size, _PROTECTION))
        size += end - start
    behind = place + (len(found) + 1) * _ROW.size
    limit = behind + len(polled) * _POLLFD.size if milliseconds is not None else 0
    seconds, rest = divmod(int((milliseconds or 0) * 1_000_000), 1_000_000_000)
    return b"".join([*rows, _ROW.pack(behind, 0, len(polled), limit), *polled, _TIMESPEC.pack(seconds, rest)])


def areas(maps: str) -> list[tuple[int, int]]:
    """Return the start and the end of each private area that can be written, but the stack; see proc_pid_maps(5)."""
    found = []
    for line in maps.splitlines():
        place, mode, *_ = line.split(" ", 2)
        if mode == "rw-p" and not line.endswith("[stack]"):
            start, _, end = place.partition("-")
            found.append((int(start, 16), int(end, 16)))
    return found


def program(machine: str = "") -> bytes:
    """Return the code for *machine* (default: this one), a function of two arguments: a table, and the fd of a file.

    Each row of the table is an address, a length, an offset in the file, and a protection. For each one, the code
    writes the memory to the file, and maps the file there; see pwrite(2) and mmap(2). Between the two calls it changes
    no memory, so nothing is lost; only the kernel may write meanwhile on which processor it runs, see rseq(2), and
    will again. In the last row the length is 0, and the other three numbers are what ppoll(2) gets: the address of
    what to wait for, how many there are, and the address of the limit. The code returns the address of that row, or of
    the one at which it has stopped.
    """
    return {"x86_64": _x86_64, "aarch64": _aarch64}[machine or os.uname().machine]()


_X86_64 = (
    "53                ",  # push rbx
    "55                ",  # push rbp
    "48 89 fb          ",  # mov rbx, rdi                   the row
    "89 f5             ",  # mov ebp, esi                   the fd
    "48 8b 33          ",  # next: mov rsi, [rbx]           its address
    "48 8b 53 08       ",  # mov rdx, [rbx + 8]             its length
    "48 85 d2          ",  # test rdx, rdx
    "74 3d             ",  # jz wait
    "4c 8b 53 10       ",  # mov r10, [rbx + 16]            its offset
    "89 ef             ",  # mov edi, ebp
    "b8 12 00 00 00    ",  # mov eax, SYS_pwrite64
    "0f 05             ",  # syscall
    "48 3b 43 08       ",  # cmp rax, [rbx + 8]
    "75 45             ",  # jne end                        an error, or no more room
    "48 8b 3b          ",  # mov rdi, [rbx]
    "48 8b 73 08       ",  # mov rsi, [rbx + 8]
    "48 8b 53 18       ",  # mov rdx, [rbx + 24]            its protection
    "41 ba 12 00 00 00 ",  # mov r10d, MAP_PRIVATE | MAP_FIXED
    "41 89 e8          ",  # mov r8d, ebp
    "4c 8b 4b 10       ",  # mov r9, [rbx + 16]
    "b8 09 00 00 00    ",  # mov eax, SYS_mmap
    "0f 05             ",  # syscall
    "48 3b 03          ",  # cmp rax, [rbx]
    "75 21             ",  # jne end
    "48 83 c3 20       ",  # add rbx, 32
    "eb b7             ",  # jmp next
    "48 8b 3b          ",  # wait: mov rdi, [rbx]           what to wait for
    "48 8b 73 10       ",  # mov rsi, [rbx + 16]            how many there are
    "48 8b 53 18       ",  # mov rdx, [rbx + 24]            the limit
    "45 31 d2          ",  # xor r10d, r10d                 with the same signal mask
    "41 b8 08 00 00 00 ",  # mov r8d, 8
    "b8 0f 01 00 00    ",  # mov eax, SYS_ppoll
    "0f 05             ",  # syscall
    "48 89 d8          ",  # end: mov rax, rbx
    "5d                ",  # pop rbp
    "5b                ",  # pop rbx
    "c3                ",  # ret
)


def _x86_64() -> bytes:
    """Return the code for x86-64; see syscall(2) for the registers."""
    return bytes.fromhex("".join(_X86_64))


def _aarch64() -> bytes:
    """Return the code for aarch64, the same steps, 32 bits for each instruction; see syscall(2) for the registers."""
    call = 0xD4000001  # svc #0
    instructions = (
        0xAA0003E9,  # mov x9, x0                           the row
        0x2A0103EA,  # mov w10, w1                          the fd
        0xF9400121,  # next: ldr x1, [x9]                   its address
        0xF9400522,  # ldr x2, [x9, #8]                     its length
        0xB40002A2,  # cbz x2, wait
        0xF9400923,  # ldr x3, [x9, #16]                    its offset
        0x2A0A03E0,  # mov w0, w10
        0xD2800888,  # mov x8, SYS_pwrite64
        call,
        0xF9400522,  # ldr x2, [x9, #8]
        0xEB02001F,  # cmp x0, x2
        0x540002A1,  # b.ne end                             an error, or no more room
        0xF9400120,  # ldr x0, [x9]
        0xF9400521,  # ldr x1, [x9, #8]
        0xF9400D22,  # ldr x2, [x9, #24]                    its protection
        0xD2800243,  # mov x3, MAP_PRIVATE | MAP_FIXED
        0x2A0A03E4,  # mov w4, w10
        0xF9400925,  # ldr x5, [x9, #16]
        0xD2801BC8,  # mov x8, SYS_mmap
        call,
        0xF9400121,  # ldr x1, [x9]
        0xEB01001F,  # cmp x0, x1
        0x54000141,  # b.ne end
        0x91008129,  # add x9, x9, #32
        0x17FFFFEA,  # b next
        0xF9400120,  # wait: ldr x0, [x9]                   what to wait for
        0xF9400921,  # ldr x1, [x9, #16]                    how many there are
        0xF9400D22,  # ldr x2, [x9, #24]                    the limit
        0xD2800003,  # mov x3, 0                            with the same signal mask
        0xD2800104,  # mov x4, 8
        0xD2800928,  # mov x8, SYS_ppoll
        call,
        0xAA0903E0,  # end: mov x0, x9
        0xD65F03C0,  # ret
    )
    return struct.pack(f"<{len(instructions)}I", *instructions)
