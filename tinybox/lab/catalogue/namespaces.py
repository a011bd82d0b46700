"""Eight kinds of namespace, and which of them a box has for itself.

A namespace is an object in the kernel with an inode number. Each process has eight links in /proc/PID/ns that show its
namespaces: the same number is the same namespace. Inside and outside of the box, the links show the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinybox.container.views.namespaces import KINDS, inode
from tinybox.lab import inside
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

OWN = {"cgroup", "ipc", "mnt", "net", "pid", "uts"}


def links() -> None:
    """In the box: send the inode numbers of this process's namespaces; see namespaces(7)."""
    inside.send({kind: inode("self", kind) for kind in KINDS})
    inside.receive_line()


def check(bench: Bench, *, feature: bool) -> None:
    """Read the links of one process from both sides, and those of the host beside them."""
    with bench.box(links, uts="private" if feature else "host") as box:
        read_inside = box.receive()
        read_outside = {kind: inode(str(box.program), kind) for kind in KINDS}
    host = {kind: inode("self", kind) for kind in KINDS}
    for kind in KINDS:
        bench.on_host(kind, host[kind], f"readlink /proc/self/ns/{kind}")
        bench.in_box(kind, read_inside[kind], f"readlink /proc/self/ns/{kind}")
    bench.text_says(
        "clone makes the child in the same namespaces",
        f"with CLONE_NEWUTS, UTS namespace {host['uts']} became {read_outside['uts']}",
        refuted=host["uts"] != read_outside["uts"],
    )
    differ = {kind for kind in KINDS if host[kind] != read_outside[kind]}
    bench.claim("both sides read the same numbers of the same process", read_inside == read_outside)
    bench.claim(f"six differ from the host's: {' '.join(sorted(OWN))}", differ == OWN)
    bench.claim("two are the host's: time and user", set(KINDS) - differ == {"time", "user"})


LAB = Lab(
    question="Of the eight kinds of namespace, which does a box have for itself, which does it share with the host?",
    answer="cgroup, ipc, mnt, net, pid and uts are its own; time is the host's, and so is user without --userns.",
    control="the host's uts namespace (--uts host): one less differs",
    check=check,
)
