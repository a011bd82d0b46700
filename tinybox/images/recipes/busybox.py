"""The image busybox: a root file system from this host's static busybox, one program with three hundred commands.

It needs no network. The program must be static: one that needs shared libraries could not start in an empty root. In
the ELF format such a program has a segment that names its interpreter.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, Any

from tinybox.errors import HostError
from tinybox.images.recipes.pack import Pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.intake import Workspace

PT_INTERP = 3  # elf(5): the program header that names the dynamic loader
CURE = "apt install busybox-static"


def archive(source: dict[str, Any], work: Workspace, report: Callable[[str], None]) -> str:
    """Pack this host's static busybox, and the directories and files of *source*; return the archive's path.

    HostError: this host has no static busybox.
    """
    program = _program()
    report(f"from {program}")
    with open(program, "rb") as file:
        content = file.read()
    if not is_static(content):
        raise HostError(program, "it is linked dynamically and could not run alone", CURE)
    with Pack(f"{work.path}/busybox.tar") as pack:
        pack.time = int(os.stat(program).st_mtime)
        for path, mode in source["directories"].items():
            pack.directory(path, int(mode, 8))
        for path, text in source["files"].items():
            pack.file(path, text.encode())
        pack.file("bin/busybox", content, 0o755)
        for applet in _applets(program):
            pack.symlink(applet, "/bin/busybox")
    return pack.path


def is_static(content: bytes) -> bool:
    """Return whether the 64-bit ELF program *content* starts without a dynamic loader; see elf(5)."""
    if content[:5] != b"\x7fELF\x02":
        return False
    offset, size, count = struct.unpack_from("<Q14xHH", content, 32)
    headers = (struct.unpack_from("<I", content, offset + size * index)[0] for index in range(count))
    return PT_INTERP not in headers


def _program() -> str:
    for candidate in (shutil.which("busybox"), "/bin/busybox"):
        if candidate and os.path.isfile(candidate):
            return os.path.realpath(candidate)
    raise HostError("busybox", "this host does not have it", CURE)


def _applets(program: str) -> list[str]:
    """Return the paths of the commands that *program* lists with --list-full, without its own."""
    listing = subprocess.run([program, "--list-full"], capture_output=True, text=True, check=False).stdout
    applets = [path for path in listing.split() if "/" in path and path != "bin/busybox"]
    if not applets:
        raise HostError(program, "it does not list its commands (--list-full)", CURE)
    return applets
