"""The machine's kernel: Debian's own, from its package; and the initramfs that it runs before it has a root.

An initramfs is a cpio archive, which the kernel unpacks into memory and whose /init it runs as process 1. It is made
again for each start, in memory: busybox, a dozen modules, the script and the command to run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tinybox.images.store import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = f"linux-image-{ARCHITECTURES[os.uname().machine]}"  # the cloud kernel is smaller, but cannot mount 9p
MODULES = "virtio_pci virtio_blk virtio_console virtio_net virtio-rng 9pnet_virtio 9p overlay".split()
MODULES += ["crc32c_generic", "ext4"]  # the second needs the first, but does not declare it
APPLETS = "sh mount mkdir cp insmod switch_root poweroff".split()
BUSYBOX = "/bin/busybox"


class MachineError(Exception):
    """There is no machine, or it has died: the message names the cause and the cure."""


class MachineTimeoutError(MachineError):
    """The machine did not end in time."""


class Kernel(NamedTuple):
    """A kernel on this host's disk."""

    image: Path
    modules: Path  # the directory for /lib/modules/RELEASE in the machine


def fetch(folder: Path) -> Kernel:
    """Return the kernel in *folder*; the first call downloads and unpacks its package, while others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(folder.parent):
        if not (folder / "lib").is_dir():
            with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as place:
                unpack(package(), Path(place))
                Path(place, "kernel").rename(folder)
    return kernel_in(folder)


def kernel_in(folder: Path) -> Kernel:
    """Return the one kernel whose files were unpacked below *folder*."""
    (modules,) = (folder / "lib/modules").iterdir()
    (image,) = (folder / "boot").glob("vmlinuz-*")
    return Kernel(image, modules)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a lock on *folder*, alone among all threads and processes; see flock(2)."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def package() -> str:
    """Ask apt for the current package of the metapackage PACKAGE; see apt-cache(8), depends."""
    for attempt in range(2):
        listed = output("apt-cache", "depends", "--important", PACKAGE)
        for line in listed.splitlines():
            if "Depends: linux-image-" in line:
                return line.split(": ")[1]
        if attempt == 0:
            output("apt-get", "-qq", "update")
    raise MachineError(f"apt knows no kernel {PACKAGE}; the machine needs a Debian host")


def unpack(name: str, place: Path) -> None:
    """Download the package *name* and unpack it below *place*/kernel; make the list of module dependencies."""
    output("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", name, folder=place)
    (archive,) = place.glob("*.deb")
    output("dpkg-deb", "--extract", str(archive), str(place / "kernel"))
    (modules,) = (place / "kernel/lib/modules").iterdir()
    output(BUSYBOX, "depmod", "-b", str(place / "kernel"), modules.name)


def output(*command: str, folder: Path | None = None) -> str:
    """Run *command* and return its output, or raise an error with its stderr."""
    if not shutil.which(command[0]):
        raise MachineError(f"{command[0]} is missing; the machine needs a Debian host")
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise MachineError(f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def needed(modules: Path) -> list[Path]:
    """List the files of MODULES and of their dependencies, each after its own; see modules.dep(5)."""
    lines = (line.split(":") for line in (modules / "modules.dep").read_text().splitlines())
    needs = {file: rest.split() for file, rest in lines}
    files = {Path(file).name.partition(".ko")[0]: file for file in needs}
    order: dict[str, None] = {}

    def add(file: str) -> None:
        for other in needs[file]:
            add(other)
        order[file] = None

    for name in MODULES:
        if name in files:  # otherwise it is built into this kernel
            add(files[name])
    return [modules / file for file in order]


def initramfs(kernel: Kernel, init: bytes, command: bytes, root: Path = Path("/")) -> bytes:
    """Return an archive with *init* as the first program and *command* for it to run, on *root*, which has busybox."""
    modules = needed(kernel.modules)
    files = {
        "init": init,
        "command": command,
        "modules": os.fsencode("/" / kernel.modules.relative_to(root)),
        "modules.list": b"".join(b"/lib/%s\n" % os.fsencode(file.name) for file in modules),
        "bin/busybox": (root / BUSYBOX[1:]).read_bytes(),
        **{f"lib/{file.name}": file.read_bytes() for file in modules},
    }
    members = [member(name, 0o040755) for name in ("bin", "lib", "dev")]
    members += [member(name, 0o100755, content) for name, content in files.items()]
    members += [member(f"bin/{name}", 0o120777, b"busybox") for name in APPLETS]
    return b"".join([*members, member("TRAILER!!!", 0)])


def member(name: str, mode: int, content: bytes = b"") -> bytes:
    """Return one file in the "newc" format of cpio; see cpio(5): 13 numbers in hexadecimal, the name, the content.

    The kernel needs no inode, owner, time or device; links are counted, and the lengths are padded to four bytes.
    """
    label = name.encode() + b"\0"
    numbers = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(label), 0]
    header = b"070701" + b"".join(b"%08X" % number for number in numbers)
    return padded(header + label) + padded(content)


def padded(data: bytes) -> bytes:
    """Pad *data* to a multiple of four bytes."""
    return data + b"\0" * (-len(data) % 4)
