"""The mount and device steps of a plan (-v, --mount, --tmpfs, --device), in the order in which they are made.

The parent copies mounts of the host as detached mounts, because the host's paths are valid for it; the child places
them. The child makes new file systems in its own mount namespace, so the host never sees them and none is left behind.
"""

from __future__ import annotations

import os

from tinybox.container.planning import root_filesystem, streams
from tinybox.container.planning.task import layers_of
from tinybox.container.process.plan import Step
from tinybox.container.records import spec
from tinybox.container.storage import etc
from tinybox.errors import UsageError
from tinybox.isolation import device_files, mounts
from tinybox.isolation.cgroups import visible_tree
from tinybox.linux import mount
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task
    from tinybox.container.process.handles import Handles
    from tinybox.container.records.spec_types import Device, Mount
    from tinybox.isolation.idmap import IDMapping

    Maps = tuple[list[IDMapping], list[IDMapping]]

_IN_PROC = (  # files that lxcfs and the like may cover in /proc; other mounts there could deceive tinybox or the box
    "cpuinfo diskstats meminfo stat swaps uptime loadavg slabinfo sys/kernel/ns_last_pid sys/crypto/fips_enabled"
).split()
_LABELLED = ("tmpfs", "mqueue", "devpts")  # these have no labels of their own: linux.mountLabel, on SELinux


def parent_steps(task: Task) -> list[Step]:
    """Plan the parent's steps before clone3(2): write the hosts and resolv.conf files, copy mounts of the host."""
    steps = root_filesystem.parent_steps(task)
    if spec.OPTION_VOLUMES in task.annotations:
        from tinybox.container.planning import volumes

        steps += volumes.steps(task)
    if etc.own_files(task.config):
        says = "Write the box's own hosts, hostname and resolv.conf"
        steps.append(Step("etc", says, "hosts(5), resolv.conf(5)", etc.write, task.bundle, task.config))
    for key, entry in entries(task).items():
        options = mounts.Options(entry.get("options", []))
        if is_bind(entry, options):
            source = os.path.join(task.bundle, entry["source"])
            if _inside(task, entry, options) is not None:
                continue  # the child binds it: a former mount may make it
            if _is_of_volume_option(task, source) and not os.path.lexists(source):
                says = f"Make the directory {source}, which -v names"
                steps.append(Step(f"make{key}", says, "mkdir(2)", make_directory, source))
            says = f"Copy the mount at {source} as a detached mount"
            is_proc = _is_proc(entry["destination"])
            act = (copy, task.handles, key, source, options, _maps(task, entry, options), is_proc)
            steps.append(Step(f"copy{key}", says, "open_tree(2)", *act))
        elif _is_joined_proc(task, entry):
            says = "Make a proc file system of the pid namespace that the child will join"
            steps.append(
                Step(f"make{key}", says, "fsopen(2)", make_proc, task.handles, key, options, task.host.arguments)
            )
    return steps


def _is_of_volume_option(task: Task, source: str) -> bool:
    """Return whether -v, and not --mount, names the *source*, by its own text in an annotation."""
    asked = json.loads(task.annotations.get(spec.ASKED) or "{}")
    return any(
        os.path.normpath(bind.partition(":")[0]) == source for bind in asked.get("HostConfig", {}).get("Binds", ())
    )


def make_directory(path: str) -> None:
    """Make the directory *path* of the host and those above it; docker leaves them there, too; see mkdir(2)."""
    os.makedirs(path, 0o755, exist_ok=True)


def entries(task: Task) -> dict[str, Mount]:
    """Return the mounts in order, by destination; a second one at the same destination gets a number: ``/a#2``."""
    named: dict[str, Mount] = {}
    for entry in task.config.get("mounts", []):
        key, again = entry["destination"], 2
        while key in named:
            key, again = f"{entry['destination']}#{again}", again + 1
        named[key] = entry
    return named


def is_bind(entry: Mount, options: mounts.Options) -> bool:
    """Return whether a mount is a copy of a mount of the host, which the parent makes."""
    return (options.bind or entry.get("type") == "bind") and not options.remount


def _is_joined_proc(task: Task, entry: Mount) -> bool:
    """Return whether a mount is a proc of a pid namespace that the child joins only after it has made its mounts."""
    return entry.get("type") == "proc" and "pid" in task.joined


def make_proc(handles: Handles, name: str, options: mounts.Options, arguments: tuple[int, int, int]) -> None:
    """Make a detached proc mount of the pid namespace to join, which the child will place; see fsopen(2)."""
    from tinybox.isolation import joined_proc

    handles.trees[name] = joined_proc.mount_proc(handles.namespace_fds["pid"], options, arguments)


