"""Checks of rights: root's capabilities, user namespaces, AppArmor, seccomp; each missing right disables options."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.doctor.finding import NOTE, OK, PROBLEM, Finding, text, tried
from tinybox.errors import HostError
from tinybox.isolation import capabilities
from tinybox.isolation.rootless import home
from tinybox.linux import capability, process, seccomp

if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths

SECCOMP_RET_ERRNO, SECCOMP_RET_USER_NOTIF = 0x00050000, 0x7FC00000


def root(_: Paths) -> Finding:
    """Read the user id and the permitted capabilities of this process; see capget(2)."""
    if os.geteuid() != 0:
        return Finding("root", NOTE, "run by a user: checks that need root are skipped", "sudo tinybox doctor")
    has = capabilities.available()
    last = int(text("/proc/sys/kernel/cap_last_cap") or len(capability.NAMES) - 1)
    missing = [name for name in capability.NAMES[: last + 1] if name not in has]
    if "CAP_SYS_ADMIN" in missing:
        return Finding("root", PROBLEM, "root without CAP_SYS_ADMIN: no namespace, no mount", "give it CAP_SYS_ADMIN")
    if missing:
        lost = "--cap-add of these is refused"
        if "CAP_SYS_RESOURCE" in missing:
            lost += ", and so is a --ulimit above tinybox's own"
        cure = "give tinybox's own root these capabilities"
        return Finding("root", NOTE, f"root without {' '.join(missing)}: {lost}", cure)
    return Finding("root", OK, f"root with all {len(has)} capabilities")


def user_namespaces(_: Paths) -> Finding:
    """Try to make a user namespace with rights, and read the switches that forbid it; see user_namespaces(7)."""
    refused = tried(lambda: process.unshare(process.CLONE_NEWUSER | process.CLONE_NEWNS))
    if refused and os.geteuid() != 0:
        return Finding("user namespaces", PROBLEM, f"{refused}: this user can run no box", home.cure())
    if refused:
        return Finding("user namespaces", NOTE, f"{refused}: --userns private will be refused", home.cure())
    for name, forbids, _permits in home.SWITCHES:
        if text(f"/proc/sys/{name.replace('.', '/')}") == forbids:
            return Finding("user namespaces", OK, f"root can make them, other users cannot ({name} = {forbids})")
    return Finding("user namespaces", OK, "can be made")


def apparmor(_: Paths) -> Finding:
    """Check whether AppArmor is on: it can restrict a program further than its capabilities; see apparmor(7)."""
    if text("/sys/module/apparmor/parameters/enabled") != "Y":
        return Finding("AppArmor", OK, "not there: only capabilities, seccomp and masks confine a box")
    confined = text("/proc/self/attr/current") or "unconfined"
    if confined.startswith("unconfined"):
        return Finding("AppArmor", OK, "on; tinybox itself is unconfined")
    return Finding("AppArmor", NOTE, f"on; tinybox itself is confined by {confined}", "aa-complain that profile")


def filters(_: Paths) -> Finding:
    """Ask seccomp(2) which actions a filter may return."""
    if not os.path.exists("/proc/sys/kernel/seccomp"):
        cure = "--security-opt seccomp=unconfined, or a kernel with CONFIG_SECCOMP_FILTER"
        return Finding("seccomp", PROBLEM, "this kernel has no filters", cure)
    refused = tried(lambda: _check(SECCOMP_RET_ERRNO))
    if refused:
        return Finding("seccomp", PROBLEM, refused, "--security-opt seccomp=unconfined")
    if tried(lambda: _check(SECCOMP_RET_USER_NOTIF)):
        return Finding("seccomp", NOTE, "filters, but without SCMP_ACT_NOTIFY", "boot Linux 5.0 or newer")
    return Finding("seccomp", OK, "filters with all actions, " + text("/proc/sys/kernel/seccomp/actions_avail"))


def _check(action: int) -> None:
    if not seccomp.action_available(action):
        raise HostError("seccomp(2)", f"does not know the action {action:#x}")
