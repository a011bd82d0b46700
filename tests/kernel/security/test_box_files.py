"""Files of a box that tinybox opens from outside: a box can make them huge, endless or slow, without any gain."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import TIMEOUT
from tests.oci.conftest import runtime
from tests.support.boxes import lives, new_name, one_line, until
from tests.support.detached_boxes import life, stdout_of
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command
    from tests.support.detached_boxes import Life
    from tests.support.oci_runtimes import Runtime

__all__ = ["runtime"]

pytestmark = pytest.mark.root

IDLE = ("busybox", "sleep", "600")
SOON = 20 * SLOWNESS  # seconds; a lease would hold a command up for 45
MEMORY = 1 << 30  # bytes of address space for a tinybox command: more than it needs, less than a hostile file has
FOLDERS = [folder for folder in ("/usr", "/lib", "/lib64", sys.base_prefix) if os.path.isdir(folder)]
HOST = [word for folder in dict.fromkeys(FOLDERS) for word in ("-v", f"{folder}:{folder}:ro")]
PYTHON = (*HOST, "busybox", os.path.realpath(sys.executable), "-uc")  # the host's Python, for calls that busybox lacks
LEASE = """
import fcntl, signal, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: exit(0))
file = open({path!r})
while True:  # whatever the kernel has taken back is taken again
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        print("LEASED")
    except OSError:
        pass
    time.sleep(0.01)
"""
TITLE = """
import ctypes, mmap, time
libc, size = ctypes.CDLL(None, use_errno=True), 3 << 30
libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, [ctypes.c_size_t] * 6
place = libc.mmap(0, size, 1, 0x4022, 2**64 - 1, 0)  # PROT_READ, MAP_NORESERVE, MAP_ANONYMOUS, MAP_PRIVATE
words = open("/proc/self/stat").read().rpartition(") ")[2].split()
code, end_code, stack, data, end_data, brk = (int(words[n - 3]) for n in (26, 27, 28, 45, 46, 47))
told = (ctypes.c_uint64 * 13)(code, end_code, data, end_data, brk, brk, stack, place, place + size, stack, stack, 0)
told[12] = 0xFFFFFFFF << 32  # no auxiliary vector, no other program: auxv_size 0, exe_fd -1
if libc.prctl(35, 14, told, ctypes.sizeof(told), 0):
    raise OSError(ctypes.get_errno(), "PR_SET_MM_MAP")
print("READY")
time.sleep(600)
"""


def frugal(tinybox: Command, *words: str, timeout: float = TIMEOUT) -> subprocess.CompletedProcess[str]:
    """Run ``tinybox WORDS`` with little memory and a time limit; a command that hangs fails the test."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    with tinybox.start(*words, preexec_fn=limit) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"tinybox {' '.join(words)} took more than {timeout} s")
    return subprocess.CompletedProcess(words, process.returncode, out, err)


@pytest.fixture
def box(tinybox: Command) -> Iterator[Life]:
    """Keep a box that does nothing."""
    with life(tinybox, *IDLE) as it:
        yield it


