"""What a benchmark leaves: podman's files, groups and mounts, and all that it has made itself if it is ended early."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave_nothing_if_ended() -> None:
    """Let Ctrl-C, SIGTERM and SIGHUP end this program by SystemExit: on its way out it removes what it has made.

    Only the first of these signals counts. The others are ignored, also by the commands that remove containers: in a
    terminal Ctrl-C goes to all of them; see signal(7).
    """
    for number in ENDING:
        signal.signal(number, _leave)


def _leave(number: int, _: FrameType | None) -> NoReturn:
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    print(f"ended by {signal.Signals(number).name}: removing what was made", file=sys.stderr, flush=True)
    sys.exit(128 + number)


class Leavings:
    """The files that podman leaves outside of its given directories: removed at exit if they did not exist before."""

    FILES = ("/dev/shm/libpod_lock", "/etc/cni/net.d/cni.lock", "/var/lib/containers", "/var/lib/cni", "/run/runc")

    def __enter__(self) -> None:
        self.before = {*filter(os.path.exists, self.FILES), *map(str, self.groups())}

    def __exit__(self, *_: object) -> None:
        for path in {path for path in self.FILES if os.path.exists(path)} - self.before:
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        for group in self.groups():
            if str(group) not in self.before:
                self.remove(group)

    @staticmethod
    def remove(group: Path) -> None:
        """Remove an empty control group; wait up to 20 seconds for the last conmon to leave it."""
        deadline = time.monotonic() + 20
        while group.exists():
            try:
                group.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    @staticmethod
    def groups() -> Iterator[Path]:
        """Yield podman's control groups, the deepest first."""
        for parent in [*Path("/sys/fs/cgroup").glob("libpod_parent"), *Path("/sys/fs/cgroup").glob("*/libpod_parent")]:
            for folder, _, _ in os.walk(parent, topdown=False):
                yield Path(folder)


def mounts_below(folder: Path) -> list[str]:
    """Return the mount points below *folder*, the newest first; see proc_pid_mountinfo(5)."""
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in reversed(points) if point.startswith(f"{folder}/")]


def users_of(folder: Path) -> list[int]:
    """Return the pids of the other processes whose command line names *folder*; see proc_pid_cmdline(5)."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended
            if pid != str(os.getpid()) and os.fsencode(folder) in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


def unmount_below(folder: Path) -> None:
    """Unmount all below *folder*, after the conmons whose `podman container cleanup` mounts it again have ended."""
    deadline = time.monotonic() + 20
    while users_of(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    while points := mounts_below(folder):
        done = subprocess.run(["umount", points[0]], check=False, capture_output=True, text=True)
        if done.returncode and time.monotonic() > deadline:
            raise OSError(done.stderr.strip())
        if done.returncode:
            time.sleep(0.05)
