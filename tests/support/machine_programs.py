"""Programs of machine code, for this machine or, by an emulator, for aarch64: their ELF files, and how one is run."""

from __future__ import annotations

import platform
import shutil
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HERE = platform.machine()
EMULATOR = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
E_MACHINE = {"x86_64": 62, "aarch64": 183}
OFFSET = 0x10000  # bytes of the file before the program: as the largest page of aarch64


def elf(machine: str, parts: bytes, *, place: int, entry: int, room: int = 0) -> bytes:
    """Return an ELF file that has *parts* at the address *place*, *room* bytes behind, and begins at *entry*; elf(5).

    All its memory can be read, written and executed.
    """
    head = struct.pack("<4sBBB9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 2, E_MACHINE[machine], 1,
                       entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)  # fmt: skip
    head += struct.pack("<IIQQQQQQ", 1, 7, OFFSET, place, place, len(parts), len(parts) + room, OFFSET)
    return head.ljust(OFFSET, b"\0") + parts


def can_run(machine: str) -> bool:
    """Return whether programs for *machine* can run here."""
    return machine == HERE or (machine == "aarch64" and EMULATOR is not None)


def command(machine: str, path: Path) -> list[str]:
    """Return the words that execute the file *path*, a program for *machine*."""
    return [*([EMULATOR] if machine != HERE and EMULATOR else []), str(path)]
