"""Runtimes under dockerd: what `docker run` costs with tinybox, and with runc.

One dockerd runs in namespaces of its own, as in tests/oci/test_docker.py, and serves both rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.peers import IMAGE, Command, check, packed, tool
from tests.support.docker_engines import PROGRAMS, Docker, dockerd
from tests.support.engine_directories import quarters

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

daemons: dict[ExitStack, Docker] = {}


def daemon(folder: Path, stack: ExitStack) -> Docker:
    """Return the dockerd of this benchmark, with the image; it is started once, and ends when *stack* ends."""
    if stack not in daemons:
        for program in PROGRAMS:
            tool(program)
        place = stack.enter_context(quarters(name="bench"))
        docker = stack.enter_context(dockerd(place, storage="overlay2"))
        docker.says("import", str(packed(folder)), IMAGE)
        daemons[stack] = docker
    return daemons[stack]


def docker_run(folder: Path, stack: ExitStack, runtime: str) -> Command:
    """Run the root under docker with a runtime that dockerd knows, and without a network."""
    docker = daemon(folder, stack)
    words = ["run", "--rm", f"--runtime={runtime}", "--network=none", IMAGE, "/bin/true"]
    arguments = [tool("docker"), f"--host=unix://{docker.socket}", *words]
    check(*arguments)
    note = f"dockerd, containerd, its shim, {runtime}; overlay, cgroup; peak: the client alone"
    return Command(f"docker, {runtime}", note, *arguments)


def docker_tinybox(folder: Path, stack: ExitStack) -> Command:
    """Run it with the runtime tinybox."""
    return docker_run(folder, stack, "tinybox")


def docker_runc(folder: Path, stack: ExitStack) -> Command:
    """Run it with docker's own runtime."""
    return docker_run(folder, stack, "runc")
