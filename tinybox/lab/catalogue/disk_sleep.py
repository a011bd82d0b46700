"""State D: which waits SIGKILL can end, and which it cannot.

A process in state D sleeps in the kernel and takes no ordinary signal. As long as its request is only in a queue, the
kernel can take it back, and SIGKILL ends the process. When a disk or a file server has taken the request, the process
has to wait for the answer: SIGKILL is pending, and works only then. Here the server is a file system of FUSE that takes
a request and is silent, like a broken disk or an NFS server that is gone.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tinybox.lab import inside, look, silent_files
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

MOUNT = "/tmp/silent"
FUNCTION = "request_wait_answer"  # of the kernel: where a request to a file system of FUSE waits


def serve(takes: bool) -> None:
    """In the box: be the server of a file system, and let a child ask for a file; take its request, or leave it."""
    os.mkdir(MOUNT)
    gate, opened = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(opened)
        os.read(gate, 1)
        inside.perform(os.path.exists, (f"{MOUNT}/file",))
    try:
        server = silent_files.mounted(MOUNT)
    except OSError as error:
        inside.send(str(error))
        return
    os.write(opened, b".")
    if takes:
        silent_files.take_request(server)
    inside.send("")
    inside.receive_line()
    os.close(server)
    os.waitpid(child, 0)
    inside.send("waited")
    inside.receive_line()


def check(bench: Bench, *, feature: bool) -> None:
    """Kill a process whose request a file server has taken, then let the server end."""
    with bench.box(serve, feature, privileged=True) as box:
        trouble = box.receive()
        bench.need(not trouble, f"this machine does not let the lab mount a file system of FUSE: {trouble}")
        client = look.children(box.program)[0]
        bench.until(look.asleep(client, FUNCTION), "the client's sleep")
        bench.on_host("the client sleeps in", look.sleeps_in(client), f"/proc/{client}/wchan")
        os.kill(client, signal.SIGKILL)
        bench.comes(lambda: look.state(client) in "ZX", 0.2 if feature else 10)
        state = bench.on_host("after SIGKILL", look.state(client), f"field 3 of /proc/{client}/stat")
        pending = signal.SIGKILL in look.signals(client, "SigPnd") | look.signals(client, "ShdPnd")
        bench.on_host("SIGKILL is pending", pending, f"bit 8 of SigPnd and ShdPnd in /proc/{client}/status")
        box.send_line("end")
        bench.in_box("the server has ended, its parent", box.receive(), "waitpid(2)")
        gone = bench.on_host("then", look.state(client), f"open(2) of /proc/{client}/stat: ENOENT")
    bench.claim("SIGKILL does not end a process whose request was taken: it is in D", state == "D")
    bench.claim("the signal is not lost, it is pending", pending)
    bench.claim("when the server has gone, the process ends", gone == "X")


LAB = Lab(
    question="A process waits for a file server that has taken its request and does not answer. What does kill -9 do?",
    answer="It has to wait, too: the process stays in state D with SIGKILL pending, until the server answers or ends.",
    control="the server has not taken the request from the queue yet: SIGKILL ends the process at once",
    check=check,
)
