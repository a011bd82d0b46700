"""Mounts do not leak on a host whose `/` is shared, as systemd makes it; they cross where that is requested.

The host here is a mount namespace of the test's own, made shared: a leak into it would be a leak on a real host.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root

SHARED = "mount --make-rshared /; cat /proc/self/mountinfo > $0/before"
SAME = "cat /proc/self/mountinfo > $0/after; cmp $0/before $0/after"
WAIT = "until [ -e {} ]; do sleep 0.02; done"
INSIDE = f"mount -t tmpfs i /x/inner; touch /x/ready; {WAIT.format('/x/go')}; grep -c /x/outer /proc/mounts"


def on_a_shared_host(tinybox: Command, folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run *script* in a new mount namespace; $0 is *folder*, and `tinybox` is the command."""
    lines = f'set -e; tinybox() {{ {tinybox.path} "$@"; }}; {script}'
    return subprocess.run(["unshare", "-m", "sh", "-c", lines, folder], env=tinybox.environment, capture_output=True,
                          text=True, check=False, timeout=60 * SLOWNESS, stdin=subprocess.DEVNULL)  # fmt: skip


@pytest.mark.parametrize(
    "options", ["", "--userns private", "--privileged", "--read-only --tmpfs /t", "-v $0:/x -m 64m"]
)
def test_a_shared_root_does_no_harm(tinybox: Command, tmp_path: Path, options: str) -> None:
    """The box runs, its mounts are its own, and afterwards the mount table is the same, to the last number."""
    look = "grep -c shared: /proc/self/mountinfo || true"
    script = f'{SHARED}; tinybox run --rm {options} busybox sh -c "{look}"; {SAME}'
    done = on_a_shared_host(tinybox, tmp_path, script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
    assert "shared:" in (tmp_path / "before").read_text()


def test_a_leak_would_be_noticed(tinybox: Command, tmp_path: Path) -> None:
    """The control: a mount in a namespace whose mounts stay shared appears in the outer mount table."""
    leak = "unshare -m --propagation unchanged mount -t tmpfs leak /mnt"
    assert on_a_shared_host(tinybox, tmp_path, f"{SHARED}; {leak}; {SAME}").returncode == 1
    assert " - tmpfs leak " in (tmp_path / "after").read_text()


@pytest.mark.parametrize(("propagation", "in_", "out"), [("rprivate", 0, 0), ("rslave", 1, 0), ("rshared", 1, 1)])
def test_mounts_cross_as_requested(tinybox: Command, tmp_path: Path, propagation: str, in_: int, out: int) -> None:
    """A mount of the host appears in a slave and in a shared bind; one of the box leaves only the shared one."""
    (tmp_path / "s").mkdir()
    bind = f"--mount type=bind,source=$0/s,target=/x,bind-propagation={propagation}"
    script = f"""
        mount -t tmpfs s $0/s; mount --make-shared $0/s; mkdir $0/s/inner $0/s/outer
        tinybox run --rm --privileged {bind} busybox sh -c '{INSIDE}' > $0/in & {WAIT.format("$0/s/ready")}
        mount -t tmpfs outer $0/s/outer; grep -c "$0/s/inner" /proc/mounts > $0/out || true; touch $0/s/go; wait
    """
    done = on_a_shared_host(tinybox, tmp_path, script)
    assert (done.returncode, done.stderr) == (0, "")
    assert ((tmp_path / "in").read_text(), (tmp_path / "out").read_text()) == (f"{in_}\n", f"{out}\n")
