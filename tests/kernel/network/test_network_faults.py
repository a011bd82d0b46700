"""kill -9 at any step of a box with a network: the next command leaves no link, address, rule, port or lease of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.life.test_faults import faulty
from tests.support.boxes import new_name, until
from tests.support.detached_boxes import kill_and_wait, life, nothing_is_left, stdout_of
from tests.support.network_boxes import addresses, bridged, everything, links, same_as
from tests.support.second_host import ip
from tests.support.slowness import SLOWNESS
from tinybox.container.network import definitions, pools
from tinybox.container.records.paths import Paths
from tinybox.linux.filesystem import locks
from tinybox.linux.sockets import nftables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

__all__ = ["bridged"]
pytestmark = [pytest.mark.root, pytest.mark.slow]

RUN = ("run", "--rm", "-p", "8080:80", "busybox", "sleep", "0.05")
KILLED = "tinybox: network: the process that makes the network links was killed\n"
OWN = ("ports", "addresses", "names", "network", "await-network")


def libraries(program: str) -> dict[str, str]:
    """Return the shared libraries of a *program*, by name, each with its path; see ldd(1)."""
    shown = subprocess.run(["ldd", program], capture_output=True, text=True, check=True, timeout=20 * SLOWNESS).stdout
    return {words[0]: words[2] for line in shown.splitlines() if len(words := line.split()) > 3 and words[1] == "=>"}


def has_left_a_note() -> bool:
    """Wait for the link remover, which has a lock, and tell whether its note is still there: it was killed."""
    folder = pools.folder()
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        locks.lock_file(fd)
        return os.path.exists(f"{folder}/{pools.LEAVING}")
    finally:
        os.close(fd)


@contextlib.contextmanager
def unfirewalled(tinybox: Command, name: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a box called *name*; once it runs, take libnftables from its owner, and make nft(8) fail.

    The owner has a mount namespace of its own, where both files are another program.
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = ["unshare", "--mount", tinybox.path, "run", "--name", name, *words]
    with subprocess.Popen(command, env=tinybox.environment, text=True, **pipes) as process:  # type: ignore[call-overload]
        state = Path(tinybox.root, "run", name, "state.json")
        until(lambda: state.exists() and json.loads(state.read_text())["status"] == "running")
        there = ["nsenter", f"--mount=/proc/{process.pid}/ns/mnt", "mount", "--bind", str(shutil.which("false"))]
        for file in (nftables.program(), libraries(nftables.program())[nftables.LIBRARY]):
            subprocess.run([*there, os.path.realpath(file)], check=True, timeout=20 * SLOWNESS)
        yield process


def test_the_plan_has_the_steps_of_networks(bridged: Command) -> None:
    """They are among the parent's, in this order; with --network none there are none of them."""
    lines = stdout_of(bridged, "run", "--dry-run", "-p", "80", "busybox", "true").splitlines()
    assert tuple(line.split()[2] for line in lines if line.split()[2] in OWN) == OWN
    alone = stdout_of(bridged, "run", "--dry-run", "--network", "none", "busybox", "true").splitlines()
    assert not {line.split()[2] for line in alone} & set(OWN)


def test_kill_after_each_step(bridged: Command) -> None:
    """Killed after any of the parent's steps: the box ends, and the next command removes all that it had."""
    before = everything()
    for event in [*(f"step:{name}" for name in (*OWN, "clone", "await")), "state:created", "state:running"]:
        with faulty(bridged, "kill-at", event, *RUN) as process:
            process.communicate(timeout=20 * SLOWNESS)
        assert process.returncode == -signal.SIGKILL, event
        nothing_is_left(bridged)
        same_as(before)


def test_kill_at_any_call_to_the_system(bridged: Command) -> None:
    """Killed at its n-th call, also while it releases things: the next command leaves nothing."""
    before, killed = everything(), 0
    for count in range(60, 2000, 1 if os.environ.get("TINYBOX_SOAK") else 23):
        with faulty(bridged, "kill-at", str(count), *RUN) as process:
            process.communicate(timeout=20 * SLOWNESS)
        nothing_is_left(bridged)
        same_as(before)
        if process.returncode == 0:
            break
        killed += 1
    assert killed > 5


def test_the_link_maker_is_killed_at_any_call(bridged: Command) -> None:
    """The link maker dies, early or late: the run fails with one line, and the host is at once as it was."""
    before, killed = everything(), 0
    for count in range(3, 2000, 1 if os.environ.get("TINYBOX_SOAK") else 5):
        with faulty(bridged, "kill-link-maker-at", str(count), *RUN) as process:
            _, told = process.communicate(timeout=20 * SLOWNESS)
        same_as(before)
        if process.returncode == 0:
            break
        assert (process.returncode, told) == (125, KILLED), count
        killed += 1
    assert killed > 5


