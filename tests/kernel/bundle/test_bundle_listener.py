"""``linux.seccomp.listenerPath``: the filter's listener reaches an agent, which answers for the container."""

from __future__ import annotations

import array
import ctypes
import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import strace
from tests.support.boxes import PATIENCE
from tests.support.oci_bundles import Bundle, bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["bundle"]

pytestmark = pytest.mark.root

RECEIVE, SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV and SECCOMP_IOCTL_NOTIF_SEND, linux/seccomp.h


class Answer(ctypes.Structure):
    """``struct seccomp_notif_resp`` of seccomp_unotify(2)."""

    _fields_ = (("id", ctypes.c_uint64), ("val", ctypes.c_int64), ("error", ctypes.c_int32), ("flags", ctypes.c_uint32))


class Agent(threading.Thread):
    """An agent at *path*: it answers every call with success, and does nothing."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listening.bind(path)
        self.listening.listen(1)
        self.told: dict[str, Any] = {}
        self.answered = 0
        self.more = b"?"

    def run(self) -> None:
        """Accept one listener and serve it until its processes have ended."""
        try:
            line, _ = self.listening.accept()
        except OSError:  # no connection came
            return
        fds = array.array("i")
        with line:
            data, rights, _, _ = line.recvmsg(1 << 16, socket.CMSG_LEN(fds.itemsize))
            fds.frombytes(rights[0][2])
            while piece := line.recv(1 << 16):
                data += piece
            self.more = piece
        self.told = json.loads(data)
        self.serve(fds[0])

    def serve(self, listener: int) -> None:
        """Answer call after call; POLLHUP means that no process has the filter any more."""
        waiting = select.poll()
        waiting.register(listener, select.POLLIN)
        while waiting.poll(PATIENCE * 1000)[0][1] & select.POLLIN:
            question = bytearray(80)
            fcntl.ioctl(listener, RECEIVE, question)
            answer = Answer(int.from_bytes(question[:8], "little"), 0, 0, 0)
            fcntl.ioctl(listener, SEND, answer)
            self.answered += 1
        os.close(listener)

    def end(self) -> None:
        """Stop listening, and wait until the thread has ended."""
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.join(PATIENCE)


@pytest.fixture
def agent(bundle: Bundle) -> Iterator[Agent]:
    """Give an agent that listens at the profile's path; it gets the calls that make directories."""
    path = str(bundle.path / "agent")
    listening = Agent(path)
    listening.start()
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        "listenerMetadata": "for you",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}],
    }
    yield listening
    listening.end()


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_the_agent_answers_for_the_container(bundle: Bundle, agent: Agent, no_new_privileges: bool) -> None:
    """Mkdir succeeds, because the agent answered so, and there is no directory; the agent has the container's state."""
    bundle.process["noNewPrivileges"] = no_new_privileges
    bundle.config["annotations"] = {"key": "value"}
    assert bundle.says("mkdir /made && echo made; test -d /made || echo nothing").split() == ["made", "nothing"]
    agent.join(PATIENCE)
    assert agent.answered == 1
    assert agent.more == b""  # the connection was closed after the one state
    told = agent.told
    assert (told["fds"], told["metadata"], told["ociVersion"][:2]) == (["seccompFd"], "for you", "1.")
    assert told["state"] | {"ociVersion": ""} == {
        "ociVersion": "", "id": bundle.name, "status": "creating", "pid": told["pid"], "bundle": str(bundle.path),
        "annotations": {"key": "value"},
    }  # fmt: skip


def test_the_message_is_sent_by_one_call(bundle: Bundle, agent: Agent) -> None:
    """An agent that has read all closes the connection at once: a second write, even of nothing, could fail."""
    bundle.process["args"] = ["true"]
    bundle.save()
    log = bundle.path / "strace"
    command = [str(Path(sys.executable).with_name("tinybox-oci")), "--root", str(bundle.path / "state"), "run"]
    words = [strace.strace(), "-f", "-e", "trace=connect,sendmsg,sendto", "-o", str(log), *command]
    done = subprocess.run([*words, "--bundle", str(bundle.path), bundle.name], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    calls = [line.split(None, 1)[1] for line in log.read_text().splitlines()]
    mine = [line.partition("(")[0] for line in calls if line.startswith(("connect", "send"))]
    assert mine[-2:] == ["connect", "sendmsg"]
    assert "SCM_RIGHTS" in next(line for line in calls if line.startswith("sendmsg"))


def test_a_long_message_comes_in_pieces(bundle: Bundle, agent: Agent) -> None:
    """A message that is longer than the socket's buffer arrives whole, its descriptor with the first piece."""
    bundle.linux["seccomp"]["listenerMetadata"] = "x" * 1_000_000
    assert bundle.says("mkdir /made && echo made") == "made"
    agent.join(PATIENCE)
    assert (agent.answered, agent.told["metadata"]) == (1, "x" * 1_000_000)


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_an_exec_has_a_listener_of_its_own(bundle: Bundle, agent: Agent, no_new_privileges: bool) -> None:
    """Each process that installs the filter sends its listener: that of `exec` arrives while the first is served."""
    bundle.process["noNewPrivileges"] = no_new_privileges
    bundle.create("sleep 1000")
    assert bundle.oci("start", bundle.name).returncode == 0
    second = Agent(f"{bundle.path}/second")
    second.start()
    Path(agent.path).unlink()
    Path(f"{bundle.path}/second").rename(agent.path)
    done = bundle.oci("exec", bundle.name, "mkdir", "/made")
    assert (done.returncode, done.stderr) == (0, "")
    second.join(PATIENCE)
    assert (second.answered, second.told["metadata"]) == (1, "for you")
    assert not (bundle.root / "made").exists()
    second.end()
    bundle.oci("kill", bundle.name, "KILL")


def test_without_an_agent_there_is_no_container(bundle: Bundle, agent: Agent) -> None:
    """If nothing listens at the path, create fails and names it."""
    bundle.linux["seccomp"]["listenerPath"] += "-nobody"
    bundle.refused("linux.seccomp.listenerPath", "-nobody")
    assert agent.told == {}


def test_a_profile_without_notify_needs_no_agent(bundle: Bundle, agent: Agent) -> None:
    """Without SCMP_ACT_NOTIFY the path is ignored."""
    bundle.linux["seccomp"]["syscalls"][0]["action"] = "SCMP_ACT_ALLOW"
    assert bundle.says("mkdir /made && test -d /made && echo made") == "made"
    assert agent.told == {}
