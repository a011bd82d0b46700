"""The plan's chapter on the root file system: layers, mounts, devices and the terminal, in the order they are made.

What comes from the host is copied by the parent, detached, while it still sees the host as it is; the child places it.
What is new is made by the child in its own mount namespace, so that nothing of it is ever seen outside or left behind.
"""

from __future__ import annotations

import os

from tinybox.container import spec
from tinybox.container.plan import Step
from tinybox.errors import UsageError
from tinybox.isolation import cgroup_mounts, idmap, mounts, overlay, rootfs, terminal
from tinybox.linux import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.live import Live
    from tinybox.container.planner import Task
    from tinybox.container.spec import Device, Mount

_IN_PROC = (  # what lxcfs and its like may cover in /proc; anything else there would deceive us or the box
    "cpuinfo diskstats meminfo stat swaps uptime loadavg slabinfo sys/kernel/ns_last_pid sys/crypto/fips_enabled"
).split()
PTY_GROUP = 5  # "tty", as everywhere
_IDMAP = {"idmap", "ridmap"}  # OCI's options for a mount whose owners go through the container's own id maps
_BENCH = "/run"  # a directory that every host has and that the child, in its own mount namespace, can cover


def layers_of(task: Task) -> list[str]:
    """Return the image's layers, bottom first; none where the bundle's root is a plain directory."""
    return overlay.stack([layer for layer in task.annotations.get(spec.LAYERS, "").split(":") if layer])


def bundle_of(task: Task) -> str:
    """Return where the child finds its bundle.

    Root of a user namespace is nobody on the host: the store is closed to it (0700). So the parent hands it the layers
    and the bundle as mounts, and it lays them out on a bench of its own.
    """
    return os.path.join(_BENCH, "bundle") if task.userns and layers_of(task) else task.bundle


def _on_bench(task: Task) -> dict[str, str]:
    """Return what lies on the bench: each directory's name there, and what it is a copy of; short, for overlayfs."""
    return {str(number): layer for number, layer in enumerate(layers_of(task))} | {"bundle": task.bundle}


def parent_steps(task: Task) -> list[Step]:
    """Plan what the parent copies from the host before the child is born."""
    live, steps = task.live, []
    maps = (task.linux.get("uidMappings", []), task.linux.get("gidMappings", [])) if task.userns else ([], [])
    if task.userns and layers_of(task):
        says = "Show the layers with the owners that the new user namespace needs"
        steps.append(Step("idmap-layers", says, "mount_setattr(2)", copy_idmapped, live, _on_bench(task), *maps))
    for entry in task.config.get("mounts", []):
        options = mounts.Options(entry.get("options", []))
        if options.bind or entry.get("type") == "bind":
            source = os.path.join(task.bundle, entry["source"])
            says = f"Copy the mount at {source}, attached to nothing yet"
            steps.append(
                Step(
                    f"copy{entry['destination']}",
                    says,
                    "open_tree(2)",
                    copy,
                    live,
                    entry["destination"],
                    source,
                    options,
                    *(maps if _IDMAP & set(entry.get("options", [])) else ([], [])),
                )
            )
    return steps


def copy(
    live: Live,
    name: str,
    source: str,
    options: mounts.Options,
    uids: list[idmap.IDMapping],
    gids: list[idmap.IDMapping],
) -> None:
    """Copy the tree at *source*, detached, for the child to place; see open_tree(2). With maps its owners are mapped.

    ``/proc/PID/root/...`` is a path in that process's mount namespace, where alone its mounts can be copied.
    """
    words = source.split("/", 4)
    if uids:
        userns = users(live, uids, gids)
        try:
            live.trees[name] = mounts.copy_tree(source, options, userns)
        finally:
            os.close(userns)
    elif words[:2] == ["", "proc"] and words[2:3] and words[2].isdecimal() and words[3:4] == ["root"]:
        with mounts.InNamespace(int(words[2])):
            live.trees[name] = mounts.copy_tree("/" + words[4], options)
    else:
        live.trees[name] = mounts.copy_tree(source, options)


