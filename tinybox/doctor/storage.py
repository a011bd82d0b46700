"""Checks of mounts and the store: propagation of the host's mounts, trust in the store, overlayfs in the store."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from tinybox.doctor.finding import NOTE, OK, PROBLEM, Finding, is_root, text, tried
from tinybox.errors import HostError
from tinybox.isolation import mounts, overlay
from tinybox.linux import proc, process, user_namespaces
from tinybox.linux.filesystem import overlay_marks, overlay_refusal
from tinybox.linux.filesystem.locks import lock_file

if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths


def propagation(_: Paths) -> Finding:
    """Read the optional fields of `/` in mountinfo; see mount_namespaces(7)."""
    top = [mount for mount in proc.mountinfo(text("/proc/self/mountinfo")) if mount.point == "/"][-1:]
    fields = top[0].fields if top else []
    if any(field.startswith("shared:") for field in fields):
        return Finding("propagation of /", OK, "shared, as systemd makes it: boxes make their copy private first")
    return Finding("propagation of /", OK, " ".join(fields) or "private")


def overlayfs(paths: Paths) -> Finding:
    """Try to mount an overlay with its upper directory in the store, in a mount namespace that ends at once."""
    if overlay_marks.refused:
        found = f"refused in {paths.root} ({overlay_refusal.reason(paths.root)}): {overlay_refusal.in_place_of_it()}"
        return Finding("overlayfs", NOTE, found, "a store on ext4, xfs, btrfs or tmpfs is faster: TINYBOX_ROOT")
    if not is_root():
        known = "overlay" in text("/proc/filesystems").split()
        return Finding("overlayfs", OK, "in /proc/filesystems" if known else "not loaded yet; only root can try")
    try:
        os.makedirs(paths.root, 0o711, exist_ok=True)
        # In tmp, which a later command sweeps if this one is killed: so it is locked.
        place = f"{paths.root}/tmp" if os.path.isdir(f"{paths.root}/tmp") else paths.root
        with tempfile.TemporaryDirectory(prefix="doctor-", dir=place) as folder:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            lock_file(lock)
            refused = tried(lambda: _mount(folder))
            os.close(lock)
    except OSError as error:
        cure = "mount it writable, or name another store: --root DIR or TINYBOX_ROOT"
        return Finding("overlayfs", PROBLEM, f"store {paths.root}: {error.strerror}", cure)
    if refused:
        return Finding("overlayfs", PROBLEM, refused)
    return Finding("overlayfs", OK, f"{paths.root} can hold the upper directory of an overlay")


def trust(paths: Paths) -> Finding:
    """Report that only its owner can change the store, which every command checks first; filesystem/ownership.py."""
    owner = "root" if is_root() and user_namespaces.home < 0 else "this user"
    return Finding("store", OK, f"{paths.root}: only {owner} can change its files")


def _mount(folder: str) -> None:
    for name in ("lower", "upper", "work", "merged"):
        os.mkdir(f"{folder}/{name}")
    with open(f"{folder}/lower/file", "x", encoding="utf-8"):
        pass
    process.unshare(process.CLONE_NEWNS)
    mounts.make_private()
    overlay.mount_overlay([f"{folder}/lower"], f"{folder}/upper", f"{folder}/work", f"{folder}/merged")
    os.unlink(f"{folder}/merged/file")
    if not os.path.exists(f"{folder}/lower/file"):
        raise HostError("overlay", "a file deleted in the overlay is deleted below it")
