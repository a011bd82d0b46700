"""A Swarm of three nodes on one machine, each a dockerd whose default runtime is tinybox.

Each node has mount, pid and network namespaces of its own; a bridge of the test joins the networks. A kernel without
ip_vs has no load balancing for a service, so the tasks use the network of their node.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import until
from tests.support.docker_engines import IMAGE, PATIENCE, PROGRAMS, Docker, dockerd, give_image
from tests.support.engine_directories import quarters
from tinybox.images.store import Store
from tinybox.isolation.cgroups.hierarchies import hierarchies

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow]

NODES = 3
SWARM_SH = Path(__file__).parents[2] / "vm" / "swarm.sh"
BRIDGE = "tb-swarm"
MEBIBYTE = 1 << 20


def ip(*words: str) -> None:
    """Run ``ip WORDS``; see ip(8)."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextlib.contextmanager
def joined(nodes: list[Docker]) -> Iterator[None]:
    """Give each node an interface `eth0` with the address 10.99.0.1, .2, ..., on one bridge."""
    ip("link", "add", BRIDGE, "type", "bridge")
    try:
        ip("link", "set", BRIDGE, "up")
        for number, node in enumerate(nodes, start=1):
            peer = ("peer", "name", "eth0", "netns", str(node.place.keeper))
            ip("link", "add", f"{BRIDGE}{number}", "type", "veth", *peer)
            ip("link", "set", f"{BRIDGE}{number}", "master", BRIDGE, "up")
            for words in (("addr", "add", f"10.99.0.{number}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
                assert node.place("ip", *words).returncode == 0
        yield
    finally:
        ip("link", "del", BRIDGE)


def swarm_sh(node: Docker, *words: str) -> str:
    """Run vm/swarm.sh, which the Vagrantfile runs on its machines, with the dockerd of a node; return its output."""
    done = node.place("env", f"DOCKER_HOST=unix://{node.socket}", str(SWARM_SH), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture
def swarm(store_root: Path) -> Iterator[list[Docker]]:
    """Give three nodes of one Swarm, with the image busybox; the first one is its manager."""
    layers = Store(str(store_root)).image("busybox").layers
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(quarters(*PROGRAMS, name=f"n{n}", pids=True)) for n in range(NODES)]
        stack.enter_context(joined([Docker(place) for place in places]))
        nodes = [stack.enter_context(dockerd(place, default="tinybox")) for place in places]
        for node in nodes:
            give_image(node, layers)
        manager = nodes[0]
        swarm_sh(manager, "manager", "10.99.0.1", "--dispatcher-heartbeat", "1s")
        token = swarm_sh(manager, "token")
        for node in nodes[1:] * 2:  # a node that is in the Swarm stays in it
            swarm_sh(node, "join", "10.99.0.1", token)
        yield nodes


def tasks(manager: Docker) -> dict[str, list[str]]:
    """Return the ids of the running tasks of the service `six`, by the name of their node."""
    form = "{{.Node}} {{.ID}} {{.CurrentState}} {{.DesiredState}}"
    found: dict[str, list[str]] = {}
    for row in manager.says("service", "ps", "--no-trunc", "--format", form, "six").splitlines():
        node, task, state, *_, wanted = row.split()
        if (state, wanted) == ("Running", "Running"):
            found.setdefault(node, []).append(task)
    return found


def spread(manager: Docker) -> dict[str, int]:
    """Return how many tasks run on each node."""
    return {node: len(found) for node, found in tasks(manager).items()}


def containers(node: Docker) -> list[str]:
    """Return the full ids of the running containers of a node."""
    return node.says("ps", "-q", "--no-trunc").split()


def has_containers(node: Docker, number: int) -> bool:
    """Return whether *number* containers run on a node."""
    return len(containers(node)) == number


def limits(node: Docker) -> set[tuple[str, str]]:
    """Return the limits of memory and of processes of all containers of a node, from the kernel's files."""
    where, found = hierarchies(), set()
    file = "memory.max" if where.version("memory") == 2 else "memory.limit_in_bytes"
    for each in containers(node):
        group = f"{node.place.group}/{each}"
        texts = [
            Path(f"{where.root(kind)}{group}/{name}").read_text()
            for kind, name in (("memory", file), ("pids", "pids.max"))
        ]
        found.add((texts[0].strip(), texts[1].strip()))
    return found


def test_a_service_lives_on_three_nodes(swarm: list[Docker]) -> None:
    """A service of six: limits hold on each node, an update replaces all tasks, and a killed node's tasks move."""
    manager, second, third = swarm
    assert {node.says("info", "-f", "{{.DefaultRuntime}}") for node in swarm} == {"tinybox"}
    create = ["service", "create", "--name=six", "--replicas=6", "--network=host", "--no-resolve-image", "--detach"]
    create += ["--limit-memory=32m", "--limit-pids=20", "--stop-grace-period=1s", "--env=VERSION=1"]
    manager.says(*create, IMAGE, "sleep", "10000")
    until(lambda: spread(manager) == {"n0": 2, "n1": 2, "n2": 2}, PATIENCE)
    for node in swarm:
        assert limits(node) == {(str(32 * MEBIBYTE), "20")}
        assert "tinybox:init" not in node.says("top", containers(node)[0])  # docker asks for no init

    before = {task for found in tasks(manager).values() for task in found}
    manager.says("service", "update", "--env-add=VERSION=2", "--update-parallelism=3", "--detach", "six")
    until(lambda: sum(len(set(found) - before) for found in tasks(manager).values()) == 6, PATIENCE)
    for node in swarm:
        until(functools.partial(has_containers, node, 2), PATIENCE)
        assert node.says("exec", containers(node)[0], "sh", "-c", "echo $VERSION") == "2"

    manager.says("service", "scale", "--detach", "six=4")
    until(lambda: sum(spread(manager).values()) == 4, PATIENCE)
    os.kill(third.pid, signal.SIGKILL)
    until(lambda: spread(manager).get("n2", 0) == 0 and sum(spread(manager).values()) == 4, 2 * PATIENCE)
    assert len(containers(manager)) + len(containers(second)) == 4
    manager.says("service", "rm", "six")
    until(lambda: not containers(manager) and not containers(second), PATIENCE)
