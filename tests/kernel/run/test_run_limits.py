"""Limits of a box take effect: each is met by a program that exceeds it, and by the same program without it."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import facts, kept, new_name, one_line, output, pid_of, until
from tests.support.disks import block_device

if TYPE_CHECKING:
    from tests.conftest import Command, Host

pytestmark = pytest.mark.root

__all__ = ["block_device"]

HOG = "head -c 128m /dev/zero | tail | wc -c"  # tail keeps the last line, and there is only one
MIB = 1 << 20


def group_files(pid: int) -> dict[str, str]:
    """Read the files of every control group that process *pid* is in, version 1 before 2: name to text."""
    found: dict[str, str] = {}
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for row in mounts:
            kind, options = row[row.index("-") + 1], row[-1].split(",")
            if kind == ("cgroup" if controllers else "cgroup2") and {*controllers.split(",")} <= {*options, ""}:
                for name in os.listdir(row[4] + path):
                    with contextlib.suppress(OSError, UnicodeDecodeError):
                        found.setdefault(name, Path(row[4] + path, name).read_text().strip())
    return found


def test_an_out_of_memory_kill_is_reported(tinybox: Command) -> None:
    """With -m 32m a program of 128 MiB ends with 137, and one line names the limit; without the limit it succeeds."""
    done = tinybox("run", "--rm", "-m", "32m", "busybox", "sh", "-c", HOG)
    assert done.returncode == 137
    assert done.stderr.endswith("tinybox: killed: out of memory, limit 32M\n")
    assert done.stdout in ("", "0\n")  # with version 1 wc may still print that it has counted 0 bytes
    assert output(tinybox, "busybox", "sh", "-c", HOG) == f"{128 * MIB}\n"


def test_out_of_memory_ends_the_whole_box(tinybox: Command) -> None:
    """A background process that exceeds the limit ends the program, too, although that uses little memory."""
    script = f"({HOG}) & sleep 60; echo survived"
    done = tinybox("run", "--rm", "-m", "32m", "--init=forward", "busybox", "sh", "-c", script)
    assert done.returncode == 137
    assert "out of memory, limit 32M" in done.stderr
    assert "survived" not in done.stdout  # with version 1 "Killed" may come before that


def test_a_box_within_its_limit_prints_nothing(tinybox: Command) -> None:
    """The control: 8 MiB of 32 are no problem, and a 137 that the program returns itself is not called an OOM kill."""
    done = tinybox("run", "--rm", "-m", "32m", "busybox", "sh", "-c", "head -c 8m /dev/zero | tail | wc -c; kill -9 $$")
    assert (done.returncode, done.stdout, done.stderr) == (137, f"{8 * MIB}\n", "")


def test_limits_are_written_to_the_kernel_s_files(tinybox: Command, host: Host) -> None:
    """Each number is in its file of the box's control groups; cpu-shares become a weight in version 2."""
    name = new_name()
    words = "-m 64m --memory-reservation 32m --cpus 0.5 --cpu-shares 512 --pids-limit 20 --cpuset-cpus 0"
    reserved = "memory.low" if host.cgroups == "v2" else "memory.soft_limit_in_bytes"
    with kept(tinybox, "--rm", "--name", name, *words.split(), "busybox", "sh", "-c", "echo READY; exec sleep 100"):
        files = group_files(pid_of(tinybox, name))
    if host.cgroups == "v2":
        assert (files["memory.max"], files["cpu.max"], files["cpuset.cpus"]) == (f"{64 * MIB}", "50000 100000", "0")
        assert files["memory.oom.group"] == "1"
        assert int(files["cpu.weight"]) < 100
    else:
        assert files["memory.limit_in_bytes"] == f"{64 * MIB}"
        assert (files["cpu.cfs_quota_us"], files["cpu.cfs_period_us"]) == ("50000", "100000")
        assert (files["cpu.shares"], files["cpuset.cpus"]) == ("512", "0")
    assert (files["pids.max"], files[reserved]) == ("20", f"{32 * MIB}")


