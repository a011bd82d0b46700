"""Give a child process access to a container's files: through /proc/PID/root if it runs, else by mounting its overlay.

An overlay must not be mounted twice, and a running container has mounted its own: so that mount is used. If the
container does not run, tinybox holds the container's lock, and the child mounts the overlay in a mount namespace that
ends with the child.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager

from tinybox.container.process.run_in_child import RunInChild
from tinybox.container.records import naming, spec, state
from tinybox.container.running import Running
from tinybox.container.storage import mounted_volumes
from tinybox.errors import DamagedError, StateError
from tinybox.isolation import idmap, mounts, overlay, rootfs, subpath
from tinybox.linux import mount, process
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Mount, Spec
    from tinybox.container.records.state import Record
    from tinybox.container.records.state_file import State

PATIENCE = 5.0  # seconds to wait until another command releases a container that does not run
_KERNELS = ("/dev", "/proc", "/sys")


@contextmanager
def visit(
    paths: Paths, word: str, act: Callable[[int], None], *, mounted: bool, not_mine: Sequence[BinaryIO] = ()
) -> Iterator[RunInChild]:
    """Run *act* in a child process with an fd of the container's root; the ``with`` block gets the child.

    With *mounted* the container's volumes and other mounts are visible, too. If the container has a user namespace, the
    child is its root user, so that owners are the same as inside. The child closes the files in *not_mine*.
    """
    container = naming.find(paths, word)
    now = seen(paths, container)
    if now.get("status") == state.RUNNING:
        with (
            Running(paths, container, now),
            RunInChild(lambda: act(_enter(now["pid"], mounted)), not_mine) as child,
        ):
            yield child
        return
    record = lock(paths, container)
    try:
        with assembled(paths, container, act, mounted=mounted, not_mine=not_mine) as child:
            yield child
    finally:
        record.close()


@contextmanager
def assembled(
    paths: Paths, container: str, act: Callable[[int], None], *, mounted: bool, not_mine: Sequence[BinaryIO] = ()
) -> Iterator[RunInChild]:
    """Do the same with a container that does not run, and that this process has locked."""
    config, bundle = spec.load(paths.bundle(container)), paths.bundle(container)
    with RunInChild(lambda: act(_assemble(config, bundle, mounted)), not_mine) as child:
        yield child


def seen(paths: Paths, container: str) -> State:
    """Return the state of a container, or an empty one if its state.json is damaged: its files can still be saved.

    StateError: there is no such container.
    """
    try:
        return state.read(paths, container)
    except DamagedError:
        return {}


def lock(paths: Paths, container: str) -> Record:
    """Lock a container that does not run, and return its record.

    If another command holds the lock, wait up to PATIENCE seconds, then raise StateError.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            record = state.lock(paths, container, damaged_too=True)
        except StateError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
            continue
        if os.path.isdir(paths.bundle(container)):
            return record
        record.close()
        raise StateError(f"container {container[:12]}", "no such container", "it has just been removed")


def _enter(pid: int, mounted: bool) -> int:
    """Open the root of the container whose first process is *pid*, and become its root user; see setns(2).

    The container's mount namespace is left at once: in there, Python would load its modules from the container's files.
    """
    if mounted:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    else:
        with mounts.InNamespace(f"/proc/{pid}/ns/mnt"):
            root = mounts.copy_tree("/", mounts.Options(["bind"]))  # only that mount, without mounts on top of it
    userns = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(userns).st_ino != os.stat("/proc/self/ns/user").st_ino:
            _become_root_of(userns)
    finally:
        os.close(userns)
    return root


def _assemble(config: Spec, bundle: str, mounted: bool) -> int:
    """Mount the files of a container that does not run, in a new mount namespace; return an fd of their root.

    A user namespace is entered only inside the home of a user without root: else owners on disk are those of inside.
    """
    maps = spec.id_maps(config)
    userns = idmap.user_namespace(maps["uids"], maps["gids"]) if maps else -1
    process.unshare(process.CLONE_NEWNS)
    mounts.make_private()
    root = os.path.join(bundle, config["root"]["path"])
    annotations = config.get("annotations", {})
    layers = [layer for layer in annotations.get(spec.LAYERS, "").split(":") if layer]
    if layers and spec.COPIED not in annotations:
        upper, work = os.path.join(bundle, "upper"), os.path.join(bundle, "work")
        overlay.mount_overlay(layers, upper, work, root, userns=spec.has_other_users(config))
    else:
        rootfs.bind_root(root)
    with_options = mounted_volumes.listed(config)
    for entry in config.get("mounts", []) if mounted else []:
        if _is_files(entry, bundle):
            source = os.path.join(bundle, entry["source"])
            options = mounts.Options(entry.get("options", []))
            if source in with_options:
                mounted_volumes.mount(os.path.dirname(source))  # here alone, as docker does for `cp`
            _bind(root, entry["destination"], source, options)
    if config["root"].get("readonly"):
        mount.mount_setattr(mount.AT_FDCWD, os.fsencode(root), 0, attr_set=mount.MOUNT_ATTR_RDONLY)
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    if maps:
        _become_root_of(userns)
        os.close(userns)
    return fd


def _become_root_of(userns: int) -> None:
    """Enter the user namespace *userns* as its root; see setns(2)."""
    process.setns(userns, process.CLONE_NEWUSER)
    idmap.become_root()
    process.set_dumpable(False)


def _bind(root: str, destination: str, source: str, options: mounts.Options) -> None:
    if options.subpath:
        with subpath.Part(source, options.subpath) as part:
            mounts.bind(os.fsencode(root), os.fsencode(destination), part, options)
    else:
        mounts.bind(os.fsencode(root), os.fsencode(destination), source, options)


def _is_files(entry: Mount, bundle: str) -> bool:
    """Return whether a mount shows files of the host, such as a volume or a directory, and not a kernel file system."""
    destination, source = entry["destination"], os.path.join(bundle, entry.get("source", ""))
    is_bind = "bind" in (entry.get("type"), *entry.get("options", [])) or "rbind" in entry.get("options", [])
    return is_bind and not f"{destination}/".startswith(tuple(f"{path}/" for path in _KERNELS)) and files.exists(source)
