"""File locks, the PID file, and the script cache "Run".

A lock belongs to a file, that is to an inode: all who open that inode meet there, on the host or in any box. A daemon
locks its PID file, so a second one cannot start. Run does the same for a script: whoever comes first locks, fetches
and caches; who comes meanwhile waits, and finds it there. But two boxes of one image share no inode to write on: the
first write to a file of the image copies it up, for each box anew.
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

SCRIPT = "echo hello from the cache\n"


def try_lock(path: str) -> int:
    """Lock a PID file without waiting, write our number into it; return 0 or the errno; see F_SETLK in fcntl(2)."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno or -1
    os.pwrite(file, f"{os.getpid():7}\n".encode(), 0)
    return 0


def be_daemon(path: str) -> None:
    """In the box: hold the PID file until the lab hangs up; tell whether we got it."""
    inside.tell(try_lock(path))
    os.read(0, 1)


def run_cached(lock: str, cache: str) -> None:
    """In the box, "Run": under a lock, fetch the script unless it is there; then execute it."""
    file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(file, fcntl.LOCK_EX)
    if not os.path.exists(cache):
        inside.tell("fetching")
        inside.listen()  # the network is slow
        with open(f"{cache}.new", "w", encoding="utf-8") as new:
            new.write(SCRIPT)
        os.rename(f"{cache}.new", cache)
    fcntl.flock(file, fcntl.LOCK_UN)
    os.execv("/bin/sh", ["sh", cache])


def check(bench: Bench, *, feature: bool) -> None:
    """Let the host and two boxes want one lock; then let two boxes run one script that has yet to be fetched."""
    shared = bench.folder()
    options = {"volume": [f"{shared}:/shared"]} if feature else {}
    pid_file = "/shared/app.pid" if feature else "/etc/passwd"  # which comes with the image
    with bench.box("cat", **options) as one, bench.box("cat", **options) as two:
        first = bench.in_box("the first box", one.start(be_daemon, pid_file).hear(), "F_SETLK of fcntl(2): errno")
        second = bench.in_box("the second box", two.start(be_daemon, pid_file).hear(), "F_SETLK of fcntl(2): errno")
        with bench.process(try_lock, one.path(pid_file)) as ours:
            here = bench.on_host("the host", ours.hear(), "F_SETLK of fcntl(2): errno")
        inode = os.stat(one.path(pid_file)).st_ino
        lines = [line for line in look.text("/proc/locks").splitlines() if f":{inode} " in line]
        bench.on_host("who holds it", "; ".join(lines), f"grep :{inode} /proc/locks")
        fetchers = 0
        place = "/shared" if feature else "/tmp"
        runs = [box.start(run_cached, f"{place}/lock", f"{place}/script") for box in (one, two)]
        fetchers += runs[0].line() == '"fetching"'
        bench.until(lambda: _waits(runs[1].pid) or runs[1].says(), "the second run")
        if runs[1].says():
            fetchers += runs[1].line() == '"fetching"'
        for each in runs[:fetchers]:
            each.say("the network has answered")
        outputs = [each.rest() for each in runs]
    bench.in_box("times fetched", fetchers, "a counter in the lab")
    bench.in_box("printed", " ".join(outputs), "two runs of the script")
    bench.claim("while the box holds the lock, the host gets EAGAIN", (first, here) == (0, errno.EAGAIN))
    bench.claim("and so does the other box", second == errno.EAGAIN)
    bench.claim("two runs at once fetch once", fetchers == 1)
    bench.claim("and both run", outputs == ["hello from the cache\n"] * 2)


def _waits(pid: int) -> bool:
    return any("->" in line and f" {pid} " in line for line in look.text("/proc/locks").splitlines())


LAB = Lab(
    question="Two boxes and the host lock one file. Who gets it? And if the file came with the boxes' image?",
    answer="One inode, one holder: the others get EAGAIN, whatever their namespaces. A file of the image is copied"
    ' up by each box that opens it for writing: two inodes, and both "hold" the lock.',
    control="no shared volume: copy-up makes two of the image's file, both boxes hold it, and both fetch",
    check=check,
)
