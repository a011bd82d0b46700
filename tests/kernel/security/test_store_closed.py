"""Only root may read the store: a setuid program of an image is none on the host (CVE-2021-41091)."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import kept, new_name, output
from tests.support.slowness import SLOWNESS
from tinybox.container import launch
from tinybox.container.process.handles import Handles
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.images.store import Store

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

# setpriv itself still has its capabilities at execve(2); the shell after it has none.
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c", 'exec "$@"', "sh")


def as_nobody(*words: str) -> subprocess.CompletedProcess[str]:
    """Run *words* as a user without any capability."""
    return subprocess.run([*NOBODY, *words], capture_output=True, text=True, check=False, timeout=30 * SLOWNESS)


def test_programs_of_images_and_boxes_are_closed_to_other_users(tinybox: Command) -> None:
    """A user who knows the whole path of a program in a layer or a running box cannot reach it; root can."""
    name = new_name()
    script = "mkdir /suid; cp /bin/busybox /suid/; chmod 4755 /suid/busybox; echo READY; sleep 1000"
    with kept(tinybox, "--rm", "--name", name, "-v", "closed:/v", "busybox", "sh", "-c", script):
        (upper,) = Path(tinybox.root, "containers").glob("*/upper/suid/busybox")
        layer = Path(Store(tinybox.root).image("busybox").layers[0], "bin", "busybox")
        volume = Path(tinybox.root, "volumes", "closed", "_data")
        for path in (upper, layer):
            assert subprocess.run([path, "true"], check=False).returncode == 0  # the control: it can be executed
            done = as_nobody(str(path), "true")
            assert "Permission denied" in done.stderr, done
        assert "Permission denied" in as_nobody("ls", str(volume)).stderr
    assert tinybox("volume", "rm", "closed").returncode == 0


def test_a_box_with_a_user_namespace_gets_its_layers(tinybox: Command) -> None:
    """Root of a user namespace is such a user: it gets file descriptors of its layers, and sees no host path."""
    script = "grep ' / / ' /proc/self/mountinfo; ls -A /run; echo x > /new; cat /new"
    *shown, last = output(tinybox, "--userns", "private", "busybox", "sh", "-c", script).splitlines()
    assert last == "x"
    assert "lowerdir=/run/0,upperdir=/run/bundle/upper" in shown[0]
    assert tinybox.root not in "".join(shown)
    assert tinybox.root in output(tinybox, "busybox", "grep", " / / ", "/proc/self/mountinfo")  # the control


PRIVATE = "correct-horse-battery"


def telling(*places: str | Path) -> dict[str, int]:
    """Return the files at or below *places* that contain the secret, with their modes."""
    done = subprocess.run(["grep", "-rlsZ", PRIVATE, *places], capture_output=True, text=True, check=False)
    return {path: os.stat(path).st_mode & 0o777 for path in done.stdout.split("\0") if path}


def test_variables_of_e_are_closed_to_other_users(tinybox: Command, tmp_path: Path) -> None:
    """A variable given by -e is in config.json, in images of commit and load, in a trace: all have mode 0600."""
    name, trace, saved, bundle = new_name(), tmp_path / "trace", tmp_path / "saved", tmp_path / "bundle"
    options = ("-e", f"SECRET={PRIVATE}", "busybox")
    assert tinybox("run", "-d", "--name", name, *options, "sleep", "1000").returncode == 0
    try:
        assert tinybox("commit", name, "secret:1").returncode == 0
        assert tinybox("save", "-o", str(saved), "secret:1").returncode == 0
        assert tinybox("rmi", "secret:1").returncode == 0
        assert tinybox("load", "-i", str(saved)).returncode == 0
        assert tinybox("commit", name, "secret:2").returncode == 0
        assert tinybox("run", "--rm", "--explain=json", "-o", str(trace), *options, "true").returncode == 0
        assert tinybox("run", "--bundle", str(bundle), *options, "true").returncode == 0
        found = telling(tinybox.root, tmp_path)
        places = {Path(path).relative_to(tinybox.root).parts[0] for path in found if path.startswith(tinybox.root)}
        assert {"images", "containers"} <= places  # the control: the secret is there
        assert {str(trace), str(saved), str(bundle / "config.json")} <= found.keys()
        assert {path: oct(mode) for path, mode in found.items() if mode & 0o077} == {}
        assert not as_nobody("grep", "-rls", PRIVATE, tinybox.root).stdout
    finally:
        tinybox("rm", "-f", name)
        tinybox("rmi", "secret:1", "secret:2")


def test_open_records_of_older_versions_are_closed(tinybox: Command) -> None:
    """An image's record that an older tinybox left readable for all is closed when the next image is made."""
    name = new_name()
    assert tinybox("create", "--name", name, "-e", f"SECRET={PRIVATE}", "busybox").returncode == 0
    try:
        assert tinybox("commit", name, "secret:1").returncode == 0
        (record,) = telling(Path(tinybox.root, "images"))
        Path(record).chmod(0o644)
        assert tinybox("commit", "-m", "another", name, "secret:2").returncode == 0
        assert set(telling(Path(tinybox.root, "images")).values()) == {0o600}
    finally:
        tinybox("rm", name)
        tinybox("rmi", "secret:1", "secret:2")


def planned(root: str) -> list[str]:
    """Return the plan of a box, as ``tinybox run --dry-run`` prints it."""
    handles = Handles()
    try:
        return launch.prepare(Paths(root), host.read(""), "busybox", ("true",), {}, handles).plan.lines()
    finally:
        handles.close()


def test_a_dry_run_needs_no_root(tinybox: Command) -> None:
    """Names, and a recipe image's record, are readable by all: a user who cannot read its layers gets the plan."""
    wanted = planned(tinybox.root)  # and all modules are loaded now: the user may not be able to read those later
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            lines = planned(tinybox.root)
            with contextlib.suppress(PermissionError):
                os.listdir(f"{tinybox.root}/layers")
                os._exit(2)  # the control: it is really another user
            os._exit(0 if len(lines) == len(wanted) else 1)
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
