"""top and tree: the processes of a container, with their pids and users as the host and as the box see them.

Each pid namespace that a process is in has a number for it, and each user namespace has a number for its user. The line
``NSpid`` in /proc/PID/status lists the process's numbers, from this pid namespace's to the innermost one's.
"""

from __future__ import annotations

import os
import time

from tinybox.errors import StateError, UsageError
from tinybox.linux import proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tinybox.container.views.listing import Listed

TICKS = os.sysconf("SC_CLK_TCK")  # clock ticks per second
_MOST_BYTES = 128 << 10  # read of each file, as much as ps(1) shows of a command line; see PR_SET_MM_MAP in prctl(2)
_TTY_CONSOLE, _PTS_MAJORS = (5, 1), range(136, 144)  # see Documentation/admin-guide/devices.txt


class Process:
    """One process: *pid* and *uid* on the host, *box_pid* and *box_uid* in the box, its state and its command.

    *cpu_seconds* is the CPU time that it has used; *start* is the time of its start, in seconds since 1970.
    """

    def __init__(self, stat_text: str, status: dict[str, str], command: str, box_level: int) -> None:
        self.stat = proc.stat(stat_text)
        words = stat_text.rpartition(") ")[2].split()
        self.pid, self.ppid, self.state = self.stat.pid, self.stat.ppid, self.stat.state
        numbers = [int(number) for number in status["NSpid"].split()]
        self.box_pid = numbers[box_level] if box_level < len(numbers) else 0
        self.uid = int(status["Uid"].split()[1])
        self.box_uid = self.uid
        self.cpu_seconds = (int(words[11]) + int(words[12])) / TICKS
        self.start = _boot_time() + self.stat.starttime / TICKS
        self.command = command or f"[{self.stat.comm}]"

    @property
    def tty(self) -> str:
        """The controlling terminal as ps(1) shows it: ``pts/0``, ``console`` or ``?``."""
        major, minor = os.major(self.stat.tty), os.minor(self.stat.tty)
        if major in _PTS_MAJORS:
            return f"pts/{(major - _PTS_MAJORS.start) * 256 + minor}"
        return "console" if (major, minor) == _TTY_CONSOLE else f"{major}/{minor}" if major else "?"

    def share_of_cpu(self, now: float) -> int:
        """Return the percentage of one CPU that the process has used since its start, as the column C of ps(1)."""
        return int(100 * self.cpu_seconds / max(now - self.start, 1))


def of(listed: Listed) -> list[Process]:
    """Return all processes of a running container, those of `exec` included, in the order of pids.

    They are the processes in its control group, or for a user without root in its pid namespace. A process that ends
    during this call is left out. StateError if the container does not run.
    """
    if not listed.has_process:
        raise StateError(f"container {listed.name or listed.id[:12]}", "is not running")
    first = listed.state["pid"]
    try:
        level = len(proc.status(_read(first, "status"))["NSpid"].split()) - 1
        users = proc.id_map(proc.text(f"/proc/{first}/uid_map"))
    except (FileNotFoundError, ProcessLookupError) as error:
        raise StateError(f"container {listed.name or listed.id[:12]}", "has just ended") from error
    found = []
    for pid in sorted(listed.processes()):
        try:
            status, command = proc.status(_read(pid, "status")), _read(pid, "cmdline")
            process = Process(_read(pid, "stat"), status, command.rstrip("\0").replace("\0", " "), level)
        except (FileNotFoundError, ProcessLookupError):
            continue
        process.box_uid = inside(process.uid, users)
        found.append(process)
    return found


def by_ps(listed: Listed, options: Sequence[str]) -> list[str]:
    """Return the lines about the processes of a running container that ps(1) prints with *options*, and its headings.

    ps shows all processes of the host; the column PID says which are the container's. UsageError: there is none. As in
    docker, a column with blanks has to come after it.
    """
    import shutil
    import subprocess

    words = " ".join(["ps", *options])
    program = shutil.which("ps")
    if program is None:
        raise UsageError(words, "there is no program ps on this host", "apt install procps, or leave the options out")
    wanted = {str(process.pid) for process in of(listed)}
    done = subprocess.run([program, *options], capture_output=True, text=True, errors="replace", check=False)
    heading, *lines = done.stdout.splitlines() or [""]
    if done.returncode or "PID" not in heading.split():
        said = (done.stderr.strip().splitlines() or ["it prints no column PID"])[0]
        raise UsageError(words, said, "aux, or -o pid,comm")
    place = heading.split().index("PID")
    return [heading, *(line for line in lines if line.split()[place : place + 1] and line.split()[place] in wanted)]


def inside(number: int, id_map: Sequence[tuple[int, int, int]]) -> int:
    """Return the number in the box of user *number* of the host; 65534 (nobody) if it has none; user_namespaces(7)."""
    return next((first + number - outer for first, outer, length in id_map if 0 <= number - outer < length), 65534)


def forest(processes: Sequence[Process]) -> Iterator[tuple[str, Process]]:
    """Yield each process with the branches to draw before it: children below their parent, in the order of pids.

    A process whose parent is outside of the container, such as PID 1, is drawn at the left edge.
    """
    ours = {process.pid for process in processes}
    below: dict[int, list[Process]] = {}
    for process in processes:
        below.setdefault(process.ppid if process.ppid in ours else 0, []).append(process)

    def grow(parent: int, trunk: str) -> Iterator[tuple[str, Process]]:
        children = below.get(parent, [])
        for process in children:
            is_last = process is children[-1]
            yield (f"{trunk}{'└─' if is_last else '├─'} " if parent else ""), process
            yield from grow(process.pid, f"{trunk}{'   ' if is_last else '│  '}" if parent else "")

    return grow(0, "")


def _read(pid: int, name: str) -> str:
    """Return the first _MOST_BYTES of a file of /proc/PID; a command line can be as long as the process's memory."""
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read(_MOST_BYTES).decode("utf-8", "surrogateescape")


def _boot_time() -> float:
    """Return the time of the boot in seconds since 1970; starttime of proc_pid_stat(5) counts from there."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
