"""`vagrant up`, as a lecturer types it: the project's Vagrantfile, libvirt, and a booted Debian 13, emulated by qemu.

Only the box is made here (tests/vm/vagrant_box.py). It was provisioned already, because the machine has no way to the
packages from its network; `vagrant up` runs vm/provision.sh in it again. `make test-vagrant` runs this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.vm.debian import MINUTES, copy_the_checkout, new_debian
from tests.vm.vagrant_box import PACKAGES, furnish, pack

if TYPE_CHECKING:
    from collections.abc import Iterator

# If this process dies, the kernel kills unshare, and with it libvirtd and the machines.
LIBVIRT = "setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child --mount-proc sh".split()
LIBVIRT_SH = Path(__file__).with_name("libvirt.sh")
PROGRAMS = ("vagrant", "libvirtd", "dnsmasq", "debootstrap")
pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif("TINYBOX_VAGRANT" not in os.environ, reason="half an hour: make test-vagrant runs it"),
    pytest.mark.skipif(None in map(shutil.which, PROGRAMS), reason=f"one of {PROGRAMS} is missing: make test-vagrant"),
    pytest.mark.timeout(60 * MINUTES),
]

BEGIN = r"""
say() { vagrant ssh --no-tty "$1" -c "$2" 2>> "$LOG"; }
vagrant box add --no-tty --name tinybox-test/debian-13 "$1" >> "$LOG" 2>&1
vagrant ssh --no-tty -c true >> "$LOG" 2>&1 || echo not yet
trap 'vagrant destroy -f >> "$LOG" 2>&1' EXIT
vagrant up --no-tty --provider=libvirt >> "$LOG" 2>&1 || { echo no machine; exit 1; }
"""
END = r"""
trap - EXIT
vagrant destroy -f >> "$LOG" 2>&1
virsh --quiet --connect qemu:///system list --all --name | wc -w
vagrant status --machine-readable | grep -o 'state,.*'
"""

# What the lecturer types. script(1) gives the second command a terminal, which vagrant then also has in the machine.
ONE = r"""
say default 'hostname; systemd-detect-virt; stat -f -c %T /sys/fs/cgroup'
script -qec "vagrant ssh -c \"sudo tinybox run alpine sh -c 'test -t 1 && grep ^ID= /etc/os-release'\"" /dev/null \
    | grep -o 'ID=[a-z]*'
say default 'sudo tinybox run --rm -m 32m alpine cat /sys/fs/cgroup/memory.max'
say default 'sudo tinybox run --rm -m 32m alpine sh -c "head -c 128m /dev/zero | tail | wc -c"' || echo "status $?"
say default 'tinybox run --rm busybox sh -c "tr -s \" \" < /proc/self/uid_map"'
say default 'sudo tinybox lab check namespaces fork cgroup-pids' | awk '{print $1, $2}'
"""
ONE_SAID = """\
tinybox
qemu
cgroup2fs
ID=alpine
33554432
status 137
 0 1000 1
 1 100000 65536
LAB VERDICT
namespaces PASS
fork PASS
cgroup-pids PASS
3 labs:
"""
# Each node has the image, as there is no registry. The service's port is open on each of them, by an overlay network.
# An emulated node may report later than after Swarm's five seconds; it would count as dead, and its tasks would move.
TWO = r"""
say node1 'sudo docker swarm update --dispatcher-heartbeat 20s > update'
say node1 'sudo docker node ls --format "{{.Hostname}} {{.Status}}" | sort'
for node in node1 node2; do say $node 'sudo tinybox save busybox | sudo docker load -q'; done
say node1 'sudo docker service create -q --detach --name web --replicas 2 --limit-memory 32m --limit-pids 20 \
    --no-resolve-image -p 8080:80 busybox httpd -f -h / > web'
running='sudo docker service ps web -f desired-state=running --format "{{.Node}} {{.CurrentState}}" | grep " Running "'
say node1 "until [ \$($running | wc -l) = 2 ]; do :; done; $running | cut -d ' ' -f 1 | sort"
for node in node1 node2; do
    say $node 'sudo docker info --format "{{.DefaultRuntime}}"
        for id in $(sudo docker ps -q --no-trunc); do cd /sys/fs/cgroup/docker/$id; cat memory.max pids.max; done
        for i in 1 2 3 4; do busybox wget -q -O - http://127.0.0.1:8080/etc/hostname; done | sort -u | wc -l'
done
virsh --quiet --connect qemu:///system destroy project_node2 >> "$LOG" 2>&1
say node1 "until [ \"\$($running | cut -d ' ' -f 1 | tr '\n' ' ')\" = 'node1 node1 ' ]; do :; done; echo moved"
"""
TWO_SAID = """\
node1 Ready
node2 Ready
Loaded image: busybox:latest
Loaded image: busybox:latest
node1
node2
tinybox
33554432
20
2
tinybox
33554432
20
2
moved
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a Vagrant box of a new Debian; beside it, a copy of the checkout with which it was provisioned."""
    folder = tmp_path_factory.mktemp("box")
    copy_the_checkout(folder / "project")
    with new_debian(*PACKAGES) as root:
        furnish(root)
        made = pack(root, folder)
    yield made
    shutil.rmtree(folder)


def walk(box: Path, folder: Path, script: str, **variables: str) -> str:
    """Run *script* between `vagrant up` and `vagrant destroy`, in a copy of the checkout; return its output."""
    project, log, console = folder / "project", folder / "log", folder / "console"
    shutil.copytree(box.with_name("project"), project, symlinks=True)  # a newer pyproject.toml would need the packages
    environment = {
        **os.environ,
        **variables,
        "HOME": str(folder),
        "VAGRANT_HOME": str(folder / "home"),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "TINYBOX_BOX": "tinybox-test/debian-13",
        "LOG": str(log),
        "CONSOLE": str(console),
    }
    words = [*LIBVIRT, str(LIBVIRT_SH), str(folder / "libvirt"), "sh", "-c", BEGIN + script + END, "sh", str(box)]
    done = subprocess.run(words, stdout=-1, stderr=-1, stdin=-3, text=True, check=False, cwd=project, env=environment,
                          timeout=60 * MINUTES)  # fmt: skip
    said = [file.read_text(errors="replace")[-4000:] for file in (log, console) if file.exists()]
    print(done.stderr, *said, sep="\n")  # pytest shows it if the test fails
    return done.stdout


def test_vagrant_up_gives_a_machine_that_runs_boxes(box: Path, tmp_path: Path) -> None:
    """`vagrant up` provisions it; boxes, limits by cgroup v2, boxes without sudo, and labs run; `destroy` ends it."""
    assert walk(box, tmp_path, ONE) == f"not yet\n{ONE_SAID}0\nstate,not_created\n"


def test_two_nodes_are_a_swarm_on_tinybox(box: Path, tmp_path: Path) -> None:
    """With NODES=2, a service has limits on each node and its port on both; the tasks of a node without power move."""
    assert walk(box, tmp_path, TWO, NODES="2") == f"not yet\n{TWO_SAID}0\n" + 2 * "state,not_created\n"
