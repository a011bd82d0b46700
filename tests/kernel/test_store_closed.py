"""The store's files are root's alone: a setuid program of an image is none on the host (CVE-2021-41091)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.boxes import kept, new_name, output

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")


def as_nobody(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run *words* as a user who has no rights."""
    settings = {**os.environ, **environment}
    return subprocess.run([*NOBODY, *words], env=settings, capture_output=True, text=True, check=False, timeout=30)


def test_nobody_else_reaches_a_program_of_an_image_or_of_a_box(tinybox: Command) -> None:
    """Whoever knows the whole path of a program in a layer or in a running box still cannot pass; root can."""
    name = new_name()
    script = "mkdir /suid; cp /bin/busybox /suid/; chmod 4755 /suid/busybox; echo READY; sleep 100"
    with kept(tinybox, "--rm", "--name", name, "-v", "closed:/v", "busybox", "sh", "-c", script):
        (upper,) = Path(tinybox.root, "containers").glob("*/upper/suid/busybox")
        layer = next(Path(tinybox.root, "layers").glob("*/fs/bin/busybox"))
        volume = Path(tinybox.root, "volumes", "closed", "_data")
        for path in (upper, layer):
            assert subprocess.run([path, "true"], check=False).returncode == 0  # the control: it is a program
            done = as_nobody(str(path), "true")
            assert "Permission denied" in done.stderr, done
        assert "Permission denied" in as_nobody("ls", str(volume)).stderr
    assert tinybox("volume", "rm", "closed").returncode == 0


def test_a_box_of_nobody_s_gets_its_layers_all_the_same(tinybox: Command) -> None:
    """Root of a user namespace is such a nobody: it is handed its layers, and no path of the host's shows inside."""
    script = "grep ' / / ' /proc/self/mountinfo; ls -A /run; echo x > /new; cat /new"
    *shown, last = output(tinybox, "--userns", "private", "busybox", "sh", "-c", script).splitlines()
    assert last == "x"
    assert "lowerdir=/run/0,upperdir=/run/bundle/upper" in shown[0]
    assert tinybox.root not in "".join(shown)
    assert tinybox.root in output(tinybox, "busybox", "grep", " / / ", "/proc/self/mountinfo")  # the control


def test_a_dry_run_needs_no_root(tinybox: Command) -> None:
    """Names and records can be read by all: who may not see the layers can still see the plan."""
    done = as_nobody(tinybox.path, "run", "--dry-run", "busybox", "true", TINYBOX_ROOT=tinybox.root)
    assert (done.returncode, "overlayfs" in done.stdout) == (0, True), done
