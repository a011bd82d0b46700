"""Security labels: set the AppArmor profile or the SELinux context of the program that this process executes next.

A module that is compiled into the kernel need not be enabled, and a host has at most one of these two. The label is
written into a file of the process itself in /proc/self/attr, and takes effect at its next execve(2).
"""

from __future__ import annotations

import os

from tinybox.errors import HostError, TinyboxError
from tinybox.linux.filesystem import files

APPARMOR, SELINUX = "/sys/module/apparmor/parameters/enabled", "/sys/fs/selinux/enforce"


def has_apparmor() -> bool:
    """Return whether AppArmor is enabled; see apparmor(7)."""
    try:
        with open(APPARMOR, encoding="utf-8") as file:
            return file.read().startswith("Y")
    except OSError:
        return False


def has_selinux() -> bool:
    """Return whether SELinux is enabled; see selinux(8)."""
    return os.path.exists(SELINUX)


def check(field: str) -> None:
    """Raise HostError if the module for the label in the config's *field* is not enabled; see apparmor(7), selinux(8).

    A *field* that ends with ``apparmorProfile`` needs AppArmor; any other needs SELinux.
    """
    has, name = (has_apparmor(), "AppArmor") if field.endswith("apparmorProfile") else (has_selinux(), "SELinux")
    if not has:
        raise HostError(field, f"{name} is not enabled on this host", "leave it out")


def label_program(field: str, file: str, text: str) -> None:
    """Write *text*, the label of the next program, into ``/proc/self/attr/`` *file*; see proc_pid_attr(5).

    It checks that /proc is the proc file system, and follows no link in it (CVE-2025-52881). HostError: the module
    refuses the label; the error names the *field* of the config.
    """
    try:
        # /proc/self is a link, so the path starts at this process's own directory instead.
        proc = os.open(f"/proc/{os.getpid()}/attr", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if files.file_system(proc) != files.PROC_SUPER_MAGIC:
                raise TinyboxError(field, "/proc is not the proc file system")
            resolve = files.RESOLVE_BENEATH | files.RESOLVE_NO_SYMLINKS | files.RESOLVE_NO_XDEV
            fd = files.openat2(proc, os.fsencode(file), os.O_WRONLY, resolve)
        finally:
            os.close(proc)
        files.write_once(fd, text.encode())
    except OSError as error:
        raise HostError(field, f"{text!r} cannot be set: {error.strerror}", "load it first") from error
