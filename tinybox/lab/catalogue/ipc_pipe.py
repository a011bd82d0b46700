"""IPC by a pipe: an inherited descriptor crosses every namespace.

Namespaces hide names. A pipe has no name: a process inherits a descriptor of it, and keeps it when it enters new
namespaces. So a pipe is the simplest connection between a host and a box, and `cmd | tinybox run` works. A FIFO is a
pipe with a name in a file system, and in the box the same name leads to another file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.container.views import namespaces
from tinybox.lab import inside
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

MESSAGE = b"across all walls\n"


def read_pipe(fifo: str) -> None:
    """In the box: send the inode of a pipe (stdin, or the FIFO of this name), then what is read from it."""
    fd = 0
    if fifo:
        os.makedirs(os.path.dirname(fifo), exist_ok=True)
        os.mkfifo(fifo)
        fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    inside.send(os.fstat(fd).st_ino)
    if fifo:
        inside.receive_line()
    try:
        inside.send(os.read(fd, 100).decode())
    except BlockingIOError:
        inside.send("nothing")
    os.read(0, 1)


def check(bench: Bench, *, feature: bool) -> None:
    """Send a message through a pipe that a box has inherited (or through a FIFO, by a name that both sides know)."""
    fifo = "" if feature else f"{bench.folder()}/fifo"
    with bench.box(read_pipe, fifo) as box:
        box_inode = bench.in_box("inode", box.receive(), "fstat(2)")
        if fifo:
            os.mkfifo(fifo)
        fd = os.open(fifo, os.O_RDWR) if fifo else os.dup(box.input)
        bench.closing(lambda: os.close(fd))
        host_inode = bench.on_host("inode", os.fstat(fd).st_ino, f"readlink /proc/self/fd/{fd}; fstat(2)")
        kinds = namespaces.KINDS
        other = [kind for kind in kinds if namespaces.inode("self", kind) != namespaces.inode(str(box.pid), kind)]
        bench.on_host("namespaces that differ", " ".join(other), f"ls -l /proc/{{self,{box.pid}}}/ns")
        os.write(fd, MESSAGE)
        if fifo:
            box.send_line("look")
        message = bench.in_box("read", box.receive(), "read(2)")
        bench.on_host("written", MESSAGE.decode(), "write(2)")
    bench.claim("the two processes are in different namespaces of six kinds", len(other) >= 6)
    bench.claim("both have the same pipe", box_inode == host_inode)
    bench.claim("the box reads what the host writes", message == MESSAGE.decode())


LAB = Lab(
    question="Host and box share hardly any namespace. Can they communicate by a pipe that was open before?",
    answer="Yes: it is the same inode on both sides. Namespaces hide names, and an open pipe needs no name.",
    control="a FIFO: both sides use the same name, but it is not the same file",
    check=check,
)
