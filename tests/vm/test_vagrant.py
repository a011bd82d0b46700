"""`vagrant up`, as a lecturer types it: the project's Vagrantfile, libvirt, and a booted Debian 13, emulated by qemu.

Only the box is made here (tests/vm/vagrant_box.py). It was provisioned already, because the machine has no way to the
packages from its network; `vagrant up` runs vm/provision.sh in it again. Without /dev/kvm it takes a quarter of an hour
(`make test-vagrant`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.vm.debian import MINUTES, copy_the_checkout, new_debian
from tests.vm.vagrant_box import PACKAGES, furnish, pack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIBVIRT = "unshare --mount --net --pid --fork --kill-child --mount-proc sh tests/vm/libvirt.sh".split()
PROGRAMS = ("vagrant", "libvirtd", "dnsmasq", "debootstrap")
pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif("TINYBOX_VAGRANT" not in os.environ, reason="a quarter of an hour: make test-vagrant runs it"),
    pytest.mark.skipif(None in map(shutil.which, PROGRAMS), reason=f"one of {PROGRAMS} is missing: make test-vagrant"),
    pytest.mark.timeout(60 * MINUTES),
]

# What the lecturer types; "$1" is the box. `vagrant ssh -c` gives the command a terminal, which ends lines with CR LF.
WALK = r"""
say() { vagrant ssh --no-tty -c "$1" 2>> "$LOG"; }
vagrant box add --name tinybox-test/debian-13 "$1" >> "$LOG" 2>&1
say true || echo not yet
trap 'vagrant destroy -f >> "$LOG" 2>&1' EXIT
vagrant up --provider=libvirt >> "$LOG" 2>&1 || { echo no machine; exit 1; }
say 'hostname; systemd-detect-virt; stat -f -c %T /sys/fs/cgroup'
vagrant ssh -c "sudo tinybox run alpine sh -c 'grep ^ID= /etc/os-release; echo PID \$\$; test -t 1 && echo terminal'" \
    2>> "$LOG" | tr -d '\r'
say 'sudo tinybox run --rm -m 32m alpine cat /sys/fs/cgroup/memory.max'
say 'sudo tinybox run --rm alpine sh -c "exit 42"' || echo "status $?"
say 'sudo tinybox lab check namespaces fork cgroups | tail -n 1'
trap - EXIT
vagrant destroy -f >> "$LOG" 2>&1
virsh --connect qemu:///system list --all --name
vagrant status --machine-readable | grep -o 'state,.*'
"""
SAID = """\
not yet
tinybox
qemu
cgroup2fs
ID=alpine
PID 1
terminal
33554432
status 42
3 labs: 3 PASS, 0 FAIL, 0 INCONCLUSIVE

state,not_created
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a Vagrant box of a new Debian."""
    folder = tmp_path_factory.mktemp("box")
    with new_debian(*PACKAGES) as root:
        furnish(root)
        made = pack(root, folder)
    yield made
    shutil.rmtree(folder)


def test_vagrant_up_gives_a_machine_that_runs_boxes(box: Path, tmp_path: Path) -> None:
    """`vagrant up` provisions it, `vagrant ssh -c` runs boxes and labs with limits by cgroup v2, `destroy` ends it."""
    project, log = tmp_path / "project", tmp_path / "log"
    copy_the_checkout(project)
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "VAGRANT_HOME": str(tmp_path / "home"),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "TINYBOX_BOX": "tinybox-test/debian-13",
        "LOG": str(log),
    }
    state = tmp_path / "libvirt"
    words = [*LIBVIRT, str(state), "sh", "-c", WALK, "sh", str(box)]
    done = subprocess.run(words, stdout=-1, stderr=-1, stdin=-3, text=True, check=False, cwd=project, env=environment,
                          timeout=50 * MINUTES)  # fmt: skip
    assert done.stdout == SAID, f"{done.stderr}\n{log.read_text()[-6000:]}"
