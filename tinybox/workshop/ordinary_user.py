"""An ordinary user on the spare host: the student's process runs without root, also if the check is root's.

If the check is root's, the process becomes the user who has called sudo(8), or user 1000. This user may not be able to
read Python, for instance below /root; and the check of a user without root has no other user: it is root of the user's
home, see isolation/rootless/home.py. Then the process enters one more user namespace, in which it is not id 0, so that
execve(2) takes its capabilities away. See user_namespaces(7) and capabilities(7).
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tinybox.errors import HostError
from tinybox.linux import process, user_namespaces
from tinybox.workshop.spare_host import PLACE
from tinybox.workshop.trial import read

if TYPE_CHECKING:
    from typing import Any

ORDINARY = 1000  # the first user that is made on most hosts
REFUSALS = {  # files of sysctl(8), with the value by which a host forbids user namespaces to users without root
    "user/max_user_namespaces": "0",
    "kernel/unprivileged_userns_clone": "0",
    "kernel/apparmor_restrict_unprivileged_userns": "1",
}


def become_ordinary(rootfs: str, *boxes: str) -> dict[str, Any]:
    """Return the options of subprocess.Popen for a process of an ordinary user.

    The directory *rootfs* is given to this user, and the directories *boxes* are made. HostError: this host permits no
    user namespaces.
    """
    _refuse_forbidden()
    for box in boxes:
        os.mkdir(box)
    os.chmod(f"{PLACE}/program.py", 0o644)
    uid, gid = (int(os.environ.get(name) or ORDINARY) or ORDINARY for name in ("SUDO_UID", "SUDO_GID"))
    options = {"user": uid, "group": gid, "extra_groups": []}
    if user_namespaces.is_rootless() or not _can_run_python(options):
        return {"preexec_fn": _leave_root}
    subprocess.run(["chown", "-R", "--", f"{uid}:{gid}", rootfs, *boxes], check=True)
    return options


def _can_run_python(options: dict[str, Any]) -> bool:
    words = [sys.executable, "-c", "import tinybox"]
    try:
        return subprocess.run(words, check=False, cwd=PLACE, stderr=subprocess.DEVNULL, **options).returncode == 0
    except OSError:
        return False


def read_as(viewer: int, pid: int, name: str) -> str:
    """Return the text of /proc/PID/NAME with the ids that process *viewer* sees, in its user namespace; setns(2)."""
    output, input_ = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            path = f"/proc/{viewer}/ns/user"
            if os.readlink(path) != os.readlink("/proc/self/ns/user"):
                process.setns(os.open(path, os.O_RDONLY), process.CLONE_NEWUSER)
            os.write(input_, read(pid, name).encode())  # less than a pipe holds, 65536 bytes
        finally:
            os._exit(0)
    os.close(input_)
    with open(output, encoding="utf-8") as file:
        text = file.read()
    os.waitpid(child, 0)
    return text


def _refuse_forbidden() -> None:
    for name, value in REFUSALS.items():
        try:
            with open(f"/proc/sys/{name}", encoding="ascii") as file:
                found = file.read().strip()
        except FileNotFoundError:
            continue  # a kernel without this setting
        if found == value:
            key = name.replace("/", ".")
            cure = f"sysctl {key}={'0' if value == '1' else '10000'}"
            cause = f"users without root may make no user namespace: {key}={found}"
            raise HostError("level user-namespace", cause, cure)


def _leave_root() -> None:
    """In the child, before execve(2): be the user ORDINARY of a new user namespace, who has no capabilities.

    Another child writes the maps. It has the rights to do so outside, so setgroups(2) stays allowed in the namespace.
    """
    gate, opener = os.pipe()
    pid, writer = os.getpid(), os.fork()
    if writer == 0:
        try:
            os.read(gate, 1)
            for name in ("uid_map", "gid_map"):
                with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as file:
                    file.write(f"{ORDINARY} 0 1")
        finally:
            os._exit(0)
    process.unshare(process.CLONE_NEWUSER)
    os.write(opener, b"!")
    os.waitpid(writer, 0)
    for fd in (gate, opener):
        os.close(fd)
