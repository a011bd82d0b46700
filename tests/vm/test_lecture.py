"""The machine for the lecture: its Vagrantfile is valid, and its provision script sets up a new Debian.

The new Debian 13 is made by debootstrap(8), in a chroot with its own mounts and processes; packages come from where
this host gets its own. There is no systemd in it, and its kernel is this host's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import own_network
from tests.vm.debian import CHECKOUT, MINUTES, files, inside, new_debian

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_vagrant = pytest.mark.skipif(
    shutil.which("vagrant") is None, reason="vagrant is missing (make test-provision installs it)"
)
needs_debootstrap = pytest.mark.skipif(
    shutil.which("debootstrap") is None, reason="debootstrap is missing (make test-provision installs it)"
)


def validate(folder: Path, words: str = "validate -p", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``vagrant WORDS`` in *folder* with *variables*; it leaves nothing in the home directory."""
    environment = {**os.environ, **variables, "VAGRANT_HOME": str(folder / "home"), "VAGRANT_CHECKPOINT_DISABLE": "1"}
    return subprocess.run(["vagrant", *words.split()], capture_output=True, text=True, check=False, cwd=folder,
                          env=environment, timeout=MINUTES)  # fmt: skip


@pytest.mark.slow
@needs_vagrant
def test_the_vagrantfile_is_valid(tmp_path: Path) -> None:
    """`vagrant validate -p` accepts it; and, the control, refuses one without a box."""
    text = (CHECKOUT / "Vagrantfile").read_text()
    (tmp_path / "Vagrantfile").write_text(text)
    done = validate(tmp_path)
    assert (done.returncode, "validated successfully" in done.stdout) == (0, True), done
    (tmp_path / "Vagrantfile").write_text(text.replace("config.vm.box = BOX", ""))
    assert validate(tmp_path).returncode != 0


@pytest.mark.slow
@needs_vagrant
def test_the_vagrantfile_makes_nodes(tmp_path: Path) -> None:
    """With NODES=3 it is valid, too, and has three machines, each with vm/swarm.sh; without, it has one as before."""
    shutil.copy(CHECKOUT / "Vagrantfile", tmp_path)
    done = validate(tmp_path, NODES="3")
    assert (done.returncode, "validated successfully" in done.stdout) == (0, True), done
    machines = [
        re.findall(r"^(\S+) +not created", validate(tmp_path, "status", NODES=number).stdout, re.MULTILINE)
        for number in "13"
    ]
    assert machines == [["default"], ["node1", "node2", "node3"]]


def test_the_machine_gets_each_file_of_the_checkout() -> None:
    """What rsync(1) leaves out begins at the top of the checkout, and git knows no file there: not so tinybox/build."""
    (words,) = re.findall(r"rsync__exclude: \[(.*)\]", (CHECKOUT / "Vagrantfile").read_text())
    patterns = re.findall(r'"(.*?)"', words)
    assert "/.venv/" in patterns
    assert {pattern[0] for pattern in patterns} == {"/"}  # without it, the pattern fits in each directory
    assert [name for name in files() if f"/{name}".startswith(tuple(patterns))] == []


@pytest.fixture(scope="module")
def debian() -> Iterator[Path]:
    """Give the root directory of a new Debian, with the checkout in /vagrant."""
    with new_debian() as root:
        yield root


# What a user without root types, after root of the machine has set it up: `make run`, and a walk with other commands.
WALK = r"""
set -e
cp -r /vagrant checkout && cd checkout
make run SUDO= CMD='head -n 1 /etc/os-release; tr -s " " < /proc/self/uid_map' 2> progress | tail -n 3
make run SUDO= 2> progress | grep -x -e lecture -e '(exit status 42)'
cd && export PATH=$HOME/checkout/.venv/bin:$PATH
tinybox run -d --name web -p 8080:80 alpine nc -lk -p 80 -e echo hello > id
tinybox exec web nc 127.0.0.1 80
python3 -c 'import socket; print(socket.create_connection(("127.0.0.1", 8080)).makefile().readline(), end="")'
tinybox rm -f web
printf 'FROM alpine\nRUN adduser -D me && echo built > /f && chown me /f && chmod 600 /f\nUSER me\nCMD cat /f\n' \
    > Containerfile
tinybox build -q -t mine . > id
tinybox run --rm mine
tinybox lab check namespaces fork rootless | tail -n 1
tinybox system prune -a -f > freed
tinybox images -q
"""
SAID = """\
NAME="Alpine Linux"
 0 1000 1
 1 100000 65536
lecture
(exit status 42)
hello
hello
web
built
3 labs: 3 PASS, 0 FAIL, 0 INCONCLUSIVE
"""
# udev(7) and pam_systemd(8) of a booted machine do this; the variables are the way to the package index from here.
AS_STUDENT = """
set -e
mknod /tmp/tun c 10 200; chmod 666 /tmp/tun; mount --bind /tmp/tun /dev/net/tun; rm /tmp/tun
mkdir -p -m 755 /run/user; install -d -m 700 -o student /run/user/$(id -u student)
exec su --login --whitelist-environment PIP_CERT student -c "$1"
"""


@pytest.mark.root
@pytest.mark.slow
@needs_debootstrap
def test_a_new_debian_runs_boxes(debian: Path) -> None:
    """provision.sh installs all, the second time nothing, without a network; boxes run, all commands have help."""
    inside(debian, "useradd", "--create-home", "--shell", "/bin/bash", "student")
    with own_network.of_the_machine():
        first = inside(debian, "/vagrant/vm/provision.sh")
    assert "set-up: apt-get install" in first
    again = inside(debian, "/vagrant/vm/provision.sh")
    assert "set-up: apt-get install" not in again
    assert "cgroups" in again.rpartition("manual pages")[2]  # the doctor reports at the end
    assert 'NAME="Alpine Linux"' in inside(debian, "tinybox", "run", "--rm", "alpine", "cat", "/etc/os-release")
    inside(debian, "tinybox", "run", "alpine", "true")
    completed = "source /usr/share/bash-completion/bash_completion; _comp_load tinybox; complete -p tinybox"
    told = inside(debian, "su", "--login", "student", "-c", f"tinybox --version; man --where tinybox-run; {completed}")
    assert told.splitlines()[0].startswith("tinybox, version")
    assert "/man/man1/tinybox-run.1\n" in told
    assert "_tinybox_completion" in told


@pytest.mark.root
@pytest.mark.slow
@needs_debootstrap
def test_a_user_of_the_new_debian_needs_no_sudo(debian: Path) -> None:
    """The user makes a virtual environment, and runs, publishes, builds and prunes with a store of its own."""
    with own_network.of_the_machine():
        inside(debian, "apt-get", "-qq", "-y", "install", "make")
        assert inside(debian, "sh", "-c", AS_STUDENT, "sh", WALK) == SAID
