"""What a program finds in its box: PID 1, capabilities, kernel files, devices, descriptors; nothing of the host."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import facts, output
from tinybox.linux import process

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

DOCKERS = "00000000a80425fb"  # CapEff of a container of docker's


def test_pid_1_is_tinybox_s_init_and_reveals_nothing(tinybox: Command) -> None:
    """Its name and command line are `tinybox:init`; arguments and variables of the host's command are not visible."""
    tinybox.environment["OF_THE_HOST"] = "do-not-tell"
    looks = {
        "comm": "cat /proc/1/comm",
        "cmdline": "tr '\\0' ' ' </proc/1/cmdline",
        "ps": "ps -o pid,args | head -2 | tail -1",
        "environ": "cat /proc/1/environ",
        "everything": "cat /proc/1/comm /proc/1/cmdline /proc/1/environ /proc/1/status",
        "mine": "echo $SECRET; cat /proc/self/environ",
    }
    shown = facts(tinybox, "-e", "SECRET=s3cr3t", **looks)
    assert (shown["comm"], shown["cmdline"].strip()) == ("tinybox:init", "tinybox:init")
    assert shown["ps"].split() == ["1", "tinybox:init"]
    assert "do-not-tell" not in str(shown)
    assert "s3cr3t" not in shown["everything"]
    assert "s3cr3t" in shown["mine"]


def test_pid_1_reveals_nothing_to_a_tracer(tinybox: Command) -> None:
    """CAP_SYS_PTRACE opens /proc/1/environ and /proc/1/cmdline: nothing of the host is in them."""
    tinybox.environment["OF_THE_HOST"] = "do-not-tell"
    words = ("--cap-add", "SYS_PTRACE", "-e", "SECRET=s3cr3t")
    shown = facts(tinybox, *words, environ="cat /proc/1/environ", cmdline="cat /proc/1/cmdline")
    assert "enied" not in shown["environ"]
    assert "do-not-tell" not in str(shown)
    assert "s3cr3t" not in shown["cmdline"]
    assert shown["cmdline"].strip("\0 ") == "tinybox:init"


def test_the_capabilities_of_root_are_dockers(tinybox: Command) -> None:
    """CapEff is Docker's default set, a filter is on (mode 2), no_new_privs is off; the options change each of them."""
    look = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status"

    def status(*options: str) -> dict[str, str]:
        return dict(line.split(":\t") for line in facts(tinybox, *options, it=look)["it"].splitlines())

    zero = "0" * 16
    assert status() == {
        "CapInh": zero, "CapPrm": DOCKERS, "CapEff": DOCKERS, "CapBnd": DOCKERS, "CapAmb": zero,
        "NoNewPrivs": "0", "Seccomp": "2",
    }  # fmt: skip
    options = ("--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined", "--cap-drop", "all")
    assert status(*options) == {**dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), zero),
                                "NoNewPrivs": "1", "Seccomp": "0"}  # fmt: skip
    assert status("--security-opt", "no-new-privileges")["Seccomp"] == "2"
    assert (
        int(status("--cap-add", "net_admin", "--cap-drop", "CHOWN")["CapEff"], 16) == (int(DOCKERS, 16) | 1 << 12) & ~1
    )
    mine = Path("/proc/self/status").read_text().partition("CapPrm:\t")[2][:16]
    assert status("--cap-add", "ALL")["CapEff"] == mine
    assert int(status("--cap-add", "ALL", "--cap-drop", "SYS_ADMIN")["CapEff"], 16) == int(mine, 16) & ~(1 << 21)
    privileged = status("--privileged")
    assert (privileged["CapEff"], privileged["CapBnd"], privileged["Seccomp"]) == (mine, mine, "0")


def test_capabilities_take_effect(tinybox: Command) -> None:
    """Without CAP_CHOWN chown fails; docker's set lacks the one that mount(2) needs; --privileged has it."""
    tries = {"chown": "chown 1 /tmp; echo $?", "mount": "mount -t tmpfs x /mnt 2>/dev/null; echo $?"}
    assert facts(tinybox, **tries) == {"chown": "0", "mount": "1"}
    dropped = facts(tinybox, "--cap-drop", "CHOWN", **tries)
    assert dropped["chown"].splitlines()[-1] == "1"
    assert facts(tinybox, "--privileged", **tries) == {"chown": "0", "mount": "0"}


