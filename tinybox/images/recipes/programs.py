"""Find and run the programs of this host that make an image (apt-get, pip, qemu-img ...), and report their errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tinybox.errors import HostError, ImageError

if TYPE_CHECKING:
    from tinybox.images.intake import Workspace

SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"  # the directories of debugfs, which are not in every user's PATH
COMPLAINTS = ("ERROR:", "E: ")  # the beginning of the line with the reason, as pip and apt-get print it
CURES = {"pip": "is a package index within reach?", "apt-get": "is a Debian mirror within reach?"}


def find(name: str, package: str) -> str:
    """Return the path of the program *name*; HostError names the Debian *package* that has it."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + SBIN)
    if not path:
        raise HostError(name, "this host does not have it", f"apt install {package}")
    return path


def run(work: Workspace, program: str, *arguments: str) -> str:
    """Run *program* in the workspace and return its output; ImageError: it failed, with the reason that it printed.

    The program inherits the workspace's lock: if tinybox is killed, no other command removes the workspace while the
    program still runs.
    """
    environment = dict(os.environ, TMPDIR=work.path, LC_ALL="C.UTF-8")
    done = subprocess.run(
        [program, *arguments], cwd=work.path, env=environment, pass_fds=[work.fd], capture_output=True, check=False
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        cause = next((line for line in lines if line.startswith(COMPLAINTS)), lines[-1] if lines else "no message")
        for prefix in COMPLAINTS:
            cause = cause.removeprefix(prefix).strip()
        name = "pip" if program == sys.executable else os.path.basename(program)
        raise ImageError(name, cause, CURES.get(name, ""))
    return done.stdout.decode(errors="replace")
