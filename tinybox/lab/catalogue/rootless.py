"""Root without root: the map of a user namespace, from both sides.

Any user may make a user namespace, and is root in it: the process has all capabilities over what belongs to that
namespace. The file uid_map says which id outside stands for which id inside. A file keeps one owner, and each side
reads it through the map: root's file of the inside is the user's own file outside. So root inside may do outside what
that user may do, and no more. `tinybox run` without root begins like this.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.isolation.rootless import home
from tinybox.lab import inside, look
from tinybox.lab.course import Lab
from tinybox.linux import process, user_namespaces

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

USER = 1000  # an id that is not root's; nobody has to have it in /etc/passwd


def become_root(folder: str, closed: str, mapped: bool) -> None:
    """As USER: make a user namespace, write its map, make a file, and try to read one of the host's root."""
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    process.set_dumpable(True)  # or /proc/self/uid_map would belong to root: see PR_SET_DUMPABLE in prctl(2)
    process.unshare(process.CLONE_NEWUSER)
    if mapped:
        home.map_one(USER, USER)
    made = os.open(f"{folder}/made", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    inside.send({"id": os.geteuid(), "map": look.text("/proc/self/uid_map").split(), "owner": os.fstat(made).st_uid,
                 "capabilities": look.status("self", "CapEff"), "opened": may_open(closed)})  # fmt: skip
    inside.receive_line()


def may_open(path: str) -> bool:
    """Return whether this process may read the file *path*; see open(2)."""
    try:
        os.close(os.open(path, os.O_RDONLY))
    except PermissionError:
        return False
    return True


def check(bench: Bench, *, feature: bool) -> None:
    """Let a process of USER be root of its own user namespace, and read its ids and its file from both sides."""
    bench.need(user_namespaces.has_group(USER), "it needs other ids than 0: lines in /etc/subuid and /etc/subgid")
    folder = bench.folder()
    os.chmod(folder, 0o711)
    os.mkdir(f"{folder}/users", 0o700)
    os.chown(f"{folder}/users", USER, USER)
    os.close(os.open(f"{folder}/closed", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with bench.process(become_root, f"{folder}/users", f"{folder}/closed", feature) as guest:
        seen = guest.receive()
        outside = look.text(f"/proc/{guest.pid}/uid_map").split()
        number, pid = look.status(guest.pid, "Uid").split()[1], guest.pid
    owner = os.stat(f"{folder}/users/made").st_uid
    bench.in_box("user id", seen["id"], "geteuid(2) in the namespace")
    bench.on_host("user id", number, f"Uid in /proc/{pid}/status")
    bench.in_box("its map: inside, outside, length", " ".join(seen["map"]) or "none", "/proc/self/uid_map")
    bench.on_host("its map: inside, outside, length", " ".join(outside) or "none", f"/proc/{pid}/uid_map")
    bench.in_box("owner of its file", seen["owner"], "fstat(2) in the namespace")
    bench.on_host("owner of its file", owner, "stat(2)")
    bench.in_box("capabilities", seen["capabilities"], "CapEff in /proc/self/status")
    bench.in_box("may read a file of root's", seen["opened"], "open(2): mode 600, owner 0 outside")
    bench.claim("inside, the user is root", seen["id"] == 0)
    bench.claim(f"both sides read the same map: 0 is {USER}", seen["map"] == outside == ["0", str(USER), "1"])
    bench.claim(f"its file is root's inside, and {USER}'s outside", (seen["owner"], owner) == (0, USER))
    bench.claim("a file of the host's root stays closed for it", not seen["opened"])


LAB = Lab(
    question="A user without root becomes root of a user namespace, and makes a file. Whose is it inside, and outside?",
    answer="Inside it is root's, outside it is the user's: the kernel keeps one owner, and each side reads it through"
    " the map. A file of the host's root stays closed, although all capabilities are there.",
    control="without the map no id outside stands for root: inside, the user and the file are nobody's (65534)",
    check=check,
)