def test_the_filter_refuses_the_calls_of_dockers_filter(tinybox: Command) -> None:
    """unshare(CLONE_NEWUSER) needs no capability and is refused by the filter; without the filter it works."""
    look = "unshare -U true 2>/dev/null; echo $?"
    assert facts(tinybox, it=look) == {"it": "1"}
    assert facts(tinybox, "--security-opt", "seccomp=unconfined", it=look) == {"it": "0"}


def test_descriptors_are_0_to_2_only(tinybox: Command) -> None:
    """A file that is open and inheritable in the caller does not reach the program, and no fd of tinybox does."""
    with open("/etc/hostname", "rb") as file:
        os.set_inheritable(file.fileno(), True)
        look = ("sh", "-c", "for n in $(seq 0 99); do [ ! -L /proc/$$/fd/$n ] || echo $n; done")
        for mode in ("forward", "none"):
            words = ("run", "--rm", f"--init={mode}", "busybox", *look)
            with tinybox.start(*words, pass_fds=(file.fileno(),)) as process:
                shown = process.communicate()[0].split()
            assert shown == ["0", "1", "2"], mode
        plain = subprocess.run(look, pass_fds=(file.fileno(),), capture_output=True, text=True, check=True)
        assert str(file.fileno()) in plain.stdout.split()


def test_the_host_s_mounts_are_gone(tinybox: Command) -> None:
    """There are the root, the kernel's file systems below it and the box's own three files; no other mount is there."""
    rows = [line.split() for line in output(tinybox, "busybox", "cat", "/proc/self/mountinfo").splitlines()]
    own = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    assert own <= {row[4] for row in rows}
    table = [row for row in rows if row[4] not in own]
    points = [row[4] for row in table]
    assert points[0] == "/"
    assert [point for point in points[1:] if not point.startswith(("/proc", "/sys", "/dev"))] == []
    kinds = {row[row.index("-") + 1] for row in table}
    assert kinds <= {"overlay", "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"}
    assert not [row for row in rows if any(word.startswith(("shared:", "master:")) for word in row[6 : row.index("-")])]


def test_kernel_files_cannot_be_written_or_read(tinybox: Command) -> None:
    """/proc/sys, /sys and the like are read-only, masked files are empty; --privileged opens all of them again."""
    looks = {
        "sysctl": "echo 1 > /proc/sys/kernel/panic",
        "sys": "echo x > /sys/kernel/uevent_helper",
        "options": 'for d in /proc/sys /proc/irq /proc/bus /sys; do grep -E " $d [^ ]* ro" -c /proc/mounts; done',
        "masked": "for f in kcore keys interrupts; do head -c 99 /proc/$f; done 2>&- | wc -c; ls -A /sys/firmware",
        "remount": "mount -o remount,rw /proc/sys; umount /proc/sys; echo $?",
    }
    shown = facts(tinybox, **looks)
    assert "Read-only file system" in shown["sysctl"]
    assert "Read-only file system" in shown["sys"]
    assert shown["options"].split() == ["1", "1", "1", "1"]
    assert shown["masked"] == "0"
    assert shown["remount"].splitlines()[-1] == "1"
    open_again = facts(tinybox, "--privileged", **{name: looks[name] for name in ("options", "masked")})
    assert open_again["options"].split() == ["0", "0", "0", "0"]
    assert open_again["masked"].split()[0] != "0"


def test_a_sysctl_is_set_in_the_box_alone(tinybox: Command) -> None:
    """--sysctl sets the box's own parameter; the host's does not change; a parameter of the whole host is refused."""
    path = Path("/proc/sys/net/ipv4/ip_default_ttl")
    before = path.read_text()
    shown = output(tinybox, "--sysctl", "net.ipv4.ip_default_ttl=7", "busybox", "cat", str(path))
    assert (shown, path.read_text()) == ("7\n", before)
    assert output(tinybox, "busybox", "cat", str(path)) != "7\n"
    done = tinybox("run", "--rm", "--sysctl", "kernel.panic=7", "busybox", "true")
    assert (done.returncode, "kernel.panic=7" in done.stderr) == (125, True)