def _maps(task: Task, entry: Mount, options: mounts.Options) -> Maps | None:
    """Return the id maps of an idmapped mount: its own, or else the container's; None if it is not idmapped."""
    if entry.get("uidMappings"):
        return entry["uidMappings"], entry.get("gidMappings", [])
    if not (options.idmap and task.userns):
        return None
    return task.linux.get("uidMappings", []), task.linux.get("gidMappings", [])


def copy(handles: Handles, name: str, source: str, options: mounts.Options, maps: Maps | None, is_proc: bool) -> None:
    """Copy the mount at *source* as a detached mount, idmapped if *maps* are given; the child places it: open_tree(2).

    For a source ``/proc/PID/root/...``, the copy is made in that process's mount namespace, because the kernel copies
    only mounts of the caller's namespace.
    """
    if maps is None:
        handles.trees[name] = _copied(source, options, None)
    else:
        from tinybox.container.planning import users

        with users.Namespace(handles, *maps) as userns:
            handles.trees[name] = _copied(source, options, userns)
    if is_proc and files.file_system(handles.trees[name]) != files.PROC_SUPER_MAGIC:
        raise UsageError("mount on /proc", "covers /proc", "the box's /proc must be the kernel's")


def _copied(source: str, options: mounts.Options, userns: int | None) -> int:
    if options.subpath:
        from tinybox.isolation import subpath

        with subpath.Part(source, options.subpath) as part:
            return mounts.copy_tree(part, options, userns)
    parts = source.split("/", 4)
    if parts[:2] == ["", "proc"] and parts[2:3] and parts[2].isdecimal() and parts[3:4] == ["root"]:
        with mounts.InNamespace(f"/proc/{parts[2]}/ns/mnt"):  # there, a link of the box cannot lead to the host
            return mounts.copy_tree("/" + "".join(parts[4:]), options, userns)
    return mounts.copy_tree(source, options, userns)


def steps(task: Task) -> list[Step]:
    """Plan the child's steps for its file systems, from the root to the last device and the streams."""
    return [
        *root_filesystem.steps(task),
        *[_mount(task, key, entry) for key, entry in entries(task).items()],
        *_devices(task),
        *streams.steps(task.process, task.handles, task.new_root, console=True),
        *_readonly(task),
    ]


def _readonly(task: Task) -> list[Step]:
    """Plan that the read-only file systems of `_is_readonly_later` become read-only, when all was made in them."""
    return [
        Step(
            f"readonly{key}", f"Make {entry['destination']} read-only; all is made in it by now", "mount_setattr(2)",
            mounts.make_readonly, task.new_root, _normal(entry["destination"]),
        )
        for key, entry in entries(task).items()
        if entry.get("type") == "tmpfs" and _is_readonly_later(task, entry, mounts.Options(entry.get("options", [])))
    ]  # fmt: skip


def _is_readonly_later(task: Task, entry: Mount, options: mounts.Options) -> bool:
    """Return whether a new file system is read-only only when the devices and mount points in it have been made."""
    if (
        entry.get("type") != "tmpfs"
        or options.bind
        or options.remount
        or not options.attr_set & mount.MOUNT_ATTR_RDONLY
    ):
        return False
    where = _normal(entry["destination"])
    last = [other for other in task.config.get("mounts", []) if _normal(other["destination"]) == where][-1]
    return last is entry


def _inside(task: Task, entry: Mount, options: mounts.Options) -> bytes | None:
    """Return the source of a bind mount as a path inside the root, if it is there and not idmapped; else None."""
    if layers_of(task) or not is_bind(entry, options) or _maps(task, entry, options) is not None:
        return None
    if _is_proc(entry["destination"]):
        return None  # `copy` checks that this is a proc
    root, source = os.fsencode(os.path.realpath(task.root)), os.path.join(task.bundle, entry["source"])
    path = os.fsencode(os.path.normpath(source))
    for top in (root, os.path.normpath(task.root)):
        if path.startswith(top + b"/"):
            return path[len(top) :]
    return None


