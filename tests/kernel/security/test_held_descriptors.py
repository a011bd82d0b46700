"""The file descriptors of each process that lives long: a list of what it needs, and nothing besides."""

from __future__ import annotations

import array
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import children, command_line_of, kept, new_name, pid_of, until
from tests.support.detached_boxes import descriptors_of, life, open_files_of
from tests.support.oci_bundles import Bundle, bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

__all__ = ["bundle"]

pytestmark = pytest.mark.root

# By the beginning or the end of what /proc/PID/fd shows
CREATED = ["/gate", "/memfd:tinybox (deleted)", "/report"]  # it waits at the gate; the trampoline will report
OWNER = [
    "/dev/null",
    "/lock",
    "anon_inode:[pidfd]",
    "anon_inode:[signalfd]",
]  # the stdin of the box; the lock and the pidfd of its owner
MONITOR = [*OWNER, "/container.log", "socket:"]  # the log, and the socket at which `attach` arrives


@pytest.fixture
def leak() -> Iterator[int]:
    """Leave a file of the caller open for its children, which no process of a box may keep."""
    fd = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(fd, True)
    yield fd
    os.close(fd)


def held(pid: int) -> list[str]:
    """Return what process *pid* holds besides its three streams: the last part of a path, the kind of the others."""
    others = [target for fd, target in descriptors_of(pid).items() if fd > 2]
    return sorted(
        re.sub(r"\[\d+\]", "", target) if "dev" in target or not target.startswith("/") else f"/{Path(target).name}"
        for target in others
    )


def first_process(bundle: Bundle) -> int:
    """Return the pid of the container's first process."""
    return int(json.loads(bundle.oci("state", bundle.name).stdout)["pid"])


@pytest.mark.parametrize("terminal", [False, True])
def test_a_created_container_holds_what_it_needs_to_start(bundle: Bundle, leak: int, terminal: bool) -> None:
    """Gate, report and trampoline; not the terminal's other end, and no file of the engine's."""
    bundle.process["terminal"] = terminal
    bundle.process["args"] = ["sleep", "1000"]
    bundle.save()
    path = str(bundle.path / "console")
    words = [str(Path(sys.executable).with_name("tinybox-oci")), "--root", str(bundle.path / "state"), "create"]
    words += ["--bundle", str(bundle.path), *(["--console-socket", path] if terminal else []), bundle.name]
    with socket.socket(socket.AF_UNIX) as listening, (bundle.path / "out").open("w") as out:
        listening.bind(path)
        listening.listen(1)
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False, pass_fds=[leak], timeout=60
        )
        assert done.returncode == 0, (bundle.path / "out").read_text()
        fds = array.array("i")
        if terminal:
            with listening.accept()[0] as line:
                fds.frombytes(line.recvmsg(100, socket.CMSG_LEN(fds.itemsize))[1][0][2])
    pid = first_process(bundle)
    assert held(pid) == CREATED
    assert bundle.oci("start", bundle.name).returncode == 0
    assert held(pid) == []
    for fd in fds:
        os.close(fd)


@pytest.mark.parametrize("mode", ["forward", "none"])
@pytest.mark.parametrize("terminal", [(), ("-t",)])
def test_the_processes_of_a_detached_box(tinybox: Command, leak: int, mode: str, terminal: tuple[str, ...]) -> None:
    """PID 1 and the program have three streams; the monitor has what it reads from and what shows that it lives."""
    name = new_name()
    options = (f"--init={mode}", *terminal, "--health-cmd", "true", "--health-interval", "1s")
    words = [tinybox.path, "run", "-d", "--name", name, *options, "busybox", "sleep", "1000"]
    done = subprocess.run(words, env=tinybox.environment, capture_output=True, check=False, pass_fds=[leak], timeout=60)
    assert done.returncode == 0, done.stderr
    try:
        first = pid_of(tinybox, name)
        monitor = int(Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[1])
        for pid in (first, *children(first)):
            assert held(pid) == []
        output = ["/dev/pts/ptmx"] if terminal else ["pipe:", "pipe:"]
        until(lambda: held(monitor) == sorted([*MONITOR, *output]))  # while a check runs, it has more
    finally:
        tinybox("rm", "-f", name)


def test_the_process_of_the_foreground(tinybox: Command) -> None:
    """It has no pipe to the program any more when the program runs; an exec has no lock besides."""
    name = new_name()
    with kept(tinybox, "--rm", "--name", name, "busybox", "sh", "-c", "echo READY; exec sleep 1000") as process:
        until(lambda: held(process.pid) == OWNER)  # an event is being written when the program begins
        executing = tinybox.start("exec", name, "sleep", "1000")
        until(lambda: any(command_line_of(child) == "sleep 1000" for child in children(executing.pid)))
        assert [each for each in held(executing.pid) if each not in ("/dev/null", "anon_inode:[pidfd]")] == [
            "anon_inode:[signalfd]"
        ]
        for child in children(executing.pid):
            assert held(child) == []
        executing.kill()
        executing.communicate()


def test_the_link_maker_has_its_two_pipes(tinybox: Command, leak: int) -> None:
    """While it makes the links of a box, it has the two pipes, netlink sockets, and the namespaces that it works on."""
    tinybox.environment["TINYBOX_NETWORK"] = "bridge"
    seen: set[str] = set()
    for _ in range(3):
        words = [tinybox.path, "run", "--rm", "busybox", "true"]
        with subprocess.Popen(words, env=tinybox.environment, pass_fds=[leak], stdout=subprocess.PIPE) as process:
            while process.poll() is None:
                for pid in link_makers(process.pid):
                    with contextlib.suppress(OSError):
                        seen.update(open_files_of(pid))
        if seen:
            break
    modules = r".*/(pyroute2|python3)[./].*|/.*/lib.*\.so[.\d]*|/etc/ld\.so\.cache"  # open while the loader maps it
    needed = re.compile(rf"/dev/null|(pipe|socket|net):.*|/run/tinybox-networks.*|/proc/.*|{modules}")
    assert [each for each in seen if not needed.fullmatch(each) and not each.startswith(tinybox.root)] == []
    assert os.readlink(f"/proc/self/fd/{leak}") not in seen


def link_makers(pid: int) -> list[int]:
    """Return the children of *pid* that have taken the link maker's name, and so have closed what they inherited."""
    found = []
    for child in children(pid):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{child}/comm").read_text() == "tinybox:links\n" and len(open_files_of(child)) < 12:
                found.append(child)
    return found


def test_a_fresh_list_would_show_a_leak(tinybox: Command, leak: int) -> None:
    """The control: the leaked file is open in tinybox itself, whose children would have it."""
    name = new_name()
    command = ["sh", "-c", "echo READY; exec sleep 1000"]
    with kept(tinybox, "--rm", "--name", name, "busybox", *command, pass_fds=[leak]) as process:
        assert "/hostname" in held(process.pid)
        for pid in children(process.pid):
            assert held(pid) == []
    with life(tinybox, "busybox", "sleep", "1000") as box:
        assert "/hostname" not in held(box.monitor)