UNFIT = {
    "huge": ("truncate -s 3G /etc/passwd", "is larger than 1048576 bytes"),
    "endless": ("ln -s /proc/kmsg /etc/passwd", "is a file of the kernel"),
    "silent": ("mkfifo /etc/passwd", "no user ana in"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_a_user_list_costs_neither_memory_nor_time(box: Life, kind: str) -> None:
    """`exec -u NAME` reports in one line that /etc/passwd of the box cannot be read; UID:GID needs no file."""
    command, cause = UNFIT[kind]
    box.inside(f"rm /etc/passwd; {command}")
    one_line(frugal(box.tinybox, "exec", "-u", "ana", box.name, "true", timeout=SOON), 126, cause)
    done = frugal(box.tinybox, "exec", "-u", "5:6", box.name, "env", timeout=SOON)  # sh itself would read the file
    assert (done.returncode, done.stderr) == (0, "")
    assert "HOME=/" in done.stdout.splitlines()


@pytest.mark.parametrize("kind", UNFIT)
def test_oci_exec_does_not_read_a_hostile_passwd(runtime: Runtime, kind: str) -> None:
    """A hostile /etc/passwd costs `tinybox-oci exec` nothing, and HOME is then /."""
    runtime.change(lambda config: config["root"].update(readonly=False))
    runtime.runs("box")
    done = runtime("exec", "box", "sh", "-c", f"rm /etc/passwd; {UNFIT[kind][0]}")
    assert done.returncode == 0, done.stderr
    limit = ["prlimit", f"--as={MEMORY}", "timeout", "-s", "KILL", str(SOON)]
    done = runtime.through(limit, ["--root", str(runtime.root), "exec", "box", "env"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "HOME=/" in done.stdout.splitlines()


def test_a_lease_on_the_hosts_file_delays_no_other_box(tinybox: Command) -> None:
    """A box that never releases a lease on its /etc/hosts keeps its old names; others start, and find each other."""
    network = f"lease{os.getpid()}"
    stdout_of(tinybox, "network", "create", network)
    try:
        with (
            life(tinybox, "--network", network, *PYTHON, LEASE.format(path="/etc/hosts")) as holder,
            life(tinybox, "--network", network, *IDLE) as other,
        ):
            until(lambda: "LEASED" in holder.log())
            begun, name = time.monotonic(), new_name()
            done = tinybox("run", "-d", "--name", name, "--network", network, *IDLE)
            assert done.returncode == 0, done
            assert time.monotonic() - begun < SOON
            assert name in other.inside("cat /etc/hosts").split()
            begun = time.monotonic()
            assert tinybox("rm", "-f", name).returncode == 0
            assert time.monotonic() - begun < SOON
            assert name not in other.inside("cat /etc/hosts").split()
            done = tinybox("rename", other.name, name)
            warning = f"tinybox: warning: container {holder.name}: its /etc/hosts stays as it is: a process holds a"
            assert (done.returncode, done.stdout) == (0, "")
            assert done.stderr.startswith(warning)
            stdout_of(tinybox, "stop", "-t", "1", holder.name)
    finally:
        stdout_of(tinybox, "network", "rm", network)


def test_a_lease_on_a_shared_hosts_file_delays_no_start(tinybox: Command, box: Life) -> None:
    """A box whose files another one shares is started again at once: each start makes new files."""
    with life(tinybox, "--network", f"container:{box.name}", *PYTHON, LEASE.format(path="/etc/hosts")) as holder:
        until(lambda: "LEASED" in holder.log())
        begun = time.monotonic()
        stdout_of(tinybox, "restart", "-t", "0", box.name)
        assert time.monotonic() - begun < SOON
        assert "localhost" in box.inside("cat /etc/hosts")


def test_a_lease_in_a_volume_makes_a_copy_fail_by_name(tinybox: Command, tmp_path: Path) -> None:
    """`cp` out of a box waits some seconds for a lease, and then names the file."""
    (tmp_path / "file").write_text("content\n")
    with life(tinybox, "-v", f"{tmp_path}:/data", *PYTHON, LEASE.format(path="/data/file")) as holder:
        until(lambda: "LEASED" in holder.log())
        begun = time.monotonic()
        done = tinybox("cp", f"{holder.name}:/data/file", str(tmp_path / "copy"))
        assert time.monotonic() - begun < SOON
        one_line(done, 1, "file: a process holds a lease on it")


def test_a_command_line_can_be_of_any_length(tinybox: Command) -> None:
    """A process whose command line is 3 GiB of zeros (PR_SET_MM_MAP, prctl(2)) costs `top` no memory."""
    with life(tinybox, *PYTHON, TITLE) as it:
        until(lambda: "READY" in it.log() or not lives(it.pid))
        assert "READY" in it.log(), tinybox("logs", it.name).stderr
        done = frugal(tinybox, "top", it.name)
        assert (done.returncode, done.stderr) == (0, "")


def test_shared_files_are_looked_up_in_the_other_box(tinybox: Command, box: Life, tmp_path: Path) -> None:
    """If a box has made its /etc/hosts a link to a file of the host's, a box that shares it finds no such file."""
    (tmp_path / "secret").write_text("of the host\n")
    box.inside(f"umount /etc/hosts; ln -sf {tmp_path}/secret /etc/hosts", "--privileged")
    for users in ("host", "private"):
        words = ("--network", f"container:{box.name}", "--userns", users, "busybox", "cat", "/etc/hosts")
        one_line(tinybox("run", "--rm", *words), 125, "mount source", "/etc/hosts: no such file or directory")
