"""The runtimes without root, as a user that is made for the benchmark: tinybox and podman.

The clock runs in a process of this user, which is started once: so the way from root to the user is not measured.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

from benchmarks.peers import IMAGE, Interpreter, check, packed, tool
from tests.support import student

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from tests.support.student import Student

CLOCK = """
import json, os, sys, time
arguments = json.loads(sys.argv[1])
null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1)]
for line in sys.stdin:
    start = time.perf_counter_ns()
    pid = os.posix_spawn(arguments[0], arguments, os.environ, file_actions=null)
    status = os.waitpid(pid, 0)[1]
    print(time.perf_counter_ns() - start if status == 0 else f"status {os.waitstatus_to_exitcode(status)}", flush=True)
"""
users: dict[ExitStack, Student] = {}


def user(stack: ExitStack) -> Student:
    """Return the user of this benchmark, which is made once, and removed when *stack* ends."""
    if stack not in users:
        for program in ("newuidmap", "newgidmap", "setpriv"):
            tool(program)
        users[stack] = stack.enter_context(student.made())
    return users[stack]


def as_user(someone: Student, *words: str) -> list[str]:
    """Return the command that runs *words* as the user, in its home, with its variables and no others."""
    variables = [f"{name}={value}" for name, value in someone.environment.items()]
    return someone.words("env", "-i", "-C", str(someone.home), *variables, *words)


def timed(stack: ExitStack, name: str, note: str, *arguments: str) -> Interpreter:
    """Return a peer whose command is started by a process of the user; Unavailable if the first start fails."""
    someone = user(stack)
    line = as_user(someone, sys.executable, "-c", CLOCK, json.dumps(arguments))
    peer = Interpreter(stack, name, note, *line)
    peer.milliseconds()
    return peer


def tinybox(folder: Path, stack: ExitStack) -> Interpreter:
    """Run the installed command as the user: in a user namespace that the user's ranges of ids are mapped into."""
    words = [user(stack).path, "run", "--rm", "--network", "none", IMAGE, "true"]
    return timed(stack, "tinybox rootless", "without root: user namespace, newuidmap, overlay, init; no cgroup", *words)


def podman(folder: Path, stack: ExitStack) -> Interpreter:
    """Run the same root under podman as the user; its pause process keeps the user namespace between the runs."""
    someone = user(stack)
    home = someone.home / "podman"
    places = [f"--{name}={home / name}" for name in ("root", "runroot", "tmpdir")]
    settings = ["--storage-driver=overlay", "--cgroup-manager=cgroupfs", "--events-backend=none", "--log-level=error"]
    base = [tool("podman"), *places, *settings, "--runtime=runc"]
    stack.callback(end, someone)
    archive = shutil.move(packed(folder), someone.home / "root.tar")
    check(*as_user(someone, *base, "import", "--quiet", str(archive), IMAGE))
    note = "without root: overlay, conmon, runc; a pause process keeps its user namespace"
    return timed(stack, "podman rootless", note, *base, "run", "--rm", "--network=none", IMAGE, "true")


def end(someone: Student) -> None:
    """Kill what podman leaves running for this user: the pause process."""
    for pid in someone.processes():
        os.kill(pid, signal.SIGKILL)
