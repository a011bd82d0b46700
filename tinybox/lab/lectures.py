"""The lectures: which labs each one shows, in which order, and which are left for the students to do at home.

docs/lecture-guide.md has the minutes, and what to point at; a guard compares it with this table. A new lab gets its
place here.
"""

from __future__ import annotations

from typing import NamedTuple

from tinybox.errors import UsageError


class Lecture(NamedTuple):
    """One lecture of 45 minutes: the *labs* that are shown, and those *at_home*, both in the order of the subject."""

    title: str
    labs: list[str]
    at_home: list[str]


def _lecture(title: str, labs: str, at_home: str = "") -> Lecture:
    return Lecture(title, labs.split(), at_home.split())


LECTURES = (
    _lecture(
        "Processes",
        "pid pid-max pstree argv proc syscall fd stdio",
        "cpu workers affinity ps-columns fd-table limits cloexec threads",
    ),
    _lecture(
        "Life and death",
        "fork exec states disk-sleep signals wait sigchld zombie orphan",
        "exit kill9 daemon nohup exec-family atexit segfault job-control nohup-shell",
    ),
    _lecture(
        "Talking to one another",
        "ipc-pipe ipc-signal ipc-shm ipc-sem ipc-socket lock deadlock",
        "ipc-mq livelock starvation posix pidfile",
    ),
    _lecture(
        "Memory, and not copying",
        "mmap cow-fork cow-overlay sendfile epoll",
        "sendfile-socket select-poll-epoll",
    ),
    _lecture(
        "Namespaces, and the root",
        "namespaces propagation escape-chroot rootless pid1 init",
        "init-search userns",
    ),
    _lecture(
        "Limits, and the whole container",
        "cgroup-memory cgroup-cpu cgroup-pids checkpoint",
        "cgroup-by-hand cgroup-io",
    ),
    _lecture(
        "Images",
        "layers build-cache",
    ),
)
ORDER = [name for lecture in LECTURES for name in (*lecture.labs, *lecture.at_home)]


def numbered(number: int) -> Lecture:
    """Return the lecture of this number, counted from 1; UsageError if there is none."""
    if not 1 <= number <= len(LECTURES):
        raise UsageError(f"lecture {number}", "there is no such lecture", f"1 to {len(LECTURES)}: tinybox lab list")
    return LECTURES[number - 1]
