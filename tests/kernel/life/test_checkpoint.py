"""checkpoint and start --checkpoint: the processes of a box become files, and go on later as if nothing had been."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import one_line, until
from tests.support.checkpoints import COUNTER, checkpoints_of, numbers, working_criu
from tests.support.detached_boxes import Life, life, stdout_of

if TYPE_CHECKING:
    from tests.conftest import Command

__all__ = ["working_criu"]
pytestmark = [pytest.mark.root, pytest.mark.usefixtures("working_criu")]

ADDRESS = "{{.NetworkSettings.Networks.bridge.IPAddress}}"
CUT = re.compile(r"lowerdir=\S+|^\d+ \d+ \d+:\d+ ", re.MULTILINE)  # of mountinfo: numbers that differ for each mount


def mounts(it: Life) -> list[str]:
    """Return the mounts of a box, without their numbers and without the directories of its root."""
    return sorted(CUT.sub("", Path(f"/proc/{it.pid}/mountinfo").read_text()).splitlines())


def keep(tinybox: Command, it: Life, name: str = "cp1", *options: str) -> None:
    """Make a checkpoint of a box; it must succeed."""
    assert stdout_of(tinybox, "checkpoint", "create", *options, it.name, name) == f"{name}\n"


def test_the_program_goes_on_where_it_was(tinybox: Command) -> None:
    """The box ends with its checkpoint, and `start --checkpoint` lets it go on: no number is missing or comes twice.

    Control: a start without the checkpoint begins with 1 again.
    """
    with life(tinybox, "busybox", *COUNTER) as it:
        until(lambda: len(numbers(it.log())) > 3)
        keep(tinybox, it)
        ended = it.ended()
        assert (ended["status"], ended["exitCode"]) == ("stopped", 128 + signal.SIGKILL)
        before = numbers(it.log())
        assert checkpoints_of(tinybox, it.name) == ["cp1"]
        assert stdout_of(tinybox, "start", "--checkpoint", "cp1", it.name) == f"{it.name}\n"
        until(lambda: len(numbers(it.log())) > len(before) + 3)
        after = numbers(it.log())
        assert after == list(range(1, len(after) + 1))
        stdout_of(tinybox, "stop", "-t", "0", it.name)
        count = len(numbers(it.log()))
        stdout_of(tinybox, "start", it.name)
        until(lambda: len(numbers(it.log())) > count)
        assert numbers(it.log())[count] == 1
        assert [event for event in it.events() if event == "checkpoint"] == ["checkpoint"]


def test_a_restored_box_is_as_before(tinybox: Command) -> None:
    """Mounts, limits, filter, rights, streams, memory file systems and PIDs are as they were; commands work on it."""
    options = "-m 64m --pids-limit 20 --cpus 0.5 -u 1000 --read-only --tmpfs /t -v /vol --sysctl net.core.somaxconn=77"
    script = "trap 'exit 7' TERM; echo kept > /t/file; echo kept > /dev/shm/file; while :; do sleep 0.1; done"
    with life(tinybox, *options.split(), "busybox", "sh", "-c", script) as it:
        until(lambda: it.inside("cat /dev/shm/file") == "kept")
        before, rights = mounts(it), it.inside("grep -E '^(Uid|Cap|Seccomp|NoNew)' /proc/2/status")
        keep(tinybox, it)
        stdout_of(tinybox, "start", "--checkpoint", "cp1", it.name)
        assert mounts(it) == before
        assert it.inside("grep -E '^(Uid|Cap|Seccomp|NoNew)' /proc/2/status") == rights
        assert it.inside("cat /t/file /dev/shm/file /proc/sys/net/core/somaxconn") == "kept\nkept\n77"
        group = f"/sys/fs/cgroup/{Path(f'/proc/{it.pid}/cgroup').read_text().split('::/')[1].strip()}"
        limits = [Path(group, name).read_text().strip() for name in ("memory.max", "pids.max", "cpu.max")]
        assert limits == [str(64 << 20), "20", "50000 100000"]
        assert it.inside("readlink /proc/self/ns/time") == os.readlink(f"/proc/{it.pid}/ns/time")
        assert it.inside("readlink /proc/self/ns/time") != os.readlink("/proc/self/ns/time")
        stdout_of(tinybox, "stop", it.name)
        assert it.ended()["exitCode"] == 7


def test_a_restored_box_has_its_network(tinybox: Command) -> None:
    """A server that has bound the address of its box is reached at the published port as before.

    The second box keeps the network: a start gets the next address there.
    """
    script = "echo here > /index.html; exec httpd -f -p $(hostname -i):80 -h /"
    with (
        life(tinybox, "--network", "bridge", "-p", "80", "busybox", "sh", "-c", script) as it,
        life(tinybox, "--network", "bridge", "busybox", "sleep", "1000"),
    ):
        address = it.shown(ADDRESS)
        until(lambda: "httpd" in it.inside("ps"))
        keep(tinybox, it)
        stdout_of(tinybox, "start", "--checkpoint", "cp1", it.name)
        assert it.shown(ADDRESS) == address
        port = stdout_of(tinybox, "port", it.name, "80").rpartition(":")[2].strip()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            assert answer.read() == b"here\n"


def test_a_box_may_go_on_running(tinybox: Command, tmp_path: Path) -> None:
    """With --leave-running the box goes on; another box of its image can go on from --checkpoint-dir."""
    with life(tinybox, "busybox", *COUNTER) as it, life(tinybox, "busybox", *COUNTER, verb="create") as other:
        pid = it.pid
        keep(tinybox, it, "cp1", "--leave-running", "--checkpoint-dir", str(tmp_path))
        count = len(numbers(it.log()))
        until(lambda: len(numbers(it.log())) > count)
        assert (it.pid, checkpoints_of(tinybox, it.name)) == (pid, [])
        stdout_of(tinybox, "start", "--checkpoint", "cp1", "--checkpoint-dir", str(tmp_path), other.name)
        until(lambda: numbers(other.log()))
        assert numbers(other.log())[0] > 1
        done = tinybox("start", "--checkpoint", "cp1", "--checkpoint-dir", str(tmp_path), other.name)
        one_line(done, 1, "is running")


def test_a_failed_dump_leaves_the_box_running(tinybox: Command) -> None:
    """Criu refuses an open connection: one line says so, the box goes on, and no checkpoint is left."""
    script = "nc -ll -p 99 -e sleep 1000 & until sleep 1000 | nc 127.0.0.1 99; do :; done"
    with life(tinybox, "busybox", "sh", "-c", script) as it:
        until(lambda: "ESTABLISHED" in it.inside("netstat -tn"))
        pid = it.pid
        one_line(tinybox("checkpoint", "create", it.name, "cp1"), 1, "criu: ", "TCP", "the container goes on")
        assert (it.pid, it.state["status"]) == (pid, "running")
        assert "ESTABLISHED" in it.inside("netstat -tn")
        assert not os.listdir(it.root / "containers" / it.id / "checkpoints")


def test_a_failed_restore_loses_nothing(tinybox: Command) -> None:
    """With a damaged image, `start` fails in one line, and the box rests with its files; mended, the box goes on."""
    with life(tinybox, "busybox", *COUNTER) as it:
        keep(tinybox, it)
        image = it.root / "containers" / it.id / "checkpoints/cp1/core-1.img"
        whole = image.read_bytes()
        image.write_bytes(whole[:7])
        one_line(tinybox("start", "--checkpoint", "cp1", it.name), 1, "criu: ", "restore.log")
        assert it.ended()["status"] == "stopped"
        assert checkpoints_of(tinybox, it.name) == ["cp1"]
        image.write_bytes(whole)
        stdout_of(tinybox, "start", "--checkpoint", "cp1", it.name)
        assert it.state["status"] == "running"


def test_a_killed_command_loses_nothing(tinybox: Command) -> None:
    """Criu completes what a killed `checkpoint create` has begun: the box runs, or there is a checkpoint of it."""
    with life(tinybox, "busybox", *COUNTER) as it:
        until(lambda: numbers(it.log()))
        log = it.root / "containers" / it.id / "checkpoints/cp1/dump.log"
        with tinybox.start("checkpoint", "create", it.name, "cp1") as command:
            until(log.exists)
            os.kill(command.pid, signal.SIGKILL)
        it.ended()
        assert checkpoints_of(tinybox, it.name) == ["cp1"]
        count = len(numbers(it.log()))
        stdout_of(tinybox, "start", "--checkpoint", "cp1", it.name)
        until(lambda: len(numbers(it.log())) > count)
        assert numbers(it.log())[: count + 1] == list(range(1, count + 2))


def test_streams_of_a_foreground_box(tinybox: Command, tmp_path: Path) -> None:
    """Output that was redirected to a file goes on into that file, and the exit status is the program's."""
    out = tmp_path / "out"
    script = "for n in 1 2 3 4 5 6 7 8 9; do echo $n; sleep 0.5; done; exit 7"
    with life(tinybox, "busybox", "true") as other:
        name = f"{other.name}-fg"
        with (
            out.open("w") as file,
            tinybox.start("run", "--name", name, "busybox", "sh", "-c", script, stdout=file) as run,
        ):
            until(out.read_text)
            stdout_of(tinybox, "checkpoint", "create", name, "cp1")
            assert run.wait() == 128 + signal.SIGKILL
        assert tinybox("start", "-a", "--checkpoint", "cp1", name).returncode == 7
        assert numbers(out.read_text()) == list(range(1, 10))
        subprocess.run([tinybox.path, "rm", name], env=tinybox.environment, check=True, stdout=subprocess.DEVNULL)
