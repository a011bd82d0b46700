"""Streams and limits: stderr apart, ulimit -n, EMFILE and ENFILE.

Results go to stdout and messages to stderr, so a pipe gets the results alone. The number of open files has two limits:
for each process RLIMIT_NOFILE, which a child inherits (EMFILE), and for the whole machine file-max (ENFILE). The soft
limit of a process may go up to its hard limit. Only the host can change file-max; this lab reads it.
"""

from __future__ import annotations

import errno
import os
import resource
from typing import TYPE_CHECKING, Any

from tinybox.lab import look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

SOFT, HARD, ENOUGH = 32, 48, 100
BOTH = "{ echo a result; echo a message >&2; }"
FILE_MAX, FILE_NR = "/proc/sys/fs/file-max", "/proc/sys/fs/file-nr"
CAP_SYS_RESOURCE = 24  # the bit in CapEff; see capabilities(7)
NOFILE = resource.RLIMIT_NOFILE
SOURCES = {
    "limits": "getrlimit(2): soft, hard; ulimit -Sn; ulimit -Hn",
    "in a child": "getrlimit(2) after fork(2)",
    "at the soft limit": "open(2) of /dev/null, again and again",
    "at the hard limit": "open(2) of /dev/null, again and again",
    "CAP_SYS_RESOURCE": "bit 24 of CapEff in /proc/self/status",
    "file-max": f"cat {FILE_MAX}",
    "file-max is writable": "access(2); nothing was written",
}


def last_open() -> tuple[int, str]:
    """Open /dev/null until open(2) fails or ENOUGH are open; return the last descriptor and the errno's name."""
    opened: list[int] = []
    refusal = "none"
    try:
        while len(opened) < ENOUGH:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        refusal = errno.errorcode[error.errno or 0]
    for fd in opened:
        os.close(fd)
    return (opened or [-1])[-1], refusal


def raised(soft: int, hard: int) -> str:
    """Set both limits of this process; return "done", or why the kernel refused; see setrlimit(2)."""
    try:
        resource.setrlimit(NOFILE, (soft, hard))
    except (OSError, ValueError):  # ValueError is Python's word for EPERM here
        return "refused"
    return "done"


def within() -> dict[str, Any]:
    """In the box: read the limits, fill the table of descriptors, and try to raise the limits."""
    found: dict[str, Any] = {"limits": resource.getrlimit(NOFILE), "at the soft limit": last_open()}
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, str(resource.getrlimit(NOFILE)).encode())
        os._exit(0)
    found["in a child"] = os.read(reading, 100).decode()
    os.close(reading)
    os.close(writing)
    found["soft up to hard"] = raised(found["limits"][1], found["limits"][1])
    found["at the hard limit"] = last_open()
    found["above hard"] = raised(2 * HARD, 2 * HARD)
    found["CAP_SYS_RESOURCE"] = bool(int(look.status("self", "CapEff"), 16) >> CAP_SYS_RESOURCE & 1)
    return {**found, "file-max is writable": os.access(FILE_MAX, os.W_OK), "file-max": look.text(FILE_MAX)}


def check(bench: Bench, *, feature: bool) -> None:
    """Send two streams into one pipe, and open files up to the limits of a process."""
    limit = {"ulimit": [f"nofile={SOFT}:{HARD}"]} if feature else {}
    with bench.box("sh", "-c", "read line", tmpfs=["/tmp"]) as shell:
        scripts = {"|": f"{BOTH} 2>/tmp/messages | wc -l", "2>&1 |": f"{BOTH} 2>&1 | wc -l"}
        lines = {name: shell.run("sh", "-c", script).output.strip() for name, script in scripts.items()}
        for name, script in scripts.items():
            bench.in_box(f"lines through {name}", lines[name], f"sh -c '{script}'")
        apart = bench.in_box("what stderr had", look.text(shell.path("/tmp/messages")), "cat /tmp/messages")
    with bench.box(within, **limit) as box:
        found = box.receive()
    for name, value in found.items():
        bench.in_box(name, value, SOURCES.get(name, "setrlimit(2)"))
    bench.on_host("file-max", look.text(FILE_MAX), f"cat {FILE_MAX}")
    bench.on_host("open, free, most of the machine", look.text(FILE_NR), f"cat {FILE_NR}")
    for code in (errno.EMFILE, errno.ENFILE):
        bench.saw(errno.errorcode[code], os.strerror(code), f"strerror(3) of {code}")
    bench.claim("a pipe gets stdout alone", (lines["|"], apart) == ("1", "a message"))
    bench.claim("with 2>&1 it gets both", lines["2>&1 |"] == "2")
    bench.claim(f"the limits are {SOFT} and {HARD}", found["limits"] == [SOFT, HARD])
    bench.claim("a child has the same limits", found["in a child"] == str((SOFT, HARD)))
    bench.claim(f"the last descriptor is {SOFT - 1}, then EMFILE", found["at the soft limit"] == [SOFT - 1, "EMFILE"])
    allowed = (found["soft up to hard"], found["at the hard limit"]) == ("done", [HARD - 1, "EMFILE"])
    bench.claim("the process may raise its soft limit to the hard one", allowed)
    refused = found["above hard"] == "refused" and not found["CAP_SYS_RESOURCE"]
    bench.claim("and not above it: root in the box has no CAP_SYS_RESOURCE", refused)
    same = found["file-max"] == look.text(FILE_MAX)
    bench.claim("file-max is the machine's, and the box cannot change it", same and not found["file-max is writable"])


LAB = Lab(
    question=f"A program starts with ulimit -Sn {SOFT} and ulimit -Hn {HARD}. Which is its last descriptor, and can it"
    " get more? How many lines come through a pipe when it prints one to stdout and one to stderr?",
    answer=f"{SOFT - 1}, then EMFILE; it may raise its soft limit to {HARD}, and not the hard one. One line: stderr"
    " does not go through the pipe. ENFILE would mean that the whole machine has file-max files open; no box can set"
    " file-max, and this lab does not try.",
    control="no --ulimit: the box has the usual limits, and 100 more files can be opened",
    check=check,
)
