"""The host stays out of reach: its Python behind /proc/1/exe, its control groups, its kernel's settings.

CVE-2019-5736 (the runtime's own program, seen through /proc), CVE-2022-0492 (release_agent of cgroup version 1).
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import facts, kept, lives, new_name, output, pid_of

if TYPE_CHECKING:
    from tests.conftest import Command, Host

pytestmark = pytest.mark.root


@pytest.mark.parametrize("mode", ["forward", "reap"])
@pytest.mark.parametrize("options", [(), ("--userns", "private"), ("-u", "1000"), ("--cap-add", "DAC_READ_SEARCH")])
def test_the_host_s_python_is_out_of_reach(tinybox: Command, mode: str, options: tuple[str, ...]) -> None:
    """/proc/1/exe can be neither read, nor written, nor followed; nor can its memory, maps, fds, root or cwd."""
    tries = {
        "read": "head -c 4 /proc/1/exe", "write": "echo x >> /proc/1/exe", "link": "readlink /proc/1/exe",
        "run": "/proc/1/exe --version", "copy": "cp /proc/1/exe /tmp/x",
        "memory": "head -c 1 /proc/1/mem", "maps": "cat /proc/1/maps", "fds": "readlink /proc/1/fd/0",
        "root": "ls /proc/1/root/", "cwd": "ls /proc/1/cwd/", "files": "ls /proc/1/map_files/",
        "environ": "cat /proc/1/environ", "auxv": "cat /proc/1/auxv",
    }  # fmt: skip
    shown = facts(tinybox, f"--init={mode}", *options, **tries)
    for name, said in shown.items():
        quiet = name in ("link", "fds", "files") and said == ""  # readlink(1) of busybox fails without a message
        assert "ermission denied" in said or quiet, (name, said)
        assert "python" not in said.lower(), (name, said)
    control = {name: tries[name].replace("/proc/1/", "/proc/self/") for name in ("link", "maps", "root", "environ")}
    assert [name for name, said in facts(tinybox, **control).items() if not said or "denied" in said] == []


def test_the_host_s_python_cannot_be_overwritten_even_with_more_rights(tinybox: Command) -> None:
    """With CAP_SYS_PTRACE the file can be seen; while it runs the kernel refuses every write to it (ETXTBSY)."""
    program = Path(sys.executable).resolve()
    before = hashlib.sha256(program.read_bytes()).digest()
    tries = {"write": "echo x >> /proc/1/exe", "fd": "exec 9>>/proc/1/exe", "unlink": "rm /proc/1/exe"}
    shown = facts(tinybox, "--cap-add", "SYS_PTRACE", **tries)
    for name, said in shown.items():
        assert "busy" in said or "permitted" in said or "denied" in said, (name, said)
    assert hashlib.sha256(program.read_bytes()).digest() == before


def test_pid_1_cannot_be_stopped_or_killed_from_inside(tinybox: Command) -> None:
    """SIGKILL and SIGSTOP to PID 1 from its own namespace do nothing, with an init or without; the program goes on."""
    for mode in ("forward", "reap", "none"):
        script = "kill -9 1; kill -STOP 1; sleep 0.1; exit 9"
        assert tinybox("run", "--rm", f"--init={mode}", "busybox", "sh", "-c", script).returncode == 9, mode


def test_control_groups_cannot_be_written(tinybox: Command) -> None:
    """The box sees its own groups, read-only: it can neither lift its limits nor leave; a privileged one can write."""
    script = "for f in $(find /sys/fs/cgroup -name cgroup.procs); do {}; done"
    writes = {
        "procs": script.format("echo 0 > $f"),
        "folder": script.format("mkdir ${f%/*}/x"),
        "limits": "for f in $(find /sys/fs/cgroup -name 'memory.[lm]*'); do echo 1g > $f; done",
    }
    shown = facts(tinybox, "-m", "64m", **writes, count="find /sys/fs/cgroup -name cgroup.procs | wc -l")
    assert int(shown["count"]) > 0
    for name in writes:
        assert (
            set(shown[name].splitlines()) - {line for line in shown[name].splitlines() if "Read-only" in line} == set()
        )
        assert shown[name], name
    assert facts(tinybox, "--privileged", "-m", "64m", procs=writes["procs"])["procs"] == ""


def test_there_is_no_release_agent(tinybox: Command, host: Host) -> None:
    """No file of that name is seen; no cgroup of version 1 can be mounted, not even in a new user namespace."""
    tries = {
        "found": "find / -xdev -name release_agent; find /sys -name release_agent",
        "mount": "mkdir /m; mount -t cgroup -o memory x /m; echo $?",
        "unshare": "unshare -UrC sh -c 'mount -t cgroup -o memory x /m'; echo $?",
        "notify": "for f in $(find /sys -name notify_on_release); do echo 1 > $f; done",
    }
    shown = facts(tinybox, "-m", "64m", **tries)
    assert shown["found"] == ""
    assert "0" not in (shown["mount"].splitlines()[-1], shown["unshare"].splitlines()[-1])
    assert all("Read-only" in line for line in shown["notify"].splitlines())
    if host.cgroups != "v2":
        assert shown["notify"]  # such files are there, and each is refused
        assert Path("/sys/fs/cgroup/memory/release_agent").exists()
        with_host = facts(tinybox, "--cgroupns", "host", write="echo /x > /sys/fs/cgroup/memory/release_agent")
        assert "Read-only" in with_host["write"]


def test_kernel_settings_are_out_of_reach(tinybox: Command) -> None:
    """Files that change the host's kernel are read-only, masked or refused; root inside cannot write to them."""
    names = (
        "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/panic_on_oom",
        "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/sys/kernel/mm/transparent_hugepage/enabled",
        "/proc/sys/fs/binfmt_misc/register", "/proc/irq/default_smp_affinity",
    )  # fmt: skip
    look = "; ".join(f"( : >> {name} ) 2>/dev/null && echo {name}" for name in names)
    assert facts(tinybox, it=look) == {"it": ""}
    there = [name for name in names if os.access(name, os.W_OK)]
    assert there, "the control: some of them are there, and root outside may write to them"


