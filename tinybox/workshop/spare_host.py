"""A spare host: namespaces in which a student's program may do anything as root, and which end with the check.

Mounts, host name, processes, message queues and network links of the spare host are its own. Its files are the host's,
read-only, and it has at most a hundred processes; its control groups are below one that is removed with it. Its mounts
are shared, as systemd makes them, so that a mount which leaves the student's box is seen.
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
from tinybox.linux import mount, process
from tinybox.linux.waiting import readable
from tinybox.workshop import spare_groups

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PLACE = "/mnt"  # the one writable directory of the spare host: a tmpfs
SIZE = "256m"  # of this tmpfs: what a program prints without end must not fill the memory of the host
NAME = "spare-host"  # its host name
SECONDS = 120.0  # for one check; most take less than one, but an emulated machine is twenty times slower
FLAGS = process.CLONE_NEWNS | process.CLONE_NEWPID | process.CLONE_NEWUTS | process.CLONE_NEWIPC | process.CLONE_NEWNET
MS_REC = 0x4000


def visit(act: Callable[[], Any], program: str, rootfs: str, seconds: float = SECONDS) -> Any:
    """Call *act* in a new spare host and return its result, which has to be fit for JSON; see clone3(2).

    In PLACE are the file `program.py` with the text *program*, and a copy of the directory *rootfs*. All processes are
    killed when *act* ends, after so many *seconds*, or with this process. HostError: this host refuses the namespaces,
    or *act* has raised it.
    """
    with spare_groups.kept() as join:
        output, input_ = os.pipe()
        gate, opener = os.pipe()
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
    if "refused" in answer:
        raise HostError(*answer["refused"])
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
    except HostError as error:
        answer["refused"] = [error.thing, error.cause, error.cure]
    except BaseException as error:  # noqa: BLE001  the parent reports it; nothing may leave this function
        answer["trouble"] = f"{type(error).__name__}: {error}"
    finally:
        with contextlib.suppress(OSError):
            os.write(output, json.dumps(answer).encode())  # less than a pipe holds, 65536 bytes
        os._exit(0)


def _make_null(path: str) -> None:
    """Make the file from which a shell lets its background processes read; without root, it is an empty file."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o666))


def _furnish(program: str, rootfs: str) -> None:
    """Make all mounts private and read-only, fill PLACE and mount /proc, then make all mounts shared; see mount(2)."""
    root = b"/"
    mount.mount(b"", root, b"", MS_REC | mount.MS_PRIVATE, b"")
    mount.mount_setattr(mount.AT_FDCWD, root, mount.AT_RECURSIVE, attr_set=mount.MOUNT_ATTR_RDONLY)
    place = mount.fsopen(b"tmpfs")
    mount.fsconfig_set(place, b"size", SIZE.encode())
    mount.fsconfig_create(place)
    tree = mount.fsmount(place)
    folder = f"/proc/self/fd/{tree}"  # filled before it covers PLACE: the student's directory may lie there
    os.mkdir(f"{folder}/tmp", 0o700)
    subprocess.run(["cp", "-a", "--", rootfs, f"{folder}/rootfs"], check=True, pass_fds=[tree], stderr=subprocess.PIPE)
    os.makedirs(f"{folder}/rootfs/dev", exist_ok=True)
    _make_null(f"{folder}/rootfs/dev/null")
    with open(f"{folder}/program.py", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(program)
    target = os.open(PLACE, os.O_PATH)
    mount.move_mount(tree, target)
    for fd in (place, tree, target):
        os.close(fd)
    socket.sethostname(NAME)
    mount.mount(b"proc", b"/proc", b"proc", 0, b"")
    spare_groups.show()
    mount.mount(b"", root, b"", MS_REC | mount.MS_SHARED, b"")
    os.chdir(PLACE)
