"""A spare host: namespaces in which a student's program may do anything as root, and which end with the check.

Mounts, host name, processes, message queues and network links of the spare host are its own. Its files are the host's,
read-only, and it has at most a hundred processes. Its mounts are shared, as systemd makes them, so that a mount which
leaves the student's box is seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import time
from typing import TYPE_CHECKING

from tinybox.errors import HostError, TinyboxError, printable
from tinybox.isolation.cgroups.group import Cgroup, place
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.isolation.cgroups.limits import Setting
from tinybox.linux import mount, process
from tinybox.linux.waiting import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

PLACE = "/mnt"  # the one writable directory of the spare host: a tmpfs
PROCESSES = 100  # at most, together
NAME = "spare-host"  # its host name
SECONDS = 60.0  # for one check; most take less than one, but an emulated machine is twenty times slower
FLAGS = process.CLONE_NEWNS | process.CLONE_NEWPID | process.CLONE_NEWUTS | process.CLONE_NEWIPC | process.CLONE_NEWNET
MS_REC = 0x4000


def visit(act: Callable[[], Any], program: str, rootfs: str, seconds: float = SECONDS) -> Any:
    """Call *act* in a new spare host and return its result, which has to be fit for JSON; see clone3(2).

    In PLACE are the file `program.py` with the text *program*, and a copy of the directory *rootfs*. All processes are
    killed when *act* ends, after so many *seconds*, or with this process. HostError: this host refuses the namespaces.
    """
    output, input_ = os.pipe()
    gate, opener = os.pipe()
    with _few_processes() as join:
        try:
            child, pidfd = process.clone3(FLAGS)
        except OSError as error:
            cause = f"the namespaces of a check cannot be made: {error}"
            raise HostError("workshop", cause, "run it as root") from error
        if child == 0:
            os.close(opener)
            _be_the_host(act, program, rootfs, gate, input_)
        os.close(input_)
        try:
            join(child)
            os.write(opener, b"go")
            return _result(output, seconds)
        finally:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
            for fd in (output, gate, opener, pidfd):
                os.close(fd)


@contextlib.contextmanager
def _few_processes() -> Iterator[Callable[[int], None]]:
    """Keep a control group for at most PROCESSES processes, so that a loop of fork(2) ends; yield how to join it.

    Without the controller pids there is no such limit. A kill leaves an empty group, which `doctor --fix` removes.
    """
    where = hierarchies()
    if not where.version("pids"):
        yield lambda _: None
        return
    group = Cgroup(place(f"workshop-{os.urandom(6).hex()}"), where, ["pids"])
    group.create()
    try:
        group.apply(Setting("pids", "pids.max", str(PROCESSES)))
        yield lambda pid: group.join(pid, unified=True)
    finally:
        group.remove()


def _result(output: int, seconds: float) -> Any:
    deadline, text = time.monotonic() + seconds, b""
    while readable(output, deadline - time.monotonic()):
        more = os.read(output, 65536)
        if not more:
            break
        text += more
    else:
        raise TinyboxError("workshop", f"the check took more than {seconds:.0f} s", "does your program wait for ever?")
    answer = json.loads(text or b"{}")
    if "result" not in answer:
        trouble = printable(answer.get("trouble", "its first process was killed"))
        raise TinyboxError("workshop", f"the check could not be done: {trouble}")
    return answer["result"]


def _be_the_host(act: Callable[[], Any], program: str, rootfs: str, gate: int, output: int) -> None:
    """In the child, which is PID 1 of the spare host: prepare, act, report, and end; see pid_namespaces(7)."""
    answer: dict[str, Any] = {}
    try:
        process.set_parent_death_signal(signal.SIGKILL)
        if not os.read(gate, 1):
            return  # the parent was killed, or has no group for this process
        process.set_name(b"spare host")
        _furnish(program, rootfs)
        answer["result"] = act()
    except BaseException as error:  # noqa: BLE001  the parent reports it; nothing may leave this function
        answer["trouble"] = f"{type(error).__name__}: {error}"
    finally:
        with contextlib.suppress(OSError):
            os.write(output, json.dumps(answer).encode())  # less than a pipe holds, 65536 bytes
        os._exit(0)


def _furnish(program: str, rootfs: str) -> None:
    """Make all mounts private and read-only, fill PLACE and mount /proc, then make all mounts shared; see mount(2)."""
    root = b"/"
    mount.mount(b"", root, b"", MS_REC | mount.MS_PRIVATE, b"")
    mount.mount_setattr(mount.AT_FDCWD, root, mount.AT_RECURSIVE, attr_set=mount.MOUNT_ATTR_RDONLY)
    place = mount.fsopen(b"tmpfs")
    mount.fsconfig_create(place)
    tree = mount.fsmount(place)
    folder = f"/proc/self/fd/{tree}"  # filled before it covers PLACE: the student's directory may lie there
    os.mkdir(f"{folder}/tmp", 0o700)
    subprocess.run(["cp", "-a", "--", rootfs, f"{folder}/rootfs"], check=True, pass_fds=[tree], stderr=subprocess.PIPE)
    os.makedirs(f"{folder}/rootfs/dev", exist_ok=True)
    os.mknod(f"{folder}/rootfs/dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))  # a shell needs it for `&`
    with open(f"{folder}/program.py", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(program)
    target = os.open(PLACE, os.O_PATH)
    mount.move_mount(tree, target)
    for fd in (place, tree, target):
        os.close(fd)
    socket.sethostname(NAME)
    mount.mount(b"proc", b"/proc", b"proc", 0, b"")
    mount.mount(b"", root, b"", MS_REC | mount.MS_SHARED, b"")
    os.chdir(PLACE)
