"""IPC by a pipe: what is inherited crosses every namespace.

Namespaces hide names. A pipe has no name: whoever has a descriptor of it has got it from somebody, and keeps it,
however many namespaces are new around him. So a pipe is the simplest wire between a host and a box, and `cmd |
tinybox run` works. A FIFO is a pipe with a name in a file system, and that name leads elsewhere in the box.
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
    """In the box: tell our pipe's inode, and what comes out of it: of stdin, or of the FIFO of this name."""
    fd = 0
    if fifo:
        os.makedirs(os.path.dirname(fifo), exist_ok=True)
        os.mkfifo(fifo)
        fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    inside.tell(os.fstat(fd).st_ino)
    if fifo:
        inside.listen()
    try:
        inside.tell(os.read(fd, 100).decode())
    except BlockingIOError:
        inside.tell("nothing")
    os.read(0, 1)


def check(bench: Bench, *, feature: bool) -> None:
    """Send a message through a pipe that a box has inherited (or through a FIFO whose name both sides know)."""
    fifo = "" if feature else f"{bench.folder()}/fifo"
    with bench.box(read_pipe, fifo) as box:
        theirs = bench.in_box("inode", box.hear(), "fstat(2)")
        if fifo:
            os.mkfifo(fifo)
        ours = os.open(fifo, os.O_RDWR) if fifo else os.dup(box.input)
        bench.closing(lambda: os.close(ours))
        inode = bench.on_host("inode", os.fstat(ours).st_ino, f"readlink /proc/self/fd/{ours}; fstat(2)")
        kinds = namespaces.KINDS
        other = [kind for kind in kinds if namespaces.inode("self", kind) != namespaces.inode(str(box.pid), kind)]
        bench.on_host("namespaces that differ", " ".join(other), f"ls -l /proc/{{self,{box.pid}}}/ns")
        os.write(ours, MESSAGE)
        if fifo:
            box.say("look")
        heard = bench.in_box("heard", box.hear(), "read(2)")
        bench.on_host("said", MESSAGE.decode(), "write(2)")
    bench.claim("the two stand in different namespaces of six kinds", len(other) >= 6)
    bench.claim("both hold one and the same pipe", theirs == inode)
    bench.claim("what one writes the other reads", heard == MESSAGE.decode())


LAB = Lab(
    question="Host and box share hardly a namespace. Can a pipe that was open before reach from one to the other?",
    answer="Yes: it is the same inode on both sides. Namespaces hide names, and an open pipe is held, not named.",
    control="a FIFO: a name that both know, but not the same file",
    check=check,
)