def test_the_host_s_processes_cannot_be_touched(tinybox: Command) -> None:
    """A process of the host has no pid inside, and a signal to all processes reaches only the box's own."""
    name = new_name()
    with kept(tinybox, "--rm", "--name", name, "busybox", "sh", "-c", "echo READY; exec sleep 100") as process:
        first = pid_of(tinybox, name)
        said = facts(tinybox, kill=f"kill -9 {first} {os.getpid()} || echo none")
        assert said["kill"].splitlines()[-1] == "none"
        tinybox("run", "--rm", "busybox", "sh", "-c", "kill -9 -1")
        assert lives(first)
        assert process.poll() is None


def test_keys_and_kernel_log_are_out_of_reach(tinybox: Command) -> None:
    """Docker's filter and capabilities: no kernel log, keyrings, modules, reboot or clock."""
    tries = {
        "log": "dmesg | head -1", "kexec": "reboot -f; echo $?", "module": "insmod /bin/busybox; echo $?",
        "swap": "swapoff -a; swapon /etc/passwd; echo $?", "root": "pivot_root / /tmp; echo $?",
        "chroot out": f"mkdir /tmp/j; chroot /tmp/j /x 2>/dev/null; cat /../../..{__file__}",
    }  # fmt: skip
    shown = {name: output(tinybox, "busybox", "sh", "-c", f"({command}) 2>&1; true") for name, command in tries.items()}
    assert "not permitted" in shown["log"]
    for name in ("kexec", "module", "swap", "root"):
        assert shown[name].splitlines()[-1] != "0", name
    assert "No such file" in shown["chroot out"]
