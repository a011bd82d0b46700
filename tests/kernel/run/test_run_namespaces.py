"""Each namespace isolates: its number in /proc/self/ns is new and the host's objects are unseen; `host` shares it."""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import no_trace
from tests.support.boxes import (
    NAMESPACES,
    PATIENCE,
    children,
    command_line_of,
    facts,
    kept,
    lives,
    new_name,
    one_line,
    output,
    pid_of,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

LINKS = f"for kind in {' '.join(NAMESPACES)}; do readlink /proc/self/ns/$kind; done"
HOST = (
    "--uts",
    "host",
    "--pid",
    "host",
    "--ipc",
    "host",
    "--network",
    "host",
    "--cgroupns",
    "host",
    "--userns",
    "host",
)
IPC_CREAT, IPC_RMID = 0o1000, 0


def ours() -> set[str]:
    """Return this process's own namespaces, as `uts:[4026531838]`."""
    return {os.readlink(f"/proc/self/ns/{kind}") for kind in NAMESPACES}


def kinds(links: set[str]) -> set[str]:
    """Return the kinds alone: `uts`."""
    return {link.partition(":")[0] for link in links}


def test_every_namespace_is_its_own_and_can_be_the_host_s(tinybox: Command) -> None:
    """By default all but the user namespace are new; --userns private makes that new, too; `host` shares each."""
    default = set(output(tinybox, "busybox", "sh", "-c", LINKS).split())
    assert kinds(default & ours()) == {"user"}
    private = set(output(tinybox, "--userns", "private", "busybox", "sh", "-c", LINKS).split())
    assert private & ours() == set()
    shared = set(output(tinybox, *HOST, "busybox", "sh", "-c", LINKS).split())
    assert kinds(shared - ours()) == {"mnt"}
    assert len(default) == len(private) == len(shared) == len(NAMESPACES)


@pytest.mark.parametrize(
    ("option", "kind"), [("uts", "uts"), ("pid", "pid"), ("ipc", "ipc"), ("net", "net"), ("cgroupns", "cgroup")]
)
def test_each_one_alone_can_be_the_host_s(tinybox: Command, option: str, kind: str) -> None:
    """One namespace is shared and the others stay apart."""
    shared = set(output(tinybox, f"--{option}", "host", "busybox", "sh", "-c", LINKS).split())
    assert kinds(shared & ours()) == {"user", kind}


def test_a_box_has_no_network_but_itself(tinybox: Command) -> None:
    """Only `lo` is there, and it is up; with --network host the host's links are seen."""
    alone = facts(tinybox, links="ls /sys/class/net", ping="ping -c 1 -w 30 127.0.0.1 | grep -c '1 packets received'")
    assert alone == {"links": "lo", "ping": "1"}
    links = {name for _, name in socket.if_nameindex()}
    assert set(output(tinybox, "--network", "host", "busybox", "ls", "/sys/class/net").split()) == links


def test_a_box_sees_only_its_own_processes(tinybox: Command) -> None:
    """`ps` shows PID 1 and its descendants; with --pid host it shows this test's process, too."""
    pids = "for pid in /proc/[0-9]*; do echo ${pid#/proc/}; done"
    alone = {int(pid) for pid in output(tinybox, "busybox", "sh", "-c", pids).split()}
    assert {1, 2} <= alone
    assert len(alone) <= 4
    everybody = {int(pid) for pid in output(tinybox, "--pid", "host", "busybox", "sh", "-c", pids).split()}
    assert os.getpid() in everybody


@pytest.fixture
def queue() -> Iterator[int]:
    """Make a System V message queue on the host and return its key; see msgget(2)."""
    libc, key = ctypes.CDLL(None), 0x7B0C0000 | os.getpid() & 0xFFFF
    number = libc.msgget(key, IPC_CREAT | 0o600)
    assert number >= 0
    yield key
    libc.msgctl(number, IPC_RMID, None)


def test_queues_and_shared_memory_stay_apart(tinybox: Command, queue: int) -> None:
    """The host's message queue and its /dev/shm are not seen; with --ipc host both are."""
    file = Path("/dev/shm", new_name())
    file.touch()
    try:
        seen = "cat /proc/sysvipc/msg; ls /dev/shm"
        alone = output(tinybox, "busybox", "sh", "-c", seen)
        shared = output(tinybox, "--ipc", "host", "busybox", "sh", "-c", seen)
    finally:
        file.unlink()
    assert (str(queue) in alone.split(), file.name in alone) == (False, False)
    assert (str(queue) in shared.split(), file.name in shared) == (True, True)


def test_the_host_name_is_the_box_s(tinybox: Command) -> None:
    """It is the short id, or the value of -h, and in $HOSTNAME too; with --uts host it is the host's."""
    shown = facts(tinybox, name="hostname", variable="echo $HOSTNAME", group="cat /proc/self/cgroup")
    assert shown["name"] == shown["variable"]
    assert len(shown["name"]) == 12
    assert set(shown["name"]) <= set("0123456789abcdef")
    assert facts(tinybox, "-h", "able", name="hostname", variable="echo $HOSTNAME") == {
        "name": "able",
        "variable": "able",
    }
    assert output(tinybox, "--uts", "host", "busybox", "hostname") == socket.gethostname() + "\n"
    one_line(tinybox("run", "--rm", "--uts", "host", "-h", "x", "busybox", "true"), 125, "--hostname x", "conflicts")
    assert socket.gethostname() not in (shown["name"], "able")


def test_a_box_is_the_top_of_its_control_groups(tinybox: Command) -> None:
    """Each line of /proc/self/cgroup is `/` or the host's own; with --cgroupns host it is the group's real path."""
    alone = output(tinybox, "-m", "64m", "busybox", "cat", "/proc/self/cgroup").split()
    assert not [line for line in alone if "tinybox" in line]
    shared = output(tinybox, "-m", "64m", "--cgroupns", "host", "busybox", "cat", "/proc/self/cgroup").split()
    assert [line for line in shared if f"/{no_trace.room()}/" in line]


def test_a_box_can_join_another_one_s_namespaces(tinybox: Command) -> None:
    """container:NAME: the same processes, queues, links and host name; the other box outlives the joining one."""
    peer, script = new_name(), "touch /dev/shm/of-the-peer; echo READY; exec sleep 100"
    with kept(tinybox, "--rm", "--name", peer, "-h", "peer", "busybox", "sh", "-c", script) as process:
        first = pid_of(tinybox, peer)
        until(lambda: "sleep 100" in map(command_line_of, children(first)))
        theirs = {kind: os.readlink(f"/proc/{first}/ns/{kind}") for kind in NAMESPACES}
        joined = f"container:{peer}"
        options = ("--pid", joined, "--ipc", joined, "--network", joined, "--uts", joined)
        shown = facts(
            tinybox, *options, links=LINKS, name="hostname", shm="ls /dev/shm", ps="ps -o args", pid="echo $$"
        )
        mine = {link.partition(":")[0]: link for link in shown["links"].split()}
        assert {kind for kind in NAMESPACES if mine[kind] == theirs[kind]} == {"pid", "ipc", "net", "uts", "user"}
        assert (shown["name"], shown["shm"]) == ("peer", "of-the-peer")
        assert "sleep 100" in shown["ps"].splitlines()
        assert int(shown["pid"]) > 2
        assert "sleep 100" not in facts(tinybox, ps="ps -o args")["ps"].splitlines()
        assert lives(first)
        assert process.poll() is None


def test_a_box_that_joined_ends_with_its_status_and_signals(tinybox: Command) -> None:
    """In another box's pid namespace it is not PID 1; its status, TERM and kill -9 work nevertheless."""
    peer, other = new_name(), new_name()
    with kept(tinybox, "--rm", "--name", peer, "busybox", "sh", "-c", "echo READY; exec sleep 100"):
        words = ("--rm", "--pid", f"container:{peer}")
        assert tinybox("run", *words, "busybox", "sh", "-c", "exit 42").returncode == 42
        with kept(tinybox, *words, "busybox", "sh", "-c", "echo READY; exec sleep 100") as process:
            process.terminate()
            assert process.wait(PATIENCE) == 143
        with kept(tinybox, *words, "--name", other, "busybox", "sh", "-c", "echo READY; exec sleep 100") as process:
            first = pid_of(tinybox, other)
            process.kill()
            process.wait()
            tinybox("images")
            until(lambda: not lives(first))  # it has left its control group, but may not have ended yet


def test_a_user_namespace_can_be_joined(tinybox: Command) -> None:
    """--userns container:NAME: the same map, and files of the image that belong to root inside."""
    peer, script = new_name(), "echo READY; exec sleep 100"
    with kept(tinybox, "--rm", "--userns", "private", "--name", peer, "busybox", "sh", "-c", script):
        first = pid_of(tinybox, peer)
        user = os.readlink(f"/proc/{first}/ns/user")
        mapped = Path(f"/proc/{first}/uid_map").read_text().split()
        shown = facts(
            tinybox, "--userns", f"container:{peer}",
            user="readlink /proc/self/ns/user", map="cat /proc/self/uid_map", owner="stat -c %u:%g /bin/busybox /etc",
            write="touch /new && stat -c %u /new",
        )  # fmt: skip
    assert (shown["user"], shown["map"].split()) == (user, mapped)
    assert (shown["owner"].split(), shown["write"]) == (["0:0", "0:0"], "0")


@pytest.mark.parametrize("option", ["pid", "ipc", "uts", "userns", "cgroupns"])
def test_only_a_box_that_runs_can_be_joined(tinybox: Command, option: str) -> None:
    """An unknown box and an invalid mode are one line each, status 125."""
    one_line(tinybox("run", f"--{option}", "container:nobody", "busybox", "true"), 125, "container nobody")
    one_line(
        tinybox("run", f"--{option}", "elsewhere", "busybox", "true"), 125, f"--{option} elsewhere", "container:NAME"
    )


def test_a_stopped_box_cannot_be_joined(tinybox: Command) -> None:
    """Its namespaces ended with its last process; the error line gives that reason."""
    name = new_name()
    assert tinybox("run", "--name", name, "busybox", "true").returncode == 0
    one_line(tinybox("run", "--pid", f"container:{name}", "busybox", "true"), 125, name, "is not running")
    assert tinybox("rm", name).returncode == 0
