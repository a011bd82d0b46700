"""A process of a box joins its control groups of version 1 itself: the kernel does not wait, and none is left out."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import TIMEOUT
from tests.support import strace
from tests.support.boxes import named, until
from tests.support.cgroup_children import HOST, group_with
from tinybox.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Command
    from tests.support.oci_runtimes import Runtime

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not HOST.v1, reason="this host has no control groups of version 1"),
]

LIMITS = ("-m", "64m", "--pids-limit", "20", "--cpus", "0.5")
LIMITED = [controller for controller in ("memory", "pids", "cpu") if HOST.version(controller) == 1]
OWN = "cat /proc/self/cgroup"
WRITE = re.compile(r'write\(\d+<[^>]*/(tasks|cgroup\.procs)>, "(\d+)"')


def places(text: str) -> dict[str, str]:
    """Return the path for each controller in the text of /proc/PID/cgroup."""
    rows = [line.split(":", 2) for line in text.splitlines()]
    return {controller: path for _, controllers, path in rows for controller in controllers.split(",")}


def threads_of(pid: str) -> list[str]:
    """Return the threads of the process *pid*, as numbers."""
    return [path.name for path in Path(f"/proc/{pid}/task").iterdir()]


@pytest.mark.parametrize("options", [(), ("--init=none",), ("--userns", "private"), ("-u", "1000")])
def test_a_program_begins_in_all_its_groups(tinybox: Command, options: tuple[str, ...]) -> None:
    """The first thing that it does is to read its groups: it is in each that has a limit; control: in no other one."""
    with named(tinybox) as name:
        words = ("--name", name, "--cgroupns", "host", *options, "busybox", "sh", "-c", OWN)
        shown = places(tinybox("run", *LIMITS, *words).stdout)
        box = tinybox("inspect", "-f", "{{.Id}}", name).stdout.strip()
    assert [controller for controller in LIMITED if not shown[controller].endswith(f"/{box}")] == []
    plain = places(tinybox("run", "--rm", "--cgroupns", "host", *options, "busybox", "sh", "-c", OWN).stdout)
    here = places(Path("/proc/self/cgroup").read_text())
    assert [controller for controller in LIMITED if plain[controller] != here[controller]] == []


def test_each_process_and_thread_of_a_box_is_in_them(tinybox: Command) -> None:
    """The init, the program, and those of exec with and without -u, -d: ``tasks`` has every thread of them."""
    with named(tinybox) as name:
        assert tinybox("run", "-d", "--name", name, *LIMITS, "busybox", "sleep", "1000").returncode == 0
        for options in (("-d",), ("-d", "-u", "1000")):
            assert tinybox("exec", *options, name, "sleep", "1000").returncode == 0
        box = tinybox("inspect", "-f", "{{.Id}}", name).stdout.strip()
        folders = [next(Path(HOST.v1[controller]).rglob(box)) for controller in LIMITED]
        everyone = (next(Path(HOST.unified or folders[0]).rglob(box)) / "cgroup.procs").read_text().split()
        assert len(everyone) == 4
        threads = sorted(thread for pid in everyone for thread in threads_of(pid))
        for folder in folders:
            assert sorted((folder / "tasks").read_text().split()) == threads, folder
        shown = places(tinybox("exec", name, "cat", "/proc/self/cgroup").stdout)
        assert {shown[controller] for controller in LIMITED} == {"/"}  # the root of the box's cgroup namespace


def test_exec_works_at_the_limit_of_processes_which_holds_for_it(tinybox: Command) -> None:
    """The box has as many processes as it may: pids.max refuses no exec, and every fork(2) of its program."""
    with named(tinybox) as name:
        words = ("run", "-d", "--name", name, "--pids-limit", "2", "busybox", "sleep", "1000")
        assert tinybox(*words).returncode == 0
        assert tinybox("exec", name, "echo", "here").stdout == "here\n"
        done = tinybox("exec", name, "sh", "-c", "(true) || true; echo not here")
        assert "can't fork" in done.stderr, done
        assert done.stdout == ""


def test_the_limit_of_memory_holds_for_exec(tinybox: Command) -> None:
    """A program that needs twice the limit is killed; the control: one that needs less is not."""
    with named(tinybox) as name:
        words = ("run", "-d", "--name", name, "-m", "32m", "--memory-swap", "32m", "busybox", "sleep", "1000")
        assert tinybox(*words).returncode == 0
        assert tinybox("exec", name, "sh", "-c", "head -c 4m /dev/zero | tail | wc -c").stdout == f"{4 << 20}\n"
        assert tinybox("exec", name, "sh", "-c", "head -c 64m /dev/zero | tail >/dev/null").returncode == 137


def test_a_group_that_is_removed_meanwhile_is_an_error() -> None:
    """enter() tells it in the words of control groups, and closes all files; the control: an existing group."""
    with group_with(HOST, {"memory": {"limit": 64 << 20}, "pids": {"limit": 9}}) as group:
        tasks = group.open_tasks()
        assert len(tasks) == len({HOST.v1[controller] for controller in LIMITED if controller != "cpu"})
        group.remove()
        with pytest.raises(HostError, match="the group was removed"):
            group.enter(tasks)
        assert group.open_tasks() == []


def tried(command: Callable[..., object], log: Path, *words: str) -> list[tuple[str, str]]:
    """Return the file and the number of each write that moves a process, in `tinybox WORDS` and all its children."""
    before = [strace.strace(), "-f", "-y", "-qq", "-e", "trace=write", "-o", str(log)]
    command(before, *words)
    return WRITE.findall(log.read_text())


def test_no_process_is_moved_by_another_one(room: str, runtime: Runtime, tinybox: Command, tmp_path: Path) -> None:
    """`run` with limits, exec, `tinybox-oci run` and its exec write "0" to ``tasks``, for each group, and no pid."""
    log = tmp_path / "log"

    def oci(before: list[str], *words: str) -> None:
        done = runtime.through(before, ["--root", str(runtime.root), *words])
        assert done.returncode == 0, done

    def plain(before: list[str], *words: str) -> None:
        null = subprocess.DEVNULL  # a box that stays would keep a pipe open
        command = [*before, tinybox.path, *words]
        subprocess.run(command, env=tinybox.environment, check=True, stdin=null, stdout=null, timeout=TIMEOUT)

    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))  # in every hierarchy
    runtime.program("true")
    found = {"oci run": tried(oci, log, "run", "--bundle", str(runtime.bundle), "box")}
    runtime.program("sleep", "1000")
    runtime.runs("other")
    found["oci exec"] = tried(oci, log, "exec", "other", "true")
    with named(tinybox) as name:
        found["run"] = tried(plain, log, "run", "--rm", *LIMITS, "busybox", "true")
        assert tinybox("run", "-d", "--name", name, *LIMITS, "busybox", "sleep", "1000").returncode == 0
        found["exec"] = tried(plain, log, "exec", name, "true")
    everywhere, limited = len(set(HOST.v1.values())), len({HOST.v1[controller] for controller in LIMITED})
    moved = [("cgroup.procs", "0")] if HOST.version("pids") == 2 else []  # exec there: see planning/entering.py
    assert {verb: len(writes) for verb, writes in found.items()} == {
        "oci run": everywhere, "oci exec": everywhere + len(moved), "run": limited, "exec": limited + len(moved)
    }  # fmt: skip
    if not moved:
        assert {write for writes in found.values() for write in writes} == {("tasks", "0")}


@pytest.mark.skipif(HOST.version("pids") != 1, reason="the limit of processes is of version 2 here")
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_refusal_of_the_kernel_is_one_line(room: str, runtime: Runtime, verb: str) -> None:
    """strace(1) lets the write fail as in a removed group: status 125 or 255, one line, and nothing is left."""
    runtime.change(lambda config: config["linux"].update(cgroupsPath=f"{room}/box"))
    if verb == "exec":
        runtime.runs("box")
    file = f"{HOST.v1['pids']}{room}/box/tasks"
    before = [strace.strace(), "-f", "-qq", "-o", "/dev/null", "-P", file, "-e", "inject=write:error=ENODEV"]
    words = ["run", "--bundle", str(runtime.bundle), "box"] if verb == "run" else ["exec", "box", "true"]
    done = runtime.through(before, ["--root", str(runtime.root), *words])
    lines = [line for line in done.stderr.splitlines() if not line.startswith("strace")]
    assert (done.returncode != 0, len(lines)) == (True, 1), done
    assert re.search(rf"cgroup {room[1:]}/box: there is no such device, or the group was removed", lines[0])
    if verb == "exec":
        until(lambda: len(Path(file).read_text().split()) == 1)  # the box's own process
    else:
        assert not Path(file).parent.exists()


@pytest.mark.skipif(
    not Path(HOST.v1.get("cpu", "/"), "cpu.rt_runtime_us").exists(), reason="the kernel is without RT_GROUP_SCHED"
)
def test_a_caller_with_a_real_time_priority_can_limit_processors(tinybox: Command) -> None:
    """A real-time process may not join a new group of cpu (EINVAL): the box has the default priority before it joins.

    strace(1) delays the parent, which gives it that priority: a child that joined before the gate would be refused.
    """
    late = ["-e", "trace=sched_setscheduler", "-e", "inject=sched_setscheduler:delay_enter=300ms"]
    before = ["chrt", "-f", "10", strace.strace(), "-qq", "-o", "/dev/null", *late, tinybox.path]
    settings = {"env": tinybox.environment, "stderr": subprocess.PIPE, "timeout": TIMEOUT}
    with named(tinybox) as name:
        for words in (["run", "--name", name, "--cpus", "0.5", "busybox", "true"], ["start", name]):
            done = subprocess.run([*before, *words], check=False, **settings)  # type: ignore[call-overload]
            assert (done.returncode, done.stderr) == (0, b"")