def test_an_update_of_one_limit_keeps_the_others(tinybox: Command) -> None:
    """Swap alone needs no new memory limit, memory alone keeps that of both; 0 processes: no limit, as in docker."""
    name = new_name()
    shown = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}}"

    def kept_by(*words: str) -> list[float]:
        done = tinybox("update", *words, name)
        assert done.returncode == 0, done.stderr
        memory, swap, tasks = tinybox("inspect", "-f", shown, name).stdout.split()
        return [int(memory) / MIB, int(swap) / MIB, int(tasks)]

    words = "-m 32m --memory-swap 64m --pids-limit 30"
    with kept(tinybox, "--rm", "--name", name, *words.split(), "busybox", "sh", "-c", "echo READY; exec sleep 100"):
        assert kept_by("--memory-swap", "80m") == [32, 80, 30]
        assert kept_by("-m", "48m") == [48, 80, 30]
        assert kept_by("--pids-limit", "0") == [48, 80, -1]
        assert kept_by("--memory", "0", "--cpus", "0.5") == [48, 80, -1]
        done = tinybox("update", "-m", "128m", name)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done
        assert "--memory-swap" in done.stderr
        assert kept_by("-m", "128m", "--memory-swap", "-1") == [128, -1 / MIB, -1]


def test_a_quota_and_its_period_are_written_unchanged(tinybox: Command, host: Host) -> None:
    """--cpus is made of --cpu-quota and --cpu-period; `update` changes one and keeps the other; -1 is no limit."""
    name, words = new_name(), "--cpu-quota 20000 --cpu-period 50000 --cpuset-mems 0"
    none = "max" if host.cgroups == "v2" else "-1"
    with kept(tinybox, "--rm", "--name", name, *words.split(), "busybox", "sh", "-c", "echo READY; exec sleep 100"):
        for change, quota in (("", "20000"), ("30000", "30000"), ("-1", none)):
            assert not change or tinybox("update", "--cpu-quota", change, name).returncode == 0
            files = group_files(pid_of(tinybox, name))
            both = (
                files["cpu.max"].split()
                if host.cgroups == "v2"
                else [files["cpu.cfs_quota_us"], files["cpu.cfs_period_us"]]
            )
            assert (both, files["cpuset.mems"]) == ([quota, "50000"], "0")


@pytest.mark.parametrize(("swap", "total"), [("96m", 96 * MIB), ("-1", None), ("", 128 * MIB)])
def test_swap_is_counted_as_docker_counts_it(tinybox: Command, host: Host, swap: str, total: int | None) -> None:
    """--memory-swap is memory and swap together; -1 is no limit; the default is twice the memory."""
    name, options = new_name(), ("-m", "64m", *(("--memory-swap", swap) if swap else ()))
    with kept(tinybox, "--rm", "--name", name, *options, "busybox", "sh", "-c", "echo READY; exec sleep 100"):
        files = group_files(pid_of(tinybox, name))
    if host.cgroups == "v2" and "memory.swap.max" in files:
        assert files["memory.swap.max"] == ("max" if total is None else f"{total - 64 * MIB}")
    elif "memory.memsw.limit_in_bytes" in files:
        written = int(files["memory.memsw.limit_in_bytes"])
        assert written > 1 << 60 if total is None else written == total
    else:
        assert not swap or total, "this kernel does not count swap; the box runs all the same"


def count(pid: int, name: str) -> int:
    """Return the number *name* of cpu.stat of the control group of process *pid*; 0 if it is missing."""
    words = group_files(pid).get("cpu.stat", "").split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True)).get(name, 0)


