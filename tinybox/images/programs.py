"""Programs of this host that help to make an image: found by name, run in the workspace, their complaint made ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tinybox.errors import HostError, ImageError

if TYPE_CHECKING:
    from tinybox.images.intake import Workspace

SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"  # where debugfs is, also for those whose PATH does not say so
COMPLAINTS = ("ERROR:", "E: ")  # how pip and apt-get begin the line that says why
CURES = {"pip": "is a package index within reach?", "apt-get": "is a Debian mirror within reach?"}


def find(name: str, package: str) -> str:
    """Return the path of the program *name*; HostError names the Debian *package* that has it."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + SBIN)
    if not path:
        raise HostError(name, "this host does not have it", f"apt install {package}")
    return path


def run(work: Workspace, program: str, *arguments: str) -> str:
    """Run *program* in the workspace and return what it printed; ImageError says why it failed.

    It shares the workspace's lock: if we are killed, that is not swept from under its feet.
    """
    environment = dict(os.environ, TMPDIR=work.path, LC_ALL="C.UTF-8")
    done = subprocess.run(
        [program, *arguments], cwd=work.path, env=environment, pass_fds=[work.fd], capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        cause = next((line for line in said if line.startswith(COMPLAINTS)), said[-1] if said else "it said nothing")
        for word in COMPLAINTS:
            cause = cause.removeprefix(word).strip()
        name = "pip" if program == sys.executable else os.path.basename(program)
        raise ImageError(name, cause, CURES.get(name, ""))
    return done.stdout.decode(errors="replace")
