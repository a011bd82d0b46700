"""Close-on-exec: which open files a new program inherits.

fork(2) copies every descriptor, and execve(2) keeps all but those with the flag FD_CLOEXEC. A program that starts
another one without the flag gives it files that it knows nothing of: secrets, sockets, and the writing ends of pipes. A
reader gets end of file only when the last writing end is closed, also the forgotten one. A descriptor of the host in a
box would even be a way out of it, so tinybox closes all before the box's program begins.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

O_CLOEXEC = 0o2000000  # in the flags of /proc/PID/fdinfo/FD, octal; see open(2)


def start_another(flagged: bool) -> None:
    """In the box: open two files and a pipe, start sleep(1) beside, close the pipe's writing end, and read to its end.

    A second pipe, whose writing end execve(2) closes in the child, tells when the child has become sleep(1).
    """
    secret = os.open("/etc/passwd", os.O_RDONLY)
    wanted = os.open("/etc/group", os.O_RDONLY)
    reader, writer = os.pipe()  # Python sets the flag
    for fd, inherited in ((secret, not flagged), (wanted, True), (writer, not flagged)):
        os.set_inheritable(fd, inherited)  # FD_CLOEXEC of F_SETFD in fcntl(2)
    started, executes = os.pipe()
    if os.fork() == 0:
        os.execv("/bin/sleep", ["sleep", "1000"])
    os.close(executes)
    os.read(started, 1)
    os.close(writer)
    inside.send([secret, wanted, writer, {fd: flags(fd) for fd in (secret, wanted)}])
    os.read(reader, 1)
    inside.send("end of file")
    inside.receive_line()


def flags(fd: int) -> str:
    """Return the flags of an own descriptor, in octal; see proc_pid_fdinfo(5)."""
    lines = look.text(f"/proc/self/fdinfo/{fd}").splitlines()
    return next(line.split()[1] for line in lines if line.startswith("flags:"))


def has(pid: int, fd: int) -> bool:
    """Return whether a process has this descriptor."""
    return os.path.lexists(f"/proc/{pid}/fd/{fd}")


def check(bench: Bench, *, feature: bool) -> None:
    """List the descriptors that a new program has inherited, and see whether the pipe comes to its end."""
    with bench.box("sleep", "1000") as box:
        pid = box.program
        own = sorted(map(int, os.listdir(f"/proc/{pid}/fd")))
        bench.on_host("descriptors of a box's program", own, f"ls /proc/{pid}/fd")
        guest = box.start(start_another, feature)
        secret, wanted, writer, marks = guest.receive()
        sleeper = look.children(guest.pid)[0]
        for name, fd in (("/etc/passwd", secret), ("/etc/group", wanted)):
            source = f"flags in /proc/self/fdinfo/{fd}; {O_CLOEXEC:o} is O_CLOEXEC"
            bench.in_box(f"flags of {name}", marks[str(fd)], source)
        inherited = [has(sleeper, fd) for fd in (secret, wanted, writer)]
        for name, has_it in zip(("/etc/passwd", "/etc/group", "the pipe's writing end"), inherited, strict=True):
            bench.on_host(f"sleep(1) has {name}", has_it, f"ls -l /proc/{sleeper}/fd")
        ended = bench.comes(guest.has_output, 30 if feature else 0.2)
        reader = "has end of file" if ended else f"sleeps in {look.sleeps_in(guest.pid)}"
        bench.on_host("the reader of the pipe", reader, f"read(2); /proc/{guest.pid}/wchan")
    bench.claim("a box's program has the three streams, and no descriptor of the runtime", own == [0, 1, 2])
    bench.claim("the file with the flag is not inherited", not inherited[0])
    bench.claim("the file without it is", inherited[1])
    bench.claim("nor is the writing end of the pipe, so its reader gets end of file", ended and not inherited[2])


LAB = Lab(
    question="A program opens a file with secrets and a pipe, and starts another program, which only sleeps. The first"
    " one closes the writing end of its pipe, and reads. Does it get end of file?",
    answer="Only if the writing end had the flag FD_CLOEXEC. Otherwise the sleeping program holds it open without"
    " knowing, the reader waits for ever, and the file with secrets is open there, too.",
    control="no flag: both are inherited, and the reader sleeps in pipe_read",
    check=check,
)
