"""What both runc and crun accept: odd but harmless values of config.json, and arguments of the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tinybox.isolation.cgroups.hierarchies import NAMED, hierarchies

if TYPE_CHECKING:
    from tests.support.oci_runtimes import Runtime

pytestmark = pytest.mark.root


def says(runtime: Runtime, script: str, **parts: Any) -> str:
    """Return what *script* prints in a container whose ``process`` and ``linux`` have these *parts*, too."""
    former = (runtime.bundle / "config.json").read_text()
    runtime.program("sh", "-c", script)
    for section, values in parts.items():
        runtime.change(lambda config: config[section].update(values))  # noqa: B023  called at once
    done = runtime("run", "--bundle", str(runtime.bundle), "box")
    (runtime.bundle / "config.json").write_text(former)
    assert (done.returncode, done.stderr) == (0, ""), (parts, done)
    return done.stdout.strip()


def test_odd_values_are_accepted(runtime: Runtime) -> None:
    """A missing number is 0, an empty object asks for nothing, a device's path may end with a slash, HOME be empty."""
    assert says(runtime, "id -u; id -g", process={"user": {}}).split() == ["0", "0"]
    assert says(runtime, "id -u; id -g", process={"user": {"gid": 5}}).split() == ["0", "5"]
    assert says(runtime, "echo ran", process={"ioPriority": {"class": "IOPRIO_CLASS_BE"}}) == "ran"
    assert says(runtime, "echo [$HOME]", process={"env": ["PATH=/bin", "HOME="]}) == "[]"
    assert says(runtime, "echo [$HOME]") == "[/root]"
    runtime.change(lambda config: config["root"].update(readonly=False))
    device = {"path": "/odd/", "type": "c", "major": 1, "minor": 3}
    assert says(runtime, "test -c /odd; echo $?", linux={"devices": [device]}) == "0"


def test_signal_0_asks_whether_the_process_is_there(runtime: Runtime) -> None:
    """`kill ID 0` sends nothing: 0 while it runs, an error afterwards."""
    runtime.runs("box")
    assert runtime("kill", "box", "0").returncode == 0
    assert runtime.status("box") == "running"
    runtime("kill", "box", "KILL")
    runtime.until("box", "stopped")
    assert "container not running" in runtime("kill", "box", "0").stderr


def test_what_a_first_process_leaves_in_the_host_s_pid_namespace_can_be_killed(runtime: Runtime) -> None:
    """There its end does not end the others: `kill ID KILL` reaches them, other signals are an error as before."""
    kinds = [{"type": kind} for kind in ("mount", "uts", "network", "ipc", "cgroup")]
    runtime.change(lambda config: config["linux"].update(namespaces=kinds))
    runtime.program("sh", "-c", "sleep 1000 & exit 0")
    assert runtime.create("box").returncode == 0
    assert runtime("start", "box").returncode == 0
    runtime.until("box", "stopped")
    left = json.loads(runtime("ps", "--format", "json", "box").stdout)
    assert len(left) == 1
    assert "container not running" in runtime("kill", "box", "TERM").stderr
    assert runtime("kill", "box", "KILL").returncode == 0
    assert not Path(f"/proc/{left[0]}/root/bin").exists() or runtime("ps", "--format", "json", "box").stdout == "[]\n"
    assert "container not running" in runtime("kill", "box", "KILL").stderr


@pytest.mark.parametrize("path", ["", "relative/box"])
def test_every_controller_is_visible_without_an_absolute_path(runtime: Runtime, path: str) -> None:
    """/sys/fs/cgroup of a container has each controller of the host, with the container's own group at its top."""
    where = hierarchies()
    expected = {name.removeprefix(NAMED) for name in where.v1 if where.version(name) == 1} | {"unified"}
    if where.mode != "hybrid":
        pytest.skip("only a host with both versions has a directory for each controller")
    found = says(runtime, "ls /sys/fs/cgroup; wc -l < /sys/fs/cgroup/pids/cgroup.procs", linux={"cgroupsPath": path})
    *names, processes = found.split()
    assert set(names) == expected
    assert 1 <= int(processes) <= 3  # sh, wc and itself
    assert not [root for root in where.roots() if os.path.exists(f"{root}/relative")]
