"""pause, resume, update, events, and where the control groups of an OCI container are."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import no_trace
from tests.support.engine_directories import RUNTIME
from tests.support.slowness import SLOWNESS
from tinybox.isolation.cgroups.hierarchies import hierarchies

if TYPE_CHECKING:
    from tests.support.oci_runtimes import Runtime

pytestmark = pytest.mark.root

MEBIBYTE = 1 << 20
FILES = {("memory", 1): "memory.limit_in_bytes", ("memory", 2): "memory.max", ("pids", 1): "pids.max"}


def limit(group: str, controller: str) -> str:
    """Return the limit of a group in the kernel's file."""
    where = hierarchies()
    file = FILES.get((controller, where.version(controller)), f"{controller}.max")
    return Path(f"{where.root(controller)}{group}/{file}").read_text().strip()


def test_a_paused_container_stands_still(runtime: Runtime) -> None:
    """Pause and resume: the status follows; exec is refused in between, except with --ignore-paused; KILL ends it."""
    runtime.runs("box")
    assert runtime("pause", "box").returncode == 0
    assert runtime.status("box") == "paused"
    assert "paused" in runtime("exec", "box", "true").stderr
    assert runtime("resume", "box").returncode == 0
    assert runtime.status("box") == "running"
    assert runtime("exec", "box", "true").returncode == 0
    runtime("pause", "box")
    assert runtime("kill", "box", "KILL").returncode == 0
    runtime.until("box", "stopped")


def test_an_exec_in_a_paused_container_waits_until_it_goes_on(runtime: Runtime) -> None:
    """With --ignore-paused the program begins when the container is resumed; no command has to wait until then."""
    runtime.runs("box")
    assert runtime("pause", "box").returncode == 0
    words = [RUNTIME, "--root", str(runtime.root), "exec", "--ignore-paused", "box", "sh", "-c", "exit 7"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as waiting:
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(1 * SLOWNESS)
        assert runtime("resume", "box").returncode == 0
        assert waiting.wait(30 * SLOWNESS) == 7


def test_a_paused_container_is_not_started(runtime: Runtime) -> None:
    """Its first process could not read the start message: an error; after resume, start works."""
    assert runtime.create("box").returncode == 0
    assert runtime("pause", "box").returncode == 0
    assert "cannot start a container that is paused" in runtime("start", "box").stderr
    assert runtime.status("box") == "paused"
    assert runtime("resume", "box").returncode == 0
    assert runtime.status("box") == "created"
    assert runtime("start", "box").returncode == 0
    assert runtime.status("box") == "running"


def test_the_group_is_the_one_of_the_engine(room: str, runtime: Runtime) -> None:
    """An absolute path begins at the root of each hierarchy; existing groups stay, new ones are removed."""
    where = hierarchies()
    shared = Path(f"{where.roots()[0]}{room}/box")
    shared.mkdir(parents=True)
    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))
    pid = runtime.runs("box")["pid"]
    paths = {
        line.split(":", 2)[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if ":name=" not in line
    }
    assert paths == {f"{room}/box"}
    assert "it holds processes already" in runtime.create("other").stderr
    assert runtime("delete", "--force", "box").returncode == 0
    assert [root for root in where.roots() if os.path.exists(f"{root}{room}/box")] == where.roots()[:1]


def test_an_unfit_group_is_an_error(room: str, runtime: Runtime) -> None:
    """An existing group must be empty and not frozen; an empty one that is not frozen is accepted."""
    where = hierarchies()
    if where.unified is None:
        pytest.skip("this host has no cgroup v2")
    group = Path(f"{where.unified}{room}/box")
    group.mkdir(parents=True)
    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))
    (group / "cgroup.freeze").write_text("1")
    done = runtime.create("box")
    assert done.returncode == 125
    assert "it is frozen" in done.stderr
    (group / "cgroup.freeze").write_text("0")
    with subprocess.Popen(["sleep", "100"]) as sleeper:
        (group / "cgroup.procs").write_text(str(sleeper.pid))
        assert "it holds processes already" in runtime.create("box").stderr
        assert sleeper.poll() is None  # processes in the refused group go on
        sleeper.kill()
    assert runtime.create("box").returncode == 0


def test_the_same_id_below_another_root_is_another_container(runtime: Runtime) -> None:
    """Without a cgroupsPath they would share a group: the second is refused, and the first goes on."""
    pid = runtime.runs("box")["pid"]
    other = ["--root", f"{runtime.folder}/other"]
    done = runtime.through([], [*other, "create", "--bundle", str(runtime.bundle), "box"])
    assert done.returncode == 125
    assert "it exists already" in done.stderr
    assert runtime.through([], [*other, "delete", "--force", "box"]).returncode == 0
    assert runtime.state("box")["pid"] == pid
    assert runtime.status("box") == "running"


