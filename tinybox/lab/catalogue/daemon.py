"""Daemons: how a process gives up its terminal, session and streams.

A daemon leaves its parent, its session and its terminal, its working directory and its three streams. It forks twice.
The first child leads a new session, and a session leader gets a terminal again if it opens one. The second child is not
a leader, so it never gets one. Its parent ends, and PID 1 adopts it. With umask(0) its files get exactly the mode that
it asks for. It is in another process group than its starter, so Ctrl-C on that terminal does not reach it.
"""

from __future__ import annotations

import os
import signal
import stat
from typing import TYPE_CHECKING

from tinybox.lab import look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

PID_FILE, MODE = "/tmp/daemon.pid", 0o666


def become_daemon(forks_twice: bool) -> None:
    """In the box, on a terminal: become a SysV daemon, see daemon(7), and write the pid into a file."""
    os.chdir("/tmp")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # when a session leader, as this process, ends, the others get SIGHUP
    if os.fork():
        os._exit(0)
    os.setsid()
    if forks_twice and os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.close(null)
    fd = os.open(f"{PID_FILE}.new", os.O_WRONLY | os.O_CREAT, MODE)
    os.write(fd, str(os.getpid()).encode())
    os.close(fd)
    os.rename(f"{PID_FILE}.new", PID_FILE)
    signal.pause()


def check(bench: Bench, *, feature: bool) -> None:
    """Start a daemon on a terminal of the box, and read which streams, terminal and directory it still has."""
    with bench.box("sh", "-c", "read line") as box:
        starter = box.start(become_daemon, feature, tty=True)
        starters_group = look.stat(starter.pid, 5)
        bench.until(lambda: os.path.exists(box.path(PID_FILE)), "the PID file")
        starter.wait()
        inner = bench.in_box("its number", int(look.text(box.path(PID_FILE))), f"cat {PID_FILE}")
        pid = bench.until(lambda: [p for p in look.children(box.pid) if is_named(p, inner)], "its adoption")[0]
        bench.on_host("its number", pid, f"/proc/{box.pid}/task/{box.pid}/children")
        fields = box.run("cat", f"/proc/{inner}/stat").output.rpartition(") ")[2].split()
        parent, session, terminal = int(fields[1]), int(fields[3]), int(fields[4])
        bench.in_box(
            "parent, session, terminal", f"{parent} {session} {terminal}", f"fields 4, 6, 7 of /proc/{inner}/stat"
        )
        outside = " ".join(look.stat(pid, number) for number in (4, 6, 7))
        bench.on_host("parent, session, terminal", outside, f"fields 4, 6, 7 of /proc/{pid}/stat")
        streams = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)]
        bench.on_host("streams", " ".join(streams), f"ls -l /proc/{pid}/fd")
        group = look.stat(pid, 5)
        bench.on_host("its process group, its starter's", f"{group}, {starters_group}", f"field 5 of /proc/{pid}/stat")
        umask = bench.on_host("umask", look.status(pid, "Umask"), f"Umask in /proc/{pid}/status")
        mode = stat.S_IMODE(os.stat(box.path(PID_FILE)).st_mode)
        bench.in_box(f"mode of its file, asked for {MODE:o}", f"{mode:o}", f"stat -c %a {PID_FILE}")
        folder = bench.on_host("directory", os.readlink(f"/proc/{pid}/cwd"), f"readlink /proc/{pid}/cwd")
    bench.claim("it has no terminal", terminal == 0)
    bench.claim("it does not lead its session, so it cannot get a terminal again", session not in (0, inner))
    bench.claim("PID 1 is its parent", parent == 1)
    bench.claim("its three streams are /dev/null", streams == ["/dev/null"] * 3)
    bench.claim("it is not in the process group of its starter", group != starters_group)
    bench.claim("its umask is 0: its file has the mode that it asked for", (umask, mode) == ("0000", MODE))
    bench.claim("its directory is /, so it keeps no file system from being unmounted", folder == "/")


def is_named(pid: int, inner: int) -> bool:
    """Return whether the process *pid* is number *inner* in its own pid namespace; one that has just ended is not."""
    try:
        return look.status(pid, "NSpid").split()[-1:] == [str(inner)]
    except (FileNotFoundError, ProcessLookupError):
        return False


LAB = Lab(
    question="A daemon is started on a terminal. What does it still have of that terminal, and why does it fork twice?",
    answer="Nothing: no terminal, /dev/null for its streams, / as its directory, PID 1 as its parent, another"
    " process group than its starter's, and a umask of 0. After the second"
    " fork it does not lead its session (sid is not its pid), and only a session leader can get a terminal.",
    control="it forks only once: it leads its session, sid is its pid",
    check=check,
)
