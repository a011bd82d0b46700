"""Out of memory (OOM): detect that the kernel's OOM killer has killed a process of a group at its memory limit.

The kernel does this if it cannot reclaim memory of the group. Version 2 then kills the whole group
(``memory.oom.group``) and counts it in ``memory.events``. Version 1 kills one process and writes to the group's
eventfd: the process that watches it must kill the others.
"""

from __future__ import annotations

import errno
import os
import select

from tinybox.isolation.cgroups import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from tinybox.isolation.cgroups.group import Cgroup

V2_UNLIMITED = "max"
V1_UNLIMITED = 2**62  # the value of version 1 is LONG_MAX, rounded down to whole pages


def oom_kills(group: Cgroup) -> int:
    """Return how many processes of *group* the OOM killer has killed; read it before the group is removed.

    See ``memory.events`` in cgroups(7), or ``memory.oom_control`` of version 1 (there without the groups below it).
    """
    file = "memory.events" if group.hierarchies.version("memory") == 2 else "memory.oom_control"
    return files.keyed(group.read("memory", file)).get("oom_kill", 0)


def memory_limit(group: Cgroup) -> int | None:
    """Return the memory limit of *group* in bytes, or None if it has none; see ``memory.max`` in cgroups(7)."""
    v2 = group.hierarchies.version("memory") == 2
    text = (group.read("memory", "memory.max" if v2 else "memory.limit_in_bytes") or V2_UNLIMITED).strip()
    return None if text == V2_UNLIMITED or int(text) > V1_UNLIMITED else int(text)


class OomWatch:
    """A file descriptor that wakes poll(2) with *mask* when the OOM killer kills in *group*; then call struck().

    A kill before it was opened does not wake it, so call struck() once at the start, too. FileNotFoundError: the group
    is in no memory hierarchy.
    """

    def __init__(self, group: Cgroup) -> None:
        self._group = group
        self._directory = group.directory("memory")
        if self._directory is None:
            raise FileNotFoundError
        if group.hierarchies.version("memory") == 2:
            self.mask = select.POLLPRI
            self.fd = os.open(f"{self._directory}/memory.events", os.O_RDONLY | os.O_CLOEXEC)
            self.struck()  # poll(2) reports changes after the last read
        else:
            self.mask = select.POLLIN
            self.fd = self._register_eventfd(self._directory)

    def fileno(self) -> int:
        """Return the file descriptor, for select.poll() and similar functions."""
        return self.fd

    def struck(self) -> bool:
        """Return whether the OOM killer has killed, and clear the wake-up. Version 1 reports it just before the kill.

        Some wake-ups have another reason: ``memory.events`` also counts how often the limit was reached, and version 1
        wakes the watchers of a group that is being removed.
        """
        try:
            if self.mask == select.POLLPRI:
                return files.keyed(os.pread(self.fd, 4096, 0).decode()).get("oom_kill", 0) > 0
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return oom_kills(self._group) > 0
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return False  # the group has been removed
        return os.path.isdir(str(self._directory))

    def close(self) -> None:
        """Stop watching."""
        os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _register_eventfd(directory: str) -> int:
        """Return an eventfd(2) that the kernel writes at each OOM; see memory.oom_control in cgroup-v1/memory."""
        control = os.open(f"{directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            files.write(f"{directory}/cgroup.event_control", f"{fd} {control}")
        except BaseException:
            os.close(fd)
            raise
        finally:
            os.close(control)
        return fd
