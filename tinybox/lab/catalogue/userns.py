"""User namespaces: root of a box is an ordinary user of the host.

A user namespace has a map: each id inside stands for an id outside. An id without a row is shown as 65534, nobody.
Capabilities count only for what belongs to the namespace: root of the box may give the box a new host name, because
the box's UTS namespace was made in that user namespace, but it may not raise its priority, which is the host's matter.
`tinybox run --userns private` gives every box a map of its own.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab
from tinybox.linux import user_namespaces

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.lab.bench import Bench

CAP_SYS_ADMIN, CAP_SYS_NICE = 21, 23  # see capabilities(7); the first is for sethostname(2), the other for setpriority
NOBODY = 65534  # /proc/sys/kernel/overflowuid


def attempt(act: Callable[[], object]) -> str:
    """Return "ok", or the name of the errno."""
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "ok"


def look_around() -> dict[str, Any]:
    """In the box: return the own ids, map and capabilities, and what they permit."""
    os.close(os.open("/tmp/made", os.O_WRONLY | os.O_CREAT, 0o600))
    return {
        "uid": os.geteuid(),
        "map": look.text("/proc/self/uid_map").split(),
        "capabilities": int(look.status("self", "CapEff"), 16),
        "made": os.stat("/tmp/made").st_uid,
        "meminfo": os.stat("/proc/meminfo").st_uid,
        "sethostname": attempt(lambda: socket.sethostname("renamed")),
        "setpriority": attempt(lambda: os.setpriority(os.PRIO_PROCESS, 0, -1)),
    }


def stay() -> None:
    """In the box: look around, and stay until the lab has looked, too."""
    inside.send(look_around())
    inside.receive_line()


def check(bench: Bench, *, feature: bool) -> None:
    """Read ids, owners and the map from both sides, and let root of the box try two privileged calls."""
    bench.need(not user_namespaces.is_rootless(), "it needs root: see the lab rootless for a user without it")
    bench.need(attempt(raise_and_lower) == "ok", "the host's root may not raise a priority (CAP_SYS_NICE)")
    with bench.box(stay, userns="private" if feature else "host", cap_add=["SYS_ADMIN", "SYS_NICE"]) as box:
        seen, pid = box.receive(), box.program
        uid = int(look.status(pid, "Uid").split()[1])
        outside = look.text(f"/proc/{pid}/uid_map").split()
        own = os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")
        owner = os.stat(box.path("/tmp/made")).st_uid
    bench.in_box("user id", seen["uid"], "id -u; geteuid(2)")
    bench.on_host("user id", uid, f"Uid in /proc/{pid}/status")
    bench.in_box("map: inside, outside, length", " ".join(seen["map"]), "/proc/self/uid_map")
    bench.on_host("map: inside, outside, length", " ".join(outside), f"/proc/{pid}/uid_map")
    bench.in_box("owner of /proc/meminfo", seen["meminfo"], "ls -ln /proc/meminfo")
    bench.on_host("owner of /proc/meminfo", os.stat("/proc/meminfo").st_uid, "ls -ln /proc/meminfo")
    bench.in_box("owner of a file it made", seen["made"], "stat(2) of /tmp/made")
    bench.on_host("owner of a file it made", owner, f"stat(2) of {box.path('/tmp/made')}")
    held = [bool(seen["capabilities"] >> number & 1) for number in (CAP_SYS_ADMIN, CAP_SYS_NICE)]
    bench.in_box("has CAP_SYS_ADMIN, CAP_SYS_NICE", held, "CapEff in /proc/self/status, bits 21 and 23")
    bench.in_box("new name for the box", seen["sethostname"], "sethostname(2)")
    bench.in_box("a higher priority", seen["setpriority"], "nice -n -1 true; setpriority(2)")
    bench.claim("the box has a user namespace of its own", own)
    bench.claim("root of the box is an ordinary user outside", (seen["uid"], uid != 0) == (0, True))
    bench.claim("both sides read the same map: 0 is that user", seen["map"] == outside and outside[1] == str(uid))
    bench.claim("root's file of the host is nobody's inside: 0 of the host has no row", seen["meminfo"] == NOBODY)
    bench.claim(
        "with both capabilities: the box's own name may be changed", (held, seen["sethostname"]) == ([True] * 2, "ok")
    )
    bench.claim("but the host's priorities may not: EACCES", seen["setpriority"] == "EACCES")


def raise_and_lower() -> None:
    """In a child on the host: try to raise the own priority; see setpriority(2)."""
    pid = os.fork()
    if pid == 0:
        os._exit(attempt(lambda: os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) - 1)) != "ok")
    if os.waitpid(pid, 0)[1]:
        raise PermissionError(errno.EACCES, "setpriority")


LAB = Lab(
    question="Root of a box with --userns private has all capabilities that you gave it. Which user is it outside, and"
    " may it rename the box, or raise its own priority?",
    answer="Outside it is an ordinary user with a high number, which uid_map names on both sides. It may rename the"
    " box, because the UTS namespace belongs to its user namespace. It may not raise its priority: for that the kernel"
    " asks for the capability in the host's user namespace. What root of the host owns is nobody's (65534) inside.",
    control="--userns host: root of the box is root of the host, and may raise its priority",
    check=check,
)
