"""The smallest root file system there is: one static program that is three hundred commands, by the name it is called.

It is made from this host's own busybox, so it needs no network. A program that needs a shared library could not start
alone in an empty root; ELF says so by a segment that names its interpreter.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, Any

from tinybox.errors import HostError
from tinybox.images.pack import Pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.intake import Workspace

PT_INTERP = 3  # elf(5): the program header that names the dynamic loader
CURE = "apt install busybox-static"


def archive(source: dict[str, Any], work: Workspace, say: Callable[[str], None]) -> str:
    """Pack this host's static busybox and what surrounds it as *source* lists it; return the archive's path."""
    program = _program()
    say(f"from {program}")
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
    """Tell whether the 64-bit ELF program *content* starts without a dynamic loader; see elf(5)."""
    if content[:5] != b"\x7fELF\x02":
        return False
    offset, size, count = struct.unpack_from("<Q14xHH", content, 32)
    headers = (struct.unpack_from("<I", content, offset + size * index)[0] for index in range(count))
    return PT_INTERP not in headers


def _program() -> str:
    for candidate in (shutil.which("busybox"), "/bin/busybox"):
        if candidate and os.path.isfile(candidate):
            return os.path.realpath(candidate)
    raise HostError("busybox", "this host has none", CURE)


def _applets(program: str) -> list[str]:
    """Ask *program* for its commands, each with the path that it likes best, and leave out its own."""
    listing = subprocess.run([program, "--list-full"], capture_output=True, text=True, check=False).stdout
    applets = [path for path in listing.split() if "/" in path and path != "bin/busybox"]
    if not applets:
        raise HostError(program, "it does not list its commands (--list-full)", CURE)
    return applets