def users(live: Live, uids: list[idmap.IDMapping], gids: list[idmap.IDMapping]) -> int:
    """Return an fd of a user namespace with the owners that the box will have: the joined one, or one like the new."""
    joined = live.namespace_fds.get("user")
    return idmap.user_namespace(uids, gids) if joined is None else os.dup(joined)


def copy_idmapped(live: Live, bench: dict[str, str], uids: list[idmap.IDMapping], gids: list[idmap.IDMapping]) -> None:
    """Copy what belongs on the *bench* as idmapped mounts, detached, for the child to place; see mount_setattr(2)."""
    userns = users(live, uids, gids)
    try:
        for name, path in bench.items():
            live.trees[name] = mounts.copy_tree(path, mounts.Options(["bind"]), userns)
    finally:
        os.close(userns)


def steps(task: Task) -> list[Step]:
    """Plan what the child does about its root, from the first mount to the last device."""
    return [
        Step("private-mounts", "Keep our mounts from the host", "mount_namespaces(7)", mounts.make_private),
        *_root(task),
        *[_mount(task, entry) for entry in task.config.get("mounts", [])],
        *_devices(task),
        *_terminal(task),
    ]


def _root(task: Task) -> list[Step]:
    layers, root = layers_of(task), os.fsdecode(task.root)
    if not layers:
        says = "Make the bundle's root directory a mount"
        return [Step("root", says, "open_tree(2)", rootfs.bind_root, root)]
    placed, bundle = [], bundle_of(task)
    if task.userns:
        says = f"Lay the idmapped layers out in a directory of our own, over {_BENCH}"
        placed = [Step("place-layers", says, "move_mount(2)", place_idmapped, task.live, list(_on_bench(task)))]
        layers = [os.path.join(_BENCH, str(number)) for number in range(len(layers))]
    upper, work = os.path.join(bundle, "upper"), os.path.join(bundle, "work")
    says = f"Lay a writable layer over {len(layers)} read-only one{'s' * (len(layers) > 1)}"
    return [
        *placed,
        Step("root", says, "mount(2), overlayfs", _overlay, layers, upper, work, root, task.userns),
    ]


def _overlay(layers: list[str], upper: str, work: str, root: str, userns: bool) -> None:
    overlay.mount_overlay(layers, upper, work, root, userns=userns)


def place_idmapped(live: Live, names: list[str]) -> None:
    """Cover the bench with a small tmpfs and place each idmapped copy on a directory there; see move_mount(2).

    This happens in the child's own mount namespace: the host's /run stays as it is.
    """
    rootfs.place_over(mounts.new_filesystem(b"tmpfs", b"tmpfs", mounts.Options(["mode=700", "size=64k"])), _BENCH)
    for name in names:
        os.mkdir(os.path.join(_BENCH, name), 0o700)
        rootfs.place_over(live.trees[name], os.path.join(_BENCH, name))


def _mount(task: Task, entry: Mount) -> Step:
    destination, kind = entry["destination"], entry.get("type", "")
    where = _checked(destination, kind)
    options = mounts.Options(entry.get("options", []))
    if options.bind or kind == "bind":
        says = f"Place the copied mount at {destination}"
        return Step(f"mount{destination}", says, "move_mount(2)", place, task.live, destination, task.root)
    if kind == "cgroup":
        says = "Show the box its own control group"
        return Step(
            f"mount{destination}", says, "cgroups(7)", cgroup_mounts.mount_cgroups,
            task.root, where, task.host.hierarchies, task.cgroup.controllers, options,
        )  # fmt: skip
    source = os.fsencode(entry.get("source", kind))
    says = f"Make a new {kind} and place it at {destination}"
    return Step(
        f"mount{destination}", says, "fsopen(2)", mounts.mount_filesystem,
        task.root, where, os.fsencode(kind), source, options,
    )  # fmt: skip


