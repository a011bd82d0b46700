"""Host: the facts about this host that a plan depends on (kernel version, cgroups, capabilities), read once a command.

The planner gets them as an argument. So a test on any machine can plan for another host, or for a host that lacks a
feature.
"""

from __future__ import annotations

import os

from tinybox.errors import HostError
from tinybox.isolation import capabilities
from tinybox.isolation.cgroups.hierarchies import Hierarchies, hierarchies
from tinybox.linux import capability, proc, process, user_namespaces
from tinybox.linux.filesystem import overlay_marks

MINIMUM = (5, 12)  # mount_setattr(2); clone3(2)'s CLONE_INTO_CGROUP is 5.7, openat2(2) 5.6


class Host:
    """The kernel's version, the cgroup hierarchies, root's capabilities, and where this process has its arguments."""

    def __init__(
        self,
        release: tuple[int, int],
        where: Hierarchies,
        capabilities: list[str],
        arguments: tuple[int, int, int] = (0, 0, 0),
        cache: str = "",
        *,
        rootless: bool = False,
        refuses_overlay: bool = False,
    ) -> None:
        self.release, self.hierarchies = release, where
        self.capabilities, self.arguments = capabilities, arguments
        self.cache = cache  # the directory of compiled seccomp filters
        self.rootless = rootless  # this process is root of a user namespace only; see linux/user_namespaces.py
        self.refuses_overlay = refuses_overlay  # in the store of this process; see linux/filesystem/overlay_refusal.py

    def counts_swap(self) -> bool:
        """Return whether this kernel can limit swap; with cgroup v1, a boot with swapaccount=0 turns that off."""
        if self.hierarchies.version("memory") == 1:
            return os.path.exists(f"{self.hierarchies.root('memory')}/memory.memsw.limit_in_bytes")
        return os.path.exists("/proc/swaps")

    def check(self) -> None:
        """Raise HostError if no container can be made here: the user is not root, or the kernel is too old."""
        if self.release < MINIMUM:
            major, minor = self.release
            raise HostError(f"kernel {major}.{minor}", "tinybox needs Linux 5.12", "boot a newer kernel")
        if os.geteuid() != 0:
            raise HostError("permission denied", "making a container needs root", "try it with sudo")


def read(cache: str) -> Host:
    """Read this host's facts: uname(2), /proc/self/mountinfo, capget(2) and /proc/self/stat."""
    stat = proc.stat(proc.text("/proc/self/stat"))
    arguments = (stat.arg_start, stat.arg_end, stat.env_end)
    rootless = user_namespaces.is_rootless()
    has = list(capability.NAMES) if user_namespaces.planned else capabilities.available()
    refuses = overlay_marks.refused
    where = hierarchies()
    return Host(process.kernel_release(), where, has, arguments, cache, rootless=rootless, refuses_overlay=refuses)
