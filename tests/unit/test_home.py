"""The home of a user without root: which ids it has, and which process is in it."""

from __future__ import annotations

import fcntl
import os
import signal
from typing import TYPE_CHECKING

import pytest

from tinybox.isolation.rootless import home
from tinybox.linux.user_namespaces import HOME, NETWORK

if TYPE_CHECKING:
    from pathlib import Path

SUBUID = """\
# a comment
other:100000:65536
student:200000:1000
1000:300000:10
student:bad:1
student:400000:0
student:500000
"""


def test_the_ranges_of_a_user() -> None:
    """A line is the user's by name or by number; lines that give nothing are passed over. See subuid(5)."""
    assert home.ranges(SUBUID, "student", 1000) == [(200000, 1000), (300000, 10)]
    assert home.ranges(SUBUID, "nobody", 65534) == []


def test_the_map_for_newuidmap() -> None:
    """Id 0 is the user; the ranges follow one another inside."""
    words = home.id_map(1000, [(200000, 1000), (300000, 10)])
    assert words == ["0", "1000", "1", "1", "200000", "1000", "1001", "300000", "10"]
    assert home.id_map(1000, []) == ["0", "1000", "1"]


@pytest.mark.parametrize(("name", "forbids", "permits"), home.SWITCHES)
def test_the_cure_names_the_switch_that_forbids(name: str, forbids: str, permits: str) -> None:
    """Of the switches of the kernel, the one with the value that forbids user namespaces; with other values none."""
    paths = {f"/proc/sys/{each.replace('.', '/')}": value for each, _, value in home.SWITCHES}
    forbidden = paths | {f"/proc/sys/{name.replace('.', '/')}": f"{forbids}\n"}
    assert home.cure(forbidden.get) == f"as root of the host: sysctl {name}={permits}"
    assert "sysctl" not in home.cure(paths.get)


@pytest.mark.parametrize("byte", [HOME, NETWORK])
def test_the_kernel_names_a_living_holder(tmp_path: Path, byte: int) -> None:
    """A process that holds the lock is found by its pid until it ends, also by SIGKILL; the other byte is apart."""
    fd = os.open(tmp_path / "home", os.O_RDWR | os.O_CREAT)
    ready, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        fcntl.lockf(fd, fcntl.LOCK_SH, 1, byte)
        os.write(said, b"l")
        signal.pause()
    assert os.read(ready, 1) == b"l"
    assert home.holder(fd, byte) == pid
    assert home.holder(fd, HOME + NETWORK - byte) == 0
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert home.holder(fd, byte) == 0
    for each in (fd, ready, said):
        os.close(each)
