"""The interpreter of a program's file: the other file that execve(2) needs, and whose lack it reports as ENOENT.

A script names it after ``#!`` in its first line; an ELF program with shared libraries has it in its program header
PT_INTERP, see elf(5). The kernel only says "No such file or directory", also if the program itself exists.
"""

from __future__ import annotations

import os
import stat
import struct

from tinybox.linux.filesystem import descriptors

_FIRST_LINE = 256  # bytes of a script that the kernel reads
_DEEPEST = 5  # interpreters that are scripts themselves; after that execve(2) fails with ELOOP
_PT_INTERP, _MOST_HEADERS, _PATH_MAX = 3, 128, 4096
# ELF class: format and offset of e_phoff, offset of e_phentsize and e_phnum; format and offsets in a program header
_LAYOUTS = {1: ("<I", 28, 42, "<I", 4, 16), 2: ("<Q", 32, 54, "<Q", 8, 32)}


def lacking(path: str) -> str:
    """Return the interpreter, of *path* or of its interpreter, that this process may not execute, or that is missing.

    "": execve(2) would find them all, or *path* cannot be read.
    """
    for _ in range(_DEEPEST):
        name = _interpreter(path)
        if not name:
            return ""
        if not descriptors.may_execute(name):
            return name
        path = name
    return ""


def cure(interpreter: str) -> str:
    """Return why execve(2) does not find *interpreter*, a name in a file of the box, as the cure of an error."""
    if not interpreter:
        return "its interpreter is missing"
    if interpreter.endswith("\r"):
        return (
            f"its interpreter {interpreter} is missing: the lines of the script end with CRLF; dos2unix makes them LF"
        )
    if os.path.basename(interpreter).startswith("ld-"):
        return f"its interpreter {interpreter} is missing: the image does not have the C library of this program"
    return f"its interpreter {interpreter} is missing"


def _interpreter(path: str) -> str:
    """Return the interpreter that the file *path* names, or "" if it names none or cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return ""  # to open a device or a pipe may have effects
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        head = os.pread(fd, _FIRST_LINE, 0)
        if head.startswith(b"#!"):
            words = head[2:].split(b"\n")[0].replace(b"\t", b" ").strip(b" ").split(b" ")
            return os.fsdecode(words[0].split(b"\0")[0])
        return os.fsdecode(_of_elf(fd, head)) if head.startswith(b"\x7fELF") else ""
    except (OSError, struct.error, OverflowError):
        return ""
    finally:
        os.close(fd)


def _of_elf(fd: int, head: bytes) -> bytes:
    """Return the path in the header PT_INTERP of an ELF file that begins with *head*, or b""."""
    if len(head) < 64 or head[4] not in _LAYOUTS or head[5] != 1:  # this kernel executes no file of high byte first
        return b""
    kind, at, sizes, word, offset_at, size_at = _LAYOUTS[head[4]]
    (start,), (size, count) = struct.unpack_from(kind, head, at), struct.unpack_from("<HH", head, sizes)
    table = os.pread(fd, size * min(count, _MOST_HEADERS), start)
    for number in range(len(table) // max(size, 1)):
        header = table[number * size : (number + 1) * size]
        if struct.unpack_from("<I", header)[0] == _PT_INTERP:
            (offset,), (length,) = (
                struct.unpack_from(word, header, offset_at),
                struct.unpack_from(word, header, size_at),
            )
            return os.pread(fd, min(length, _PATH_MAX), offset).split(b"\0")[0]
    return b""