def test_every_controller_is_available_to_the_engine(room: str, runtime: Runtime) -> None:
    """In the engine's group a container has all controllers of the host, not only those that its limits need."""
    where = hierarchies()
    if not where.v2_controllers:
        pytest.skip("version 2 has no controllers here")
    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))
    runtime.runs("box")
    found = Path(f"{where.unified}{room}/box/cgroup.controllers").read_text().split()
    assert set(found) == where.v2_controllers


def test_a_remaining_group_can_be_used_again(room: str, runtime: Runtime) -> None:
    """A container that is killed in the engine's group leaves it reusable: the next one runs there."""
    where = hierarchies()
    for root in where.roots():
        Path(f"{root}{room}/box").mkdir(parents=True)
    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))
    for _ in range(2):
        runtime.runs("box")
        assert runtime("delete", "--force", "box").returncode == 0
        assert all(os.path.isdir(f"{root}{room}/box") for root in where.roots())


def test_a_relative_path_is_below_tinybox_s_group(runtime: Runtime) -> None:
    """A relative path, and none, are below the group of tinybox."""
    for path, group in (("some/box", f"/{no_trace.room()}/some/box"), ("", f"/{no_trace.room()}/box")):
        place = {"cgroupsPath": path}
        runtime.change(lambda config: config["linux"].update(place))  # noqa: B023  called at once
        pid = runtime.runs("box")["pid"]
        assert f":{group}\n" in Path(f"/proc/{pid}/cgroup").read_text()
        assert runtime("delete", "--force", "box").returncode == 0


def test_a_limit_of_the_caller_holds_below_it(room: str, runtime: Runtime) -> None:
    """With --below-caller a limit above the caller's group holds for the container, its execs and updates; else not."""
    where = hierarchies()
    root = where.root("pids")
    Path(f"{root}{room}/caller").mkdir(parents=True)
    for folder in (str(root), f"{root}{room}") if where.version("pids") == 2 else ():
        Path(folder, "cgroup.subtree_control").write_text("+pids")
    Path(f"{root}{room}/pids.max").write_text("12")
    enter = ["sh", "-c", f'echo $$ > {root}{room}/caller/cgroup.procs && exec "$@"', "sh"]
    words = ["--root", str(runtime.root), "run", "--bundle", str(runtime.bundle), "box"]
    runtime.program("sh", "-c", "for each in $(seq 20); do sleep 1000 & done")
    assert runtime.through(enter, words).returncode == 0
    done = runtime.through(enter, [*words, "--below-caller"])
    assert (done.returncode, "can't fork" in done.stderr) == (2, True), done

    runtime.program("sleep", "1000")
    words = ["--root", str(runtime.root), "create", "--below-caller", "--bundle", str(runtime.bundle), "box"]
    assert runtime.through(enter, words).returncode == 0
    place = f"{room}{'/caller' if where.version('pids') == 1 else ''}/{no_trace.room()}/box"
    assert f"{place}\n" in Path(f"/proc/{runtime.state('box')['pid']}/cgroup").read_text()
    assert runtime("start", "box").returncode == 0
    assert runtime("update", "--pids-limit=7", "box").returncode == 0
    assert limit(place, "pids") == "7"
    assert "can't fork" in runtime("exec", "box", "sh", "-c", "for each in $(seq 7); do sleep 99 & done").stderr
    assert runtime("delete", "--force", "box").returncode == 0
    assert not Path(f"{root}{place}").parent.exists()


def test_usage_is_reported(runtime: Runtime) -> None:
    """`events --stats` prints CPU time, memory and processes once; without it again and again, until the end."""
    runtime.runs("box")
    event = json.loads(runtime("events", "--stats", "box").stdout)
    assert (event["type"], event["id"]) == ("stats", "box")
    assert event["data"]["cpu"]["usage"]["total"] > 0
    words = [RUNTIME, "--root", str(runtime.root), "events", "--interval=10ms", "box"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert [json.loads(follower.stdout.readline())["type"] for _ in range(2)] == ["stats", "stats"]
        runtime("kill", "box", "KILL")
        follower.communicate(timeout=60 * SLOWNESS)
    assert follower.returncode == 0


def test_out_of_memory_is_reported(runtime: Runtime) -> None:
    """`events` reports when the OOM killer has killed a process."""
    runtime.change(lambda config: config["linux"]["resources"].update(memory={"limit": 16 * MEBIBYTE}))
    runtime.program("sh", "-c", "read word; exec tail /dev/zero")
    reading, writing = os.pipe()
    done = runtime.create("box", stdin=reading)
    os.close(reading)
    assert done.returncode == 0, done.stderr
    assert runtime("start", "box").returncode == 0
    words = [RUNTIME, "--root", str(runtime.root), "events", "--interval=100ms", "box"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline())["type"] == "stats"
        os.write(writing, b"go\n")
        os.close(writing)
        said, _ = follower.communicate(timeout=60 * SLOWNESS)
    assert "oom" in [json.loads(line)["type"] for line in said.splitlines()]