def cpu_time(pid: int) -> int:
    """Return how long process *pid* has run, in ns, by the scheduler's own count; see proc_pid_schedstat(5)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def test_cpus_take_effect(tinybox: Command) -> None:
    """With --cpus 0.05 the quota is a twentieth and throttles a busy loop; without --cpus it is never throttled.

    The second box has a weight, and so a group of its own: in the group of the tests others could be throttled.
    """
    loop = ("--init=none", "busybox", "sh", "-c", "echo READY; while :; do :; done")
    with kept(tinybox, "--rm", "--name", name := new_name(), "--cpus", "0.05", *loop):
        files = group_files(pid := pid_of(tinybox, name))
        quota, period = (
            files["cpu.max"].split() if "cpu.max" in files else (files["cpu.cfs_quota_us"], files["cpu.cfs_period_us"])
        )
        assert int(quota) * 20 == int(period)
        until(lambda: count(pid, "nr_throttled"))
    with kept(tinybox, "--rm", "--name", name := new_name(), "--cpu-shares", "512", *loop):
        pid = pid_of(tinybox, name)
        until(lambda: cpu_time(pid) > 200_000_000)
        assert count(pid, "nr_throttled") == 0


def test_a_cpuset_limits_the_visible_cpus(tinybox: Command) -> None:
    """--cpuset-cpus 0: the program may run on CPU 0 alone."""
    look = ("grep", "Cpus_allowed_list", "/proc/self/status")
    assert output(tinybox, "--cpuset-cpus", "0", "busybox", *look).split()[1] == "0"
    assert output(tinybox, "busybox", *look) == next(
        line + "\n" for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(look[1])
    )


def test_a_fork_bomb_meets_its_limit(tinybox: Command) -> None:
    """With --pids-limit 8 there are never more than 8 processes and fork(2) fails; with 100 it does not."""
    bomb = "for i in $(seq 20); do sleep 1000 & done; echo bombed"
    done = tinybox("run", "--rm", "--pids-limit", "8", "busybox", "sh", "-c", bomb)
    assert done.returncode != 0
    assert "can't fork" in done.stderr
    assert output(tinybox, "--pids-limit", "100", "busybox", "sh", "-c", bomb) == "bombed\n"
    assert output(tinybox, "--pids-limit", "-1", "busybox", "sh", "-c", bomb) == "bombed\n"


def test_limits_of_each_process(tinybox: Command) -> None:
    """--ulimit, --oom-score-adj and --shm-size are in effect in the program; without them it has the host's values."""
    look = {
        "files": "ulimit -n", "hard": "ulimit -Hn", "core": "ulimit -c", "score": "cat /proc/self/oom_score_adj",
        "shm": "df -k /dev/shm | tail -1", "full": "head -c 2m /dev/zero > /dev/shm/x; wc -c < /dev/shm/x",
    }  # fmt: skip
    options = ("--ulimit", "nofile=64:128", "--ulimit", "core=0", "--oom-score-adj", "500", "--shm-size", "1m")
    shown = facts(tinybox, *options, **look)
    assert (shown["files"], shown["hard"], shown["core"], shown["score"]) == ("64", "128", "0", "500")
    assert shown["shm"].split()[1] == "1024"
    assert shown["full"].splitlines()[-1] == str(MIB)
    plain = facts(tinybox, **look)
    assert plain["score"] == Path("/proc/self/oom_score_adj").read_text().strip()
    assert plain["files"] != "64"
    assert (plain["shm"].split()[1], plain["full"]) == ("65536", str(2 * MIB))


def test_reading_from_a_device_is_throttled(tinybox: Command, block_device: str) -> None:
    """2 MiB at 1 MiB a second take more than a second; without the limit, or with one for writing, they take less.

    A disk that other programs use may be slow by itself, but not each time.
    """

    def seconds(*options: str) -> float:
        read = f"dd if={block_device} of=/dev/null bs=64k count=32 iflag=direct 2>&1"
        words = ("--device", f"{block_device}:{block_device}:r", *options)
        shown = facts(tinybox, *words, image="alpine", read=read)["read"]
        found = re.search(r"([0-9.]+) *s(econds)?,", shown)
        assert found, shown
        return float(found[1])

    until(lambda: seconds() < 0.9)
    assert seconds("--device-read-bps", f"{block_device}:1m") > 1.0
    until(lambda: seconds("--device-write-bps", f"{block_device}:1m") < 0.9)


def test_a_limit_that_this_host_cannot_apply_is_refused(tinybox: Command) -> None:
    """CPUs that do not exist, an empty set, and a file that is no block device: one line each, and no box."""
    many = str((os.cpu_count() or 1) + 1)
    one_line(tinybox("run", "--rm", "--cpus", many, "busybox", "true"), 125, f"--cpus {many}")
    one_line(
        tinybox("run", "--rm", "--cpuset-cpus", "4000", "busybox", "true"), 125, "--cpuset-cpus 4000: this host has"
    )
    one_line(tinybox("run", "--rm", "--device-read-bps", "/dev/null:1m", "busybox", "true"), 125, "not a block device")


def test_the_limits_are_in_the_config(tinybox: Command, tmp_path: Path) -> None:
    """The bundle has them as properties of OCI, in bytes and microseconds."""
    options = ("-m", "64m", "--cpus", "1.5", "--pids-limit", "9", "--cpu-shares", "100", "--ulimit", "nofile=7")
    assert tinybox("run", *options, "--bundle", str(tmp_path / "bundle"), "busybox", "true").returncode == 0
    config = json.loads((tmp_path / "bundle" / "config.json").read_text())
    wanted = config["linux"]["resources"]
    assert wanted["memory"]["limit"] == 64 * MIB
    assert wanted["cpu"] == {"quota": 150_000, "period": 100_000, "shares": 100}
    assert wanted["pids"] == {"limit": 9}
    assert config["process"]["rlimits"] == [{"type": "RLIMIT_NOFILE", "soft": 7, "hard": 7}]
