"""Parsing of files in /proc, as the kernel writes them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.boxes import until
from tinybox.linux import proc
from tinybox.linux.signals import stopped


def test_mountinfo_with_spaces_and_optional_fields() -> None:
    r"""``\040`` is a blank; propagation fields may be none, one or several."""
    text = (
        "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n"
        "40 36 0:5 / /plain rw - tmpfs tmpfs rw\n"
    )
    first, second = proc.mountinfo(text)
    assert (first.point, first.fields, first.super_options) == (
        "/mnt 2",
        ["master:1", "shared:2"],
        ["rw", "errors=continue"],
    )
    assert (second.mount_id, second.parent_id, second.fields, second.type) == (40, 36, [], "tmpfs")


def test_mountinfo_of_this_machine_has_a_root() -> None:
    """The real file is parsed, and one mount is at /."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert any(mount.point == "/" for mount in proc.mountinfo(file.read()))


def test_a_process_that_ends_during_a_call_is_no_refusal() -> None:
    """The kernel reports EACCES for a link that was found before the end of its process; a second call finds none."""
    with subprocess.Popen(["sleep", "60"]) as process:
        path = f"/proc/{process.pid}/ns/pid"
        found = os.open(path, os.O_PATH | os.O_NOFOLLOW)
        process.kill()
    with pytest.raises(PermissionError):
        os.readlink("", dir_fd=found)
    calls = list[str]()

    def read(path: str) -> str:
        calls.append(path)
        return os.readlink("", dir_fd=found) if len(calls) == 1 else os.readlink(path)

    with pytest.raises(FileNotFoundError):
        proc.of_living(read, path)
    assert calls == [path, path]
    os.close(found)


def test_a_link_of_a_living_process() -> None:
    """It is read, and followed."""
    path = f"/proc/{os.getpid()}/ns/pid"
    assert proc.link(path) == f"pid:[{proc.of_living(os.stat, path).st_ino}]"


LEADER_ENDS = """
import ctypes, os, threading
threading.Thread(target=os.read, args=(0, 1)).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)  # exit(2) ends this thread alone
"""


def test_a_process_whose_first_thread_has_ended_is_alive() -> None:
    """It is shown as a zombie, but its other thread runs; when that has ended, it is one."""
    with subprocess.Popen([sys.executable, "-c", LEADER_ENDS], stdin=subprocess.PIPE) as process:
        until(lambda: (now := proc.stat_of(process.pid)) is not None and now.state == "Z")
        found = proc.stat_of(process.pid)
        assert found is not None
        assert (found.threads, proc.is_alive(process.pid, found.starttime)) == (2, True)
        process.kill()
        until(lambda: not proc.is_alive(process.pid, found.starttime))


def test_stat_of_a_process_with_a_misleading_name() -> None:
    """A name with blanks and brackets does not shift the fields after it."""
    fields = "R 7 8 9 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4711 " + " ".join(str(n) for n in range(23, 53))
    stat = proc.stat(f"42 (a) R (b) {fields}\n")
    assert (stat.pid, stat.comm, stat.state, stat.ppid, stat.starttime) == (42, "a) R (b", "R", 7, 4711)


def test_status_and_id_map() -> None:
    """Both are parsed as their columns are defined."""
    assert proc.status("Name:\tsh\nNSpid:\t4242\t1\n") == {"Name": "sh", "NSpid": "4242\t1"}
    assert proc.id_map("         0     524288      65536\n") == [(0, 524288, 65536)]


def test_a_process_is_known_by_its_beginning() -> None:
    """Alive is who began then: not one whose number was given again, not a zombie, and not one that is gone."""
    here = proc.stat_of(os.getpid())
    assert here is not None
    assert proc.is_alive(here.pid, here.starttime)
    assert not proc.is_alive(here.pid, here.starttime - 1)
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    zombie = proc.stat_of(pid)
    assert zombie is not None
    assert (zombie.state, proc.is_alive(pid, zombie.starttime)) == ("Z", False)
    with pytest.raises(OSError, match="Invalid argument"):
        open(f"/proc/{pid}/mountinfo", encoding="utf-8").close()
    with pytest.raises(ProcessLookupError, match=f"the process has ended: '/proc/{pid}/mountinfo'"):
        proc.text(f"/proc/{pid}/mountinfo")
    os.waitpid(pid, 0)
    assert proc.stat_of(pid) is None
    assert not proc.is_alive(pid, zombie.starttime)


def test_the_parent_of_a_reaped_process_is_no_process() -> None:
    """While a process is reaped, /proc shows the parent 0: waking that is no error, as `tinybox kill` may do it."""
    assert stopped.wake(0) is False
    with pytest.raises(OSError, match="Invalid argument"):  # the control: the kernel refuses it
        os.pidfd_open(0)
