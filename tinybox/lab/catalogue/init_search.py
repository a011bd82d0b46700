"""The search for init: which program is PID 1, and what it restarts.

A kernel that is told nothing else tries four names, and the first that it can execute becomes PID 1 (init.rst of its
documentation; no box can measure that, but the kernel notes each name in its log). This lab does the same search in a
box, with execve(2) as PID 1, and gets the image's own init. Its table /etc/inittab says what to start, and what to
start again when it ends, in whatever way.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.bench import PATIENCE
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench
    from tinybox.lab.box import Box

NAMES = ["/sbin/init", "/etc/init", "/bin/init", "/bin/sh"]
CHOOSES = ("init=", "rdinit=")  # words of the kernel's command line that name another program
FIFO, TABLE = "/tmp/end", "/etc/inittab"
KILLED, ENDED, ONCE = "/bin/sleep 1001", f"/bin/cat {FIFO}", "/bin/sleep 1002"
NEVER = 1.2  # seconds that a control waits for services that do not come back


def search(missing: list[str], table: str) -> None:
    """In the box, as PID 1: remove names, write the table, and try all names; send those that cannot be executed."""
    for name in missing:
        if os.path.lexists(name):
            os.unlink(name)
    os.mkfifo(FIFO)
    with open(TABLE, "w", encoding="utf-8") as file:
        file.write(table)
    for name in NAMES:
        try:
            os.execv(name, [name])
        except OSError as error:
            inside.send([name, errno.errorcode[error.errno or 0]])


def became(bench: Bench, box: Box, which: str) -> str:
    """Wait until PID 1 of a box is another program; return the name that was executed, and note all that failed."""
    python = os.readlink("/proc/self/exe")
    bench.until(lambda: os.readlink(f"/proc/{box.pid}/exe") != python, "another program as PID 1")
    failed = []
    while box.has_output() and (line := box.read_line()).startswith("["):
        failed.append(json.loads(line))
    found = NAMES[len(failed)]
    for name, refusal in failed:
        bench.in_box(f"{which}: execve of {name}", refusal, "execve(2) by PID 1")
    bench.in_box(f"{which}: execve of {found}", look.text(f"/proc/{box.pid}/comm"), "comm of PID 1")
    exe = os.readlink(f"/proc/{box.pid}/exe")
    bench.on_host(f"{which}: execve of {found}", exe, f"readlink /proc/{box.pid}/exe")
    return found


def services(box: Box) -> dict[str, int]:
    """Return the host's numbers of the children of the box's PID 1, by their command lines; not of zombies."""
    found = {}
    for pid in look.children(box.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found[look.text(f"/proc/{pid}/cmdline").replace("\0", " ").strip()] = pid
    return {line: pid for line, pid in found.items() if line in (KILLED, ENDED, ONCE)}


def said() -> str:
    """Return what the kernel's log says about the programs that it has tried as init, if it still does; dmesg(1)."""
    done = subprocess.run(["dmesg"], capture_output=True, text=True, check=False) if shutil.which("dmesg") else None
    lines = done.stdout.splitlines() if done else []
    return "; ".join(line.partition("] ")[2] for line in lines if line.endswith(" as init process")) or "nothing"


def check(bench: Bench, *, feature: bool) -> None:
    """Search for init in two boxes; end three services of the first, and see which of them come back."""
    chosen = " ".join(word for word in look.text("/proc/cmdline").split() if word.startswith(CHOOSES)) or "no word"
    bench.on_host("PID 1", f"{look.text('/proc/1/comm')}; chosen by: {chosen}", "/proc/1/comm, /proc/cmdline")
    bench.on_host("the kernel's log says", said(), "dmesg | grep 'as init process'")
    again = "respawn" if feature else "once"
    table = f"::{again}:{KILLED}\n::{again}:{ENDED}\n::once:{ONCE}\n"
    with bench.box(search, [], table, init="none") as box:
        first = became(bench, box, "the image as it is")
        bench.in_box(TABLE, table, f"cat {TABLE}")
        bench.until(lambda: len(services(box)) == table.count("\n"), "the services")
        before = services(box)
        for line in (KILLED, ONCE):
            os.kill(before[line], signal.SIGKILL)
        os.close(os.open(box.path(FIFO), os.O_WRONLY))  # end of file for cat(1), which then ends with 0

        def back() -> bool:
            now = services(box)
            return all(now.get(line, before[line]) != before[line] for line in (KILLED, ENDED))

        bench.comes(back, PATIENCE if feature else NEVER)
        after = services(box)
        for line, pid in before.items():
            bench.on_host(f"{line}: before, after", f"{pid}, {after.get(line, 'gone')}", f"pgrep -P {box.pid} -a")
    with bench.box(search, NAMES[:3], "", init="none") as box:
        last = became(bench, box, "three names removed")
    new = {line for line, pid in after.items() if pid != before[line]}
    bench.claim("the image's /sbin/init becomes PID 1: it is the first name", first == NAMES[0])
    bench.claim("without the other three, PID 1 is /bin/sh: the last name", last == NAMES[-1])
    bench.claim("init starts a killed service again, as a new process, if its table says respawn", KILLED in new)
    bench.claim("and one that has ended with 0, too: respawn does not ask how it ended", ENDED in new)
    bench.claim("one that its table starts once stays away", ONCE not in new)


LAB = Lab(
    question="An image has no /sbin/init, /etc/init and /bin/init. Which program does a search in the kernel's order"
    " make PID 1? And which of three services does an init start again: one that was killed, one that ended with 0,"
    " one whose line says once?",
    answer="/bin/sh: it is the last of the four names. Init starts again both that say respawn, the killed one and the"
    " one that ended with 0, each as a new process; and not the one that says once.",
    control="the table says once for all three: none comes back",
    check=check,
)
