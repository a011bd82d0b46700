"""IPC by shared memory: one segment, its key, and two namespaces.

System V shared memory is found by a number that both sides agree on, the key. The kernel looks the key up in the
caller's IPC namespace. So a box with an IPC namespace of its own finds nothing under the host's key, and a box that
shares the host's finds the same bytes. One side stores, and the other reads: nothing is copied, nothing is sent.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from tinybox.lab import look
from tinybox.lab.course import Lab
from tinybox.linux import sysv

if TYPE_CHECKING:
    from typing import Any

    from tinybox.lab.bench import Bench

SIZE = 4096  # bytes
TABLE = "/proc/sysvipc/shm"


def find(key: int, answer: bytes) -> dict[str, Any]:
    """In the box: look for the segment of *key*; if it exists, read it and store *answer* in it; see shmat(2)."""
    lines = row(key)
    try:
        shmid = sysv.shmget(key)
    except FileNotFoundError:
        return {"errno": "ENOENT", "lines": lines}
    address = sysv.shmat(shmid)
    read = ctypes.string_at(address).decode()
    ctypes.memmove(address, answer + b"\0", len(answer) + 1)
    sysv.shmdt(address)
    return {"errno": "none", "lines": lines, "id": shmid, "read": read}


def row(key: int) -> int:
    """Return how many lines of /proc/sysvipc/shm have this *key*; see proc_sysvipc(5)."""
    keys = [line.split()[0] for line in look.text(TABLE).splitlines()[1:]]
    return keys.count(str(key))


def check(bench: Bench, *, feature: bool) -> None:
    """Store a text in a segment of the host, and let two boxes look for it, with and without an IPC namespace."""
    key = 0x7B000000 | os.getpid()
    shmid = sysv.shmget(key, SIZE, sysv.IPC_CREAT | sysv.IPC_EXCL | 0o600)
    bench.closing(lambda: sysv.shmctl_remove(shmid))
    address = sysv.shmat(shmid)
    bench.closing(lambda: sysv.shmdt(address))
    ctypes.memmove(address, b"from the host\0", 14)
    bench.on_host("lines with the key", row(key), f"grep {key} {TABLE}")
    bench.on_host("id", shmid, f"shmget({key:#x})")

    with bench.box(find, key, b"from the other box", ipc="private" if feature else "host") as box:
        separate = box.receive()
    bench.in_box("lines with the key", separate["lines"], f"{TABLE}, own IPC namespace")
    bench.in_box("errno", separate["errno"], f"shmget({key:#x}), own IPC namespace")

    with bench.box(find, key, b"from the box", ipc="host") as box:
        shared = box.receive()
    bench.in_box("id", shared.get("id"), f"shmget({key:#x}), shared IPC namespace")
    bench.in_box("reads", shared.get("read"), "shmat(2), shared IPC namespace")
    reply = bench.on_host("reads", ctypes.string_at(address).decode(), "its own memory")

    bench.claim("a box with its own IPC namespace finds no such key", separate == {"errno": "ENOENT", "lines": 0})
    bench.claim("a box that shares the host's namespace finds the same id", shared.get("id") == shmid)
    bench.claim("it reads what the host stored", shared.get("read") == "from the host")
    bench.claim("the host reads what the box stored", reply == "from the box")


LAB = Lab(
    question="The host stores a text in shared memory under a key. Does a box that knows the key find it?",
    answer="Not with an IPC namespace of its own: ENOENT. With the host's it finds the same id, and each side"
    " reads what the other stores.",
    control="the first box shares the host's IPC namespace, too (--ipc host): it finds the key",
    check=check,
)
