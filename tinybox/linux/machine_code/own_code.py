"""Machine code in this process: pages that can be executed but not written, called like a function of C; mprotect(2).

Python cannot give up the memory that it runs in. A few instructions on a page of their own can.
"""

from __future__ import annotations

import ctypes
import os

from tinybox.linux.abi import Syscall

PAGE = os.sysconf("SC_PAGE_SIZE")
PLACE = 0x100000  # the address of the code: the linkers place no program so low
_PROT_READ, _PROT_WRITE, _PROT_EXEC = 1, 2, 4
_MAP_PRIVATE, _MAP_ANONYMOUS, _MAP_FIXED_NOREPLACE = 0x02, 0x20, 0x100000
_RSEQ_LEAST = 32  # bytes of the area that libc registers at least; see rseq(2)

_mmap = Syscall("mmap", ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_mprotect = Syscall("mprotect", ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)
_munmap = Syscall("munmap", ctypes.c_size_t, ctypes.c_size_t)


def pages(size: int) -> int:
    """Return the bytes of the whole pages that hold *size* bytes; see getpagesize(2)."""
    return -(-size // PAGE) * PAGE


def put(code: bytes, room: int = 0) -> int:
    """Put *code* at PLACE; return the address of the writable memory of *room* bytes on the pages behind; see mmap(2).

    OSError: the kernel refuses that (EACCES: memory that was written may not be executed here), or something is there.
    """
    size = pages(len(code))
    flags = _MAP_PRIVATE | _MAP_ANONYMOUS | _MAP_FIXED_NOREPLACE
    _mmap(PLACE, size + pages(room), _PROT_READ | _PROT_WRITE, flags, -1, 0)
    try:
        ctypes.memmove(PLACE, code, len(code))
        _mprotect(PLACE, size, _PROT_READ | _PROT_EXEC)  # this also makes the processor of aarch64 read it again
    except OSError:
        _munmap(PLACE, size + pages(room))
        raise
    return PLACE + size


def call(*arguments: int) -> int:
    """Call the code at PLACE with these *arguments*, and return its result; mprotect(2) has made it executable."""
    function = ctypes.PYFUNCTYPE(ctypes.c_size_t, *(ctypes.c_long for _ in arguments))(PLACE)
    result: int = function(*arguments)
    return result


def remove(code: bytes, room: int = 0) -> None:
    """Remove what `put` has put at PLACE; see munmap(2)."""
    _munmap(PLACE, pages(len(code)) + pages(room))


def rseq_area() -> tuple[int, int]:
    """Return where libc has registered an area of this thread, from its thread pointer, and its size; see rseq(2).

    The kernel writes there whenever the process has lost its processor. The size is 0 if there is no such area (glibc
    before 2.35, musl).
    """
    libc = ctypes.PyDLL(None)
    try:
        size = ctypes.c_uint.in_dll(libc, "__rseq_size").value
        return ctypes.c_ssize_t.in_dll(libc, "__rseq_offset").value, max(size, _RSEQ_LEAST) if size else 0
    except ValueError:
        return 0, 0
