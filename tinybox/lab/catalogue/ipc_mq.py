"""IPC by a message queue: a name that belongs to an IPC namespace.

POSIX message queues keep messages whole and in order of priority. They have names, and each IPC namespace has its own
names: the host's queue does not exist in the box. The file of a queue shows how many bytes wait in it, and
mq_getattr(3) how many messages.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Any

from tinybox.errors import SyscallError
from tinybox.lab import inside
from tinybox.lab.course import Lab
from tinybox.linux import user_namespaces

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

MESSAGES = (b"one", b"two", b"three")
_libc = ctypes.PyDLL(None, use_errno=True)


def mq(call: str, *arguments: Any) -> int:
    """Call a function of mq_overview(7) in the C library; SyscallError if it fails."""
    result: int = _libc[call](*arguments)
    if result < 0:
        raise SyscallError(ctypes.get_errno(), call)
    return result


def look_for(name: str) -> None:
    """In the box: send the list of queues, the result of opening the queue *name*, and the text of its file."""
    try:
        opened = mq("mq_open", name.encode(), os.O_RDONLY)
    except SyscallError as error:
        inside.send([os.listdir("/dev/mqueue"), errno.errorcode[error.errno or 0], ""])
    else:
        inside.send([os.listdir("/dev/mqueue"), "open", os.pread(opened, 100, 0).decode()])


def waiting(queue: int) -> int:
    """Return how many messages wait in a queue: mq_curmsgs, the fourth number of struct mq_attr; see mq_getattr(3)."""
    attributes = (ctypes.c_long * 8)()
    mq("mq_getattr", queue, attributes)
    return int(attributes[3])


def make(bench: Bench, name: str) -> int:
    """Make a queue on the host with three messages, removed at the end of the lab; return its descriptor."""
    try:
        queue = mq("mq_open", name.encode(), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, None)
    except SyscallError as error:
        bench.need(error.errno != errno.ENOSYS, "this kernel has no POSIX message queues (CONFIG_POSIX_MQUEUE)")
        raise
    bench.closing(lambda: os.close(queue))
    bench.closing(lambda: mq("mq_unlink", name.encode()))
    for word in MESSAGES:
        mq("mq_send", queue, word, ctypes.c_size_t(len(word)), 0)
    return queue


def check(bench: Bench, *, feature: bool) -> None:
    """Put three messages into a queue of the host, and look for it in a box."""
    if user_namespaces.is_rootless() and not feature:
        bench.need(os.path.isdir("/dev/mqueue"), "it needs /dev/mqueue, which only root of the host can mount")
    name = f"/lab-{os.getpid()}"
    queue = make(bench, name)
    with bench.box(look_for, name, ipc="private" if feature else "host") as box:
        listed, outcome, text = box.receive()
        size = os.pread(queue, 100, 0).decode().split()[0]
        messages = bench.on_host("messages in it", waiting(queue), "mq_curmsgs of mq_getattr(3)")
        bench.on_host("queue", size, f"cat /dev/mqueue{name}, where an mqueue is mounted; mq_open(3)")
        bench.in_box("queue", text.split()[0] if text else "none", f"cat /dev/mqueue{name}")
        bench.in_box("queues listed", " ".join(listed) or "none", "ls /dev/mqueue")
        bench.in_box("mq_open", outcome, "mq_open(3)")
    bench.claim("the host's queue holds three messages", messages == len(MESSAGES))
    bench.claim("and its file counts their bytes", size == f"QSIZE:{sum(map(len, MESSAGES))}")
    bench.claim("the box lists no queue", not listed)
    bench.claim("and cannot open the host's queue by its name", outcome == "ENOENT")


LAB = Lab(
    question="The host has a message queue with three messages. What does `ls /dev/mqueue` show in a box?",
    answer="Nothing: names of queues belong to the IPC namespace, and the box has its own. mq_open(3) fails (ENOENT).",
    control="a shared IPC namespace (--ipc host): the queue is listed, and can be opened",
    check=check,
)