def _mount(task: Task, key: str, entry: Mount) -> Step:
    destination, kind = entry["destination"], entry.get("type", "")
    options = mounts.Options(entry.get("options", []))
    where = _checked(destination, "proc" if is_bind(entry, options) and _is_proc(destination) else kind)
    name = f"mount{key}"
    if options.remount:
        says = f"Change the mount at {destination}"
        return Step(name, says, "mount_setattr(2)", mounts.remount, task.new_root, where, options)
    source_inside = _inside(task, entry, options)
    if source_inside is not None:
        says = f"Bind {os.fsdecode(source_inside)} of the box at {destination}"
        return Step(name, says, "open_tree(2)", mounts.bind_from_inside, task.new_root, where, source_inside, options)
    if is_bind(entry, options) or _is_joined_proc(task, entry):
        says = f"Place the mount at {destination}"
        return Step(name, says, "move_mount(2)", place, task.handles, key, where, task.new_root)
    if kind == "cgroup":
        says = "Mount the box's own control group"
        if not task.host.hierarchies.roots():
            says = "Cover the control groups of the host: this box has none of its own"
        # Root of a new user namespace may mount it only in a cgroup namespace of its own.
        if "cgroup" not in task.new and ("cgroup" not in task.joined or "user" in task.new):
            return Step(name, says, "cgroups(7)", visible_tree.bind_cgroups, task.new_root, where, task.cgroup, options)
        return Step(
            name, says, "cgroups(7)", visible_tree.mount_cgroups,
            task.new_root, where, task.host.hierarchies, task.cgroup.controllers, options,
        )  # fmt: skip
    label = task.linux.get("mountLabel")
    if label and kind in _LABELLED:
        options.data.append(f'context="{label}"')
    source = os.fsencode(entry.get("source") or kind)
    if _is_readonly_later(task, entry, options):
        options.attr_set &= ~mount.MOUNT_ATTR_RDONLY
    says = f"Make a new {kind} and place it at {destination}"
    act = (mounts.mount_filesystem, task.new_root, where, os.fsencode(kind), source, options)
    return Step(name, says, "fsopen(2)", *act)


def _normal(destination: str) -> bytes:
    return os.fsencode(os.path.normpath("/" + destination.lstrip("/")))


def _is_proc(destination: str) -> bool:
    return _normal(destination) == b"/proc"


def _checked(destination: str, kind: str) -> bytes:
    path = os.fsdecode(_normal(destination))
    if path == "/":
        raise UsageError(f"mount on {destination}", "the root itself cannot be mounted over")
    if (path == "/proc" and kind != "proc") or (path.startswith("/proc/") and path[len("/proc/") :] not in _IN_PROC):
        raise UsageError(f"mount on {destination}", "covers /proc", "the box's /proc must be the kernel's")
    return os.fsencode(path)


def place(handles: Handles, name: str, destination: bytes, root: bytes) -> None:
    """Place the detached mount *name*, which the parent has copied, at *destination* below *root*: move_mount(2)."""
    mounts.place(handles.trees[name], root, destination)


def _devices(task: Task) -> list[Step]:
    """Plan the devices; if the user mounts a directory on /dev, no device is made in it."""
    new = _has_new_dev(task)
    listed = [
        _device(task, device)
        for device in task.linux.get("devices", [])
        if new or not _normal(device["path"]).startswith(b"/dev/")
    ]
    if not new:
        return listed
    binds = task.userns or task.host.rootless
    says = f"{'Bind' if binds else 'Make'} the standard devices: null zero full random urandom tty"
    links = device_files.STANDARD_LINKS
    act = device_files.bind_standard_devices if binds else device_files.make_standard_devices
    return [
        *listed,  # before the standard devices: one of these may be listed with another owner and mode
        Step("devices", says, "open_tree(2)" if binds else "mknod(2)", act, task.new_root),
        Step("links", "Make the symbolic links in /dev: fd stdin stdout stderr ptmx", "symlink(2)",
             device_files.make_links, task.new_root, links),
    ]  # fmt: skip


def _has_new_dev(task: Task) -> bool:
    on_dev = [entry for entry in task.config.get("mounts", []) if _normal(entry["destination"]) == b"/dev"]
    return not on_dev or on_dev[-1].get("type") == "tmpfs"


def _device(task: Task, device: Device) -> Step:
    path, kind = device["path"].rstrip("/") or "/", device.get("type", "c")
    says = f"Make the device {path}"
    if (task.userns or task.host.rootless) and kind != "p":
        return Step(
            f"device{path}", says, "open_tree(2)", device_files.bind_device, task.new_root, os.fsencode(path), path
        )
    numbers = (device.get("major", 0), device.get("minor", 0))
    owner = (device.get("uid", 0), device.get("gid", 0))
    return Step(
        f"device{path}", says, "mknod(2)", device_files.make_device,
        task.new_root, os.fsencode(path), kind, numbers, device.get("fileMode", 0o666) & 0o7777, owner,
    )  # fmt: skip