def test_the_link_remover_is_killed_at_any_call(bridged: Command) -> None:
    """The link remover dies, early or late: the run has ended well, and the next command removes what is left.

    The control: some of them leave the bridge for the next command.
    """
    before, left, count = everything(), 0, 0
    while count < 200:
        count += 1
        with faulty(bridged, "kill-link-remover-at", str(count), *RUN) as process:
            out, told = process.communicate(timeout=20 * SLOWNESS)
        assert (process.returncode, out, told) == (0, "", ""), count
        if not has_left_a_note():
            break
        left += "tinybox0" in links()
        nothing_is_left(bridged)
        same_as(before)
    assert left >= 2
    same_as(before)


def test_a_step_that_fails_is_undone(bridged: Command) -> None:
    """An error in any of these steps is one line, status 125, and the host is at once as it was."""
    before = everything()
    for name in OWN:
        with faulty(bridged, "fail-at", name, *RUN) as process:
            _, told = process.communicate(timeout=20 * SLOWNESS)
        assert (process.returncode, len(told.splitlines())) == (125, 1), (name, told)
        same_as(before)


def test_rules_that_cannot_be_removed(bridged: Command) -> None:
    """The firewall fails when the box ends: one line on stderr; the doctor finds the rules, and --fix removes them.

    The box itself has ended normally, and has released its link and its address.
    """
    before, name = everything(), new_name()
    with unfirewalled(bridged, name, "--rm", "-i", "busybox", "cat") as box:
        _, told = box.communicate("", timeout=20 * SLOWNESS)
    assert (box.returncode, told) == (0, "tinybox: firewall: nft: status 1 (see nft(8))\n")
    until(lambda: {key for key, value in everything().items() if before[key] != value} == {"rules"})
    assert "firewall rules without a box: inet tinybox" in bridged("doctor").stdout
    assert "removed: firewall rules without a box: inet tinybox" in bridged("doctor", "--fix").stdout
    same_as(before)


def test_network_findings_of_the_doctor(bridged: Command) -> None:
    """A lease without a box, a bridge with a link in it, the pool of an ended namespace: reported, and fixed.

    Objects of a running box stay: it is on another bridge.
    """
    stdout_of(bridged, "network", "create", "other")
    bridge = definitions.find(Paths(bridged.root), "other").bridge
    with life(bridged, "busybox", "sleep", "600") as box:
        before = everything()
        dead = pools.Pool("tinybox0")
        os.symlink(f"{bridged.root}/run/nobody", f"{dead.path}/172.30.9.9")
        os.mkdir(f"{pools.POOLS}/1")
        os.symlink(f"{bridged.root}/run/nobody", f"{pools.POOLS}/1/.last")
        ip("link", "add", bridge, "type", "bridge")
        ip("link", "add", "vethnobodys0", "master", bridge, "type", "veth", "peer", "name", "vethnobodys1")
        kinds = ("addresses of dead boxes: 172.30.9.9", "links without a box: vethnobodys0",
                 f"links without a box: {bridge}", "pools of dead network namespaces: 1")  # fmt: skip
        told = " ".join(bridged("doctor").stdout.split())
        assert all(kind.partition(":")[0] in told for kind in kinds)
        fixed = bridged("doctor", "--fix").stdout.splitlines()
        assert {f"removed: {kind}" for kind in kinds} <= set(fixed)
        assert [everything()[key] for key in ("links", "pool")] == [before[key] for key in ("links", "pool")]
        assert not os.path.exists(f"{pools.POOLS}/1")
        assert box.inside("ip route").startswith("default")
        assert not set(fixed[: len(kinds)]) & set(bridged("doctor", "--fix").stdout.splitlines())
    stdout_of(bridged, "network", "rm", "other")


def test_a_monitor_is_killed(bridged: Command) -> None:
    """The box of a killed monitor ends; after the next command its address and port are free; it can start again."""
    before = everything()
    with life(bridged, "-p", "8080:80", "busybox", "sleep", "600") as box:
        assert len(addresses(box)) == 1
        kill_and_wait(box.monitor)
        bridged("images")
        same_as(before)
        stdout_of(bridged, "start", box.name)
        assert len(addresses(box)) == 1
    same_as(before)
