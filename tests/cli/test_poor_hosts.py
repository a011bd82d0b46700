"""Hosts that lack something: an old kernel, a controller, room on the disk. One line names it, and nothing stays.

The lack is real: setarch(8) makes uname(2) report an old kernel, and in a mount namespace of its own tinybox finds
file systems that are missing, full, or read-only.
"""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import no_trace
from tests.support.boxes import one_line
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from tests.conftest import Command, Host

pytestmark = pytest.mark.root


def behind(tinybox: Command, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``tinybox WORDS`` in a new mount namespace, after the shell has run *script* there."""
    command = ["unshare", "-m", "sh", "-ec", f'{script}; exec "$@"', "sh", tinybox.path, *words]
    return subprocess.run(command, env=tinybox.environment, capture_output=True, text=True, check=False,
                          timeout=120 * SLOWNESS, stdin=subprocess.DEVNULL)  # fmt: skip


def left(tinybox: Command) -> list[str]:
    """List what boxes have left in the store; its folders may not exist yet."""
    folders = ("run", "containers", "container-names")
    return [name for folder in folders for name in no_trace.names(f"{tinybox.root}/{folder}")]


def test_an_old_kernel(tinybox: Command) -> None:
    """Linux 2.6 is refused, with the version that is needed; the plan can still be printed."""
    command = ["setarch", platform.machine(), "--uname-2.6", tinybox.path, "run", "--rm", "busybox", "true"]
    done = subprocess.run(
        command, env=tinybox.environment, capture_output=True, text=True, check=False, timeout=120 * SLOWNESS
    )
    one_line(done, 125, "kernel 2.6: tinybox needs Linux 5.12", "(boot a newer kernel)")
    assert tinybox("run", "--rm", "busybox", "true").returncode == 0


def without_pids(host: Host, folder: Path) -> str:
    """Return shell commands that hide the controller pids."""
    if host.cgroups == "v2":
        (folder / "controllers").write_text("cpuset cpu io memory\n")
        return f"mount --bind {folder}/controllers /sys/fs/cgroup/cgroup.controllers"
    return "umount /sys/fs/cgroup/pids"


def test_a_controller_that_is_missing(tinybox: Command, host: Host, tmp_path: Path) -> None:
    """A limit whose controller is missing is refused by name; the same box without that limit runs."""
    script = without_pids(host, tmp_path)
    done = behind(tinybox, script, "run", "--rm", "--pids-limit", "5", "busybox", "true")
    one_line(done, 125, "this host offers no pids controller", "(leave it out")
    assert behind(tinybox, script, "run", "--rm", "-m", "64m", "busybox", "true").returncode == 0
    assert tinybox("run", "--rm", "--pids-limit", "5", "busybox", "true").returncode == 0
    assert left(tinybox) == []


def test_no_control_groups_at_all(tinybox: Command) -> None:
    """Without any cgroup file system no box is made, and nothing of one stays."""
    done = behind(tinybox, "umount -l /sys/fs/cgroup", "run", "--rm", "busybox", "true")
    remains = left(tinybox)
    tinybox("images")
    one_line(done, 125, "no cgroup file system is mounted on this host")
    assert remains == []


@pytest.mark.parametrize(
    ("options", "cause"),
    [("ro", "Read-only file system"), ("size=4k", "No space left"), ("nr_inodes=5", "No space left")],
)
def test_a_store_that_cannot_be_written(tinybox: Command, options: str, cause: str) -> None:
    """A full or read-only store is an error with the kernel's reason; files that were already made are removed."""
    folder = f"{tinybox.root}/containers"
    script = f"mkdir -m 700 -p {folder}; mount -t tmpfs -o mode=700,{options} test {folder}"
    one_line(behind(tinybox, script, "run", "--rm", "-m", "64m", "busybox", "true"), 125, cause)
    assert left(tinybox) == []


def test_too_few_descriptors(tinybox: Command) -> None:
    """With ten open files allowed no box can be made; one line reports it, and the next command removes the remains."""
    done = behind(tinybox, "ulimit -n 10", "run", "--rm", "busybox", "true")
    one_line(done, 125, "Too many open files")
    assert tinybox("images").returncode == 0
    assert left(tinybox) == []


def test_no_proc(tinybox: Command) -> None:
    """Without /proc tinybox cannot examine the host, and the line names the missing file."""
    one_line(behind(tinybox, "mount -t tmpfs none /proc", "run", "--rm", "busybox", "true"), 125, "/proc/")
    assert left(tinybox) == []
