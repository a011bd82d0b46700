"""The store's files are root's alone: a setuid program of an image is none on the host (CVE-2021-41091)."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.boxes import kept, new_name, output
from tests.slowness import SLOWNESS
from tinybox.container import host, launch
from tinybox.container.home import Home
from tinybox.container.live import Live
from tinybox.images.store import Store

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

# setpriv itself still has its rights when it executes; the shell after it has none.
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c", 'exec "$@"', "sh")


def as_nobody(*words: str) -> subprocess.CompletedProcess[str]:
    """Run *words* as a user who has no rights."""
    return subprocess.run([*NOBODY, *words], capture_output=True, text=True, check=False, timeout=30 * SLOWNESS)


def test_nobody_else_reaches_a_program_of_an_image_or_of_a_box(tinybox: Command) -> None:
    """Whoever knows the whole path of a program in a layer or in a running box still cannot pass; root can."""
    name = new_name()
    script = "mkdir /suid; cp /bin/busybox /suid/; chmod 4755 /suid/busybox; echo READY; sleep 1000"
    with kept(tinybox, "--rm", "--name", name, "-v", "closed:/v", "busybox", "sh", "-c", script):
        (upper,) = Path(tinybox.root, "containers").glob("*/upper/suid/busybox")
        layer = Path(Store(tinybox.root).image("busybox").layers[0], "bin", "busybox")
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


def planned(root: str) -> list[str]:
    """Return the plan of a box, as ``tinybox run --dry-run`` prints it."""
    live = Live()
    try:
        return launch.prepare(Home(root), host.read(""), "busybox", ("true",), {}, live).plan.lines()
    finally:
        live.close()


def test_a_dry_run_needs_no_root(tinybox: Command) -> None:
    """Names and records can be read by all: who may not see the layers can still see the plan."""
    wanted = planned(tinybox.root)  # and all modules are loaded: nobody may not be able to read those either
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            lines = planned(tinybox.root)
            with contextlib.suppress(PermissionError):
                os.listdir(f"{tinybox.root}/layers")
                os._exit(2)  # the control: it is really somebody else
            os._exit(0 if len(lines) == len(wanted) else 1)
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