def may_ping(pid: str) -> bool:
    """Return whether a user without rights may send echo messages in the network namespace of *pid*; see icmp(7)."""
    child = os.fork()
    if child == 0:
        try:
            process.setns(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY), 0)
            os.setgroups([])
            os.setresgid(1000, 1000, 1000)
            os.setresuid(1000, 1000, 1000)
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).close()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def test_any_user_may_listen_at_port_80_and_ping(tinybox: Command) -> None:
    """A network namespace of the box's own has docker's two parameters. Controls: --sysctl, and the host's network.

    A user namespace lacks most of the groups, so the kernel refuses that range there.
    """
    names = [Path("/proc/sys/net/ipv4") / name for name in ("ip_unprivileged_port_start", "ping_group_range")]
    look = ("busybox", "sh", "-c", f"cat {names[0]} {names[1]}; httpd -p 80 2>/dev/null && echo listens")
    strict = ("--sysctl", "net.ipv4.ip_unprivileged_port_start=1024")
    assert output(tinybox, "-u", "1000", *look).split() == ["0", "0", "2147483647", "listens"]
    assert output(tinybox, "--userns", "private", "-u", "1000", *look).split()[0::3] == ["0", "listens"]
    assert tinybox("run", "--rm", *strict, "-u", "1000", *look).stdout.split() == ["1024", "0", "2147483647"]
    host = "".join(name.read_text() for name in names).split()
    assert output(tinybox, "--network", "host", "busybox", "cat", *map(str, names)).split() == host
    other = tinybox("run", "-d", "busybox", "sleep", "1000").stdout.strip()
    pid = tinybox("inspect", "-f", "{{.State.Pid}}", other).stdout.strip()
    assert may_ping(pid)
    subprocess.run(["nsenter", "-t", pid, "-n", "sysctl", "-qw", "net.ipv4.ping_group_range=1 0"], check=True)
    assert not may_ping(pid)
    tinybox("rm", "-f", other)


def test_dev_has_the_standard_files(tinybox: Command) -> None:
    """Six devices with their numbers and modes, five links, three mounts, and no more."""
    look = "cd /dev; for f in *; do echo $f $(stat -c '%F %t:%T %a' $f) $(readlink $f); done"
    rows = [line.split(" ", 1) for line in output(tinybox, "busybox", "sh", "-c", look).splitlines()]
    device = "character special file {} 666"
    assert dict(rows) == {
        "null": device.format("1:3"), "zero": device.format("1:5"), "full": device.format("1:7"),
        "random": device.format("1:8"), "urandom": device.format("1:9"), "tty": device.format("5:0"),
        "fd": "symbolic link 0:0 777 /proc/self/fd", "stdin": "symbolic link 0:0 777 /proc/self/fd/0",
        "stdout": "symbolic link 0:0 777 /proc/self/fd/1", "stderr": "symbolic link 0:0 777 /proc/self/fd/2",
        "ptmx": "symbolic link 0:0 777 pts/ptmx",
        "pts": "directory 0:0 755", "shm": "directory 0:0 1777", "mqueue": "directory 0:0 1777",
    }  # fmt: skip
    works = facts(
        tinybox, null="echo x > /dev/null; wc -c < /dev/null", zero="head -c 3 /dev/zero | wc -c",
        full="echo x > /dev/full; echo $?", random="head -c 4 /dev/random | wc -c", stdin="echo hi | cat /dev/stdin",
    )  # fmt: skip
    assert (works["null"], works["zero"], works["random"], works["stdin"]) == ("0", "3", "4", "hi")
    assert works["full"].splitlines()[-1] == "1"


def test_the_terminals_of_the_host_are_not_there(tinybox: Command) -> None:
    """/dev/pts is a new instance: another file system than the host's, and empty except for ptmx."""
    shown = facts(tinybox, device="stat -c %d /dev/pts", names="ls /dev/pts")
    assert int(shown["device"]) != os.stat("/dev/pts").st_dev
    assert shown["names"] == "ptmx"


def test_other_devices_are_denied_even_when_made(tinybox: Command) -> None:
    """A node with /dev/kmsg's numbers can be made, opening it is EPERM; --device allows its device, and no more."""
    looks = {
        "made": "mknod /kmsg c 1 11; ls /kmsg",
        "read": "dd if=/kmsg count=0; echo $?",
        "write": ": > /kmsg && echo written",
        "disk": "mknod /disk b 7 0; dd if=/disk count=0 2>&1",
    }
    shown = facts(tinybox, **looks)
    assert shown["made"] == "/kmsg"
    for name in ("read", "write", "disk"):
        assert "Operation not permitted" in shown[name], name
    shown = facts(tinybox, "--device", "/dev/kmsg:/dev/messages:w", own=": > /dev/messages && echo written", **looks)
    assert (shown["own"], shown["write"]) == ("written", "written")
    assert "Operation not permitted" in shown["read"]
    shown = facts(tinybox, "--device-cgroup-rule", "c 1:* w", **looks)
    assert shown["write"] == "written"
    assert "Operation not permitted" in shown["read"]
    shown = facts(tinybox, "--privileged", **looks)
    assert shown["write"] == "written"
    assert "Operation not permitted" not in shown["read"]
