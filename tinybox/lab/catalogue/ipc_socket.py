"""IPC by sockets: three kinds of address, and the namespace that each belongs to.

A socket with a path is a file: a process that can open the file can connect, so a bind mount makes it reachable in a
box. An abstract name and a port of 127.0.0.1 belong to a network namespace: in another one, no process listens there.
"""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from typing import TYPE_CHECKING

from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

REACHED = "reached"


def attempts(path: str, name: str, port: int) -> dict[str, str]:
    """Connect to each kind of address, and return the results; see connect(2), unix(7) and ip(7)."""
    return {
        "path": attempt(socket.AF_UNIX, path),
        "abstract": attempt(socket.AF_UNIX, f"\0{name}"),
        "127.0.0.1": attempt(socket.AF_INET, ("127.0.0.1", port)),
    }


def attempt(family: int, address: str | tuple[str, int]) -> str:
    """Connect to *address*; return "reached", or the name of the errno; see connect(2)."""
    with socket.socket(family, socket.SOCK_STREAM) as end:
        try:
            end.connect(address)
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, "?")
    return REACHED


def listen(bench: Bench, family: int, address: str | tuple[str, int]) -> socket.socket:
    """Listen on the host until the check ends; see listen(2)."""
    end = socket.socket(family, socket.SOCK_STREAM)
    bench.closing(end.close)
    end.bind(address)
    end.listen()
    return end


def check(bench: Bench, *, feature: bool) -> None:
    """Listen on the host at three addresses, and connect to each from the host and from a box."""
    folder = tempfile.TemporaryDirectory(prefix="tinybox-lab-")
    bench.closing(folder.cleanup)
    name = f"tinybox-lab-{os.getpid()}"
    listen(bench, socket.AF_UNIX, f"{folder.name}/socket")
    listen(bench, socket.AF_UNIX, f"\0{name}")
    port = listen(bench, socket.AF_INET, ("127.0.0.1", 0)).getsockname()[1]
    for kind, became in attempts(f"{folder.name}/socket", name, port).items():
        bench.on_host(kind, became, "connect(2)")

    network = "none" if feature else "host"
    with bench.box(attempts, "/shared/socket", name, port, network=network, volume=[f"{folder.name}:/shared"]) as box:
        became = box.receive()
    for kind in became:
        bench.in_box(kind, became[kind], "connect(2)")
    bench.claim("a socket with a path is reached through a bind mount", became["path"] == REACHED)
    bench.claim("an abstract name of the host has no listener in the box", became["abstract"] == "ECONNREFUSED")
    bench.claim("127.0.0.1 in the box is not the host's", became["127.0.0.1"] != REACHED)


LAB = Lab(
    question="The host listens at /shared/socket (bind-mounted into the box), at an abstract name, and at 127.0.0.1."
    " Which of them can a program in the box connect to?",
    answer="Only to the socket with a path. Abstract names and 127.0.0.1 belong to the network namespace, and the box"
    " has its own.",
    control="the host's network namespace (--network host): all three are reached",
    check=check,
)