def _checked(destination: str, kind: str) -> bytes:
    path = os.path.normpath("/" + destination.lstrip("/"))
    if path == "/":
        raise UsageError(f"mount on {destination}", "the root itself cannot be mounted over")
    if (path == "/proc" and kind != "proc") or (path.startswith("/proc/") and path[len("/proc/") :] not in _IN_PROC):
        raise UsageError(f"mount on {destination}", "covers /proc", "the box's /proc must be the kernel's")
    return os.fsencode(path)


def place(live: Live, name: str, root: bytes) -> None:
    """Place the parent's copy for destination *name* inside *root*; see move_mount(2)."""
    mounts.place(live.trees[name], root, os.fsencode(name))


def _devices(task: Task) -> list[Step]:
    on_dev = [entry for entry in task.config.get("mounts", []) if entry["destination"].rstrip("/") == "/dev"]
    if not on_dev or on_dev[-1].get("type") != "tmpfs":  # somebody's own directory, into which nothing is made
        return []
    says = "Make the standard devices: null zero full random urandom tty"
    steps = [Step("devices", says, "mknod(2)", make_standard_devices, task.root, task.userns)]
    steps += [_device(task, device) for device in task.linux.get("devices", [])]
    links = rootfs.STANDARD_LINKS
    steps.append(Step("links", "Make the links in /dev: fd stdin stdout stderr ptmx", "symlink(2)",
                      rootfs.make_links, task.root, links))  # fmt: skip
    return steps


def make_standard_devices(root: bytes, userns: bool) -> None:
    """Make, or in a user namespace bind, the devices that every container has; see null(4) and mknod(2)."""
    for name, numbers in rootfs.STANDARD_DEVICES.items():
        path = b"/dev/" + name.encode()
        if userns:
            rootfs.bind_device(root, path, f"/dev/{name}")
        else:
            rootfs.make_device(root, path, "c", numbers, 0o666, (0, 0))


def _device(task: Task, device: Device) -> Step:
    path, kind = device["path"], device.get("type", "c")
    says = f"Make the device {path}"
    if task.userns:
        return Step(f"device{path}", says, "open_tree(2)", rootfs.bind_device, task.root, os.fsencode(path), path)
    numbers = (device.get("major", 0), device.get("minor", 0))
    owner = (device.get("uid", 0), device.get("gid", 0))
    return Step(
        f"device{path}", says, "mknod(2)", rootfs.make_device,
        task.root, os.fsencode(path), kind, numbers, device.get("fileMode", 0o660), owner,
    )  # fmt: skip


def _terminal(task: Task) -> list[Step]:
    if not task.process.get("terminal"):
        return [Step("streams", "Take over stdin, stdout and stderr", "dup2(2)", connect_streams, task.live)]
    owner = task.process.get("user", {}).get("uid", 0)
    says = "Open a terminal of the box's own devpts for stdin, stdout and stderr"
    return [Step("terminal", says, "pts(4)", open_terminal, task.live, task.root, owner)]


def connect_streams(live: Live) -> None:
    """Make the streams that tinybox was given this process's 0, 1 and 2; see dup2(2).

    A directory among them would be a way out to the host by ``..`` (CVE-2024-21626), so it is refused.
    """
    copies = [os.dup(fd) for fd in live.streams]
    for number, fd in enumerate(copies):
        if os.path.isdir(fd):
            raise UsageError(f"file descriptor {number}", "is a directory", "redirect it from a file or a pipe")
        os.dup2(fd, number)
        os.close(fd)


def open_terminal(live: Live, root: bytes, owner: int) -> None:
    """Open a terminal of the container's devpts, also as /dev/console, and make it 0, 1 and 2; see pts(4)."""
    pty = terminal.Pty(root)
    os.fchown(pty.slave, owner, PTY_GROUP)
    mounts.place(mount.open_tree(pty.slave, b"", 0), root, b"/dev/console")
    for number in range(3):
        os.dup2(pty.slave, number)
    os.close(pty.slave)
    live.master, live.terminal = pty.master, pty.name
