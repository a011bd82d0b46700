"""File locks, the PID file, and the script cache "Run".

A lock belongs to a file, that is, to an inode: all processes that open the same inode share the lock, on the host or in
any box. A daemon locks its PID file, so a second daemon cannot start. Run does the same for a script: the first process
locks, fetches and caches it; a second process waits for the lock, and then finds the script. But two boxes of one image
share no inode that they can write to: the first write to a file of the image copies it up, once for each box.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench
    from tinybox.lab.box import Box

SCRIPT = "echo hello from the cache\n"


def try_lock(path: str) -> int:
    """Lock a PID file without waiting, and write the pid into it; return 0 or the errno; see F_SETLK in fcntl(2)."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno or -1
    os.pwrite(file, f"{os.getpid():7}\n".encode(), 0)
    return 0


def be_daemon(path: str) -> None:
    """In the box: try to lock the PID file, send the result, and keep the lock until stdin is closed."""
    inside.send(try_lock(path))
    os.read(0, 1)


def run_cached(lock: str, cache: str) -> None:
    """In the box, "Run": under a lock, fetch the script unless it is in the cache; then execute it."""
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(file, fcntl.LOCK_EX)
    if not os.path.exists(cache):
        inside.send("fetching")
        inside.receive_line()  # the network is slow
        with open(f"{cache}.new", "w", encoding="utf-8") as new:
            new.write(SCRIPT)
        os.rename(f"{cache}.new", cache)
    fcntl.flock(file, fcntl.LOCK_UN)
    os.execv("/bin/sh", ["sh", cache])


def answers(bench: Bench, boxes: list[Box], path: str) -> list[int]:
    """Let two boxes and then the host lock the same path; return the errno of each, 0 if it got the lock."""
    first, second = (box.start(be_daemon, path).receive() for box in boxes)
    with bench.process(try_lock, boxes[0].path(path)) as host_process:
        here = host_process.receive()
    names = [errno.errorcode.get(answer, "has the lock") for answer in (first, second, here)]
    bench.in_box(f"{path}, first box", names[0], "F_SETLK of fcntl(2)")
    bench.in_box(f"{path}, second box", names[1], "F_SETLK of fcntl(2)")
    bench.on_host(f"{path}, first box", names[2], "F_SETLK of fcntl(2), by the host")
    inode = os.stat(boxes[0].path(path)).st_ino
    lines = [line for line in look.text("/proc/locks").splitlines() if f":{inode} " in line]
    bench.on_host("holder of the lock: pid, inode", "; ".join(lines), f"grep :{inode} /proc/locks")
    return [first, second, here]


def fetched(bench: Bench, boxes: list[Box], folder: str) -> tuple[int, list[str]]:
    """Let two boxes Run one script at once; return how often it was fetched, and what both printed."""
    one = boxes[0].start(run_cached, f"{folder}/lock", f"{folder}/script")
    one.receive()  # it is fetching, until the lab sends it a line
    two = boxes[1].start(run_cached, f"{folder}/lock", f"{folder}/script")
    bench.until(lambda: waits(two.pid) or two.has_output(), "the second run")
    fetching = [one, two] if two.has_output() else [one]
    for each in fetching:
        each.send_line("the network has answered")
    printed = [each.read_all().splitlines()[-1:] for each in (one, two)]
    bench.in_box("times fetched", len(fetching), "a counter in the lab")
    bench.in_box("printed", printed, "the last line of each run")
    return len(fetching), [*printed[0], *printed[1]]


def waits(pid: int) -> bool:
    """Return whether a process waits for a lock; see proc_locks(5)."""
    return any("->" in line and f" {pid} " in line for line in look.text("/proc/locks").splitlines())


def check(bench: Bench, *, feature: bool) -> None:
    """Let two boxes and the host try to take one lock; then let two boxes run a script that is not cached."""
    options = {"volume": [f"{bench.folder()}:/shared"]} if feature else {}
    with bench.box("cat", **options) as one, bench.box("cat", **options) as two:
        boxes = [one, two]
        first, second, here = answers(bench, boxes, "/shared/app.pid" if feature else "/etc/passwd")
        fetches, printed = fetched(bench, boxes, "/shared" if feature else "/tmp")
    bench.claim("while a box holds the lock, the host gets EAGAIN", (first, here) == (0, errno.EAGAIN))
    bench.claim("and the other box gets EAGAIN, too", second == errno.EAGAIN)
    bench.claim("two runs at the same time fetch once", fetches == 1)
    bench.claim("and both run the script", printed == [SCRIPT.split(maxsplit=1)[1].strip()] * 2)


LAB = Lab(
    question="Two boxes and the host lock one file. How many get the lock? And if the file is part of the image?",
    answer="One inode, one holder: the others get EAGAIN, whatever their namespaces. A file of the image is copied"
    ' up by each box that opens it for writing: two inodes, and both "hold" the lock.',
    control="no shared volume: copy-up makes two files, both boxes hold the lock, and both fetch",
    check=check,
)
