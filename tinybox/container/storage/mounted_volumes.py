"""Volumes with options (`volume create -o`): docker's driver ``local`` mounts a file system on the volume's directory.

The options are in ROOT/volumes/NAME/options.json. The file system is mounted on ROOT/volumes/NAME/_data by the first
box that uses the volume, in the mount namespace of the command, and unmounted with the last one. RUN/ID/volumes lists
the volumes of a running box, and is written before they are mounted: so the command that reaps the box after a kill of
its owner knows them. A box has a copy of the mount, so its files stay until it ends.
"""

from __future__ import annotations

import os

from tinybox.container.records import spec
from tinybox.errors import StateError, UsageError
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files, locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Spec
    from tinybox.isolation.mount_options import Options

KEYS = ("type", "o", "device", "size")
_NEEDS = {"device": ("type",), "type": ("device",), "o": ("device", "type")}  # docker's: each needs the others
OPTIONS, LIST = "options.json", "volumes"
_NEW, _READY = ".tinybox-new", ".tinybox-ready"  # directories in a volume while it is filled
_NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs")


def checked(options: dict[str, str]) -> dict[str, str]:
    """Return the *options* of a new volume; UsageError, in docker's words, if the driver ``local`` refuses them."""
    for key in options:
        if key not in KEYS:
            raise UsageError(f"--opt {key}", f'invalid option: "{key}"', f"one of {', '.join(KEYS)}")
    for key, others in _NEEDS.items():
        for other in others if key in options else ():
            if other not in options:
                raise UsageError(f"--opt {key}={options[key]}", f'missing required option: "{other}"', f"-o {other}=")
    if "size" in options:
        cause = "quota size requested but no quota support"
        raise UsageError(f"--opt size={options['size']}", cause, "type=tmpfs, device=tmpfs and o=size=100m")
    return options


def has_options(folder: str) -> bool:
    """Return whether the volume with the directory *folder* has options, so that it is mounted for use."""
    return os.path.lexists(os.path.join(folder, OPTIONS))


def read(folder: str) -> dict[str, str]:
    """Return the options of the volume with the directory *folder*; none if it has none."""
    try:
        found: dict[str, str] | None = json.read_own(os.path.join(folder, OPTIONS), {"*": str})
    except ValueError as error:
        raise StateError(f"volume {os.path.basename(folder)}", f"its {OPTIONS} is damaged: {error}") from error
    return found or {}


def write(folder: str, options: dict[str, str]) -> None:
    """Record the *options* of a new volume; only root can read them, because there may be a password."""
    files.replace(os.path.join(folder, OPTIONS), json.dumps(options).encode(), 0o600)


def note(config: Spec, paths: Paths) -> None:
    """Put the directories of the volumes of *config* that have options, or will get some, into an annotation of it."""
    new = wishes(config, paths)
    folders = dict.fromkeys(os.path.dirname(entry["source"]) for entry in spec.mounts_of_volumes(config, paths))
    found = [folder for folder in folders if has_options(folder)]
    found += [folder for folder, (_, options) in new.items() if options and not os.path.exists(folder)]
    if found:
        config["annotations"][spec.OPTION_VOLUMES] = json.dumps(found)


def listed(config: Spec) -> list[str]:
    """Return the _data directories of the volumes in that annotation."""
    folders = json.loads(config.get("annotations", {}).get(spec.OPTION_VOLUMES) or "[]")
    return [os.path.join(folder, "_data") for folder in folders]


def wishes(config: Spec, paths: Paths) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Return the labels and options that --mount (volume-label, volume-opt) gives to new volumes, by their directories.

    UsageError: the driver refuses an option.
    """
    text = config.get("annotations", {}).get(spec.ASKED, "")
    if "VolumeOptions" not in text:
        return {}
    by_place = {entry["destination"]: entry["source"] for entry in spec.mounts_of_volumes(config, paths)}
    found = {}
    for asked in json.loads(text)["HostConfig"].get("Mounts", ()):
        known, source = asked.get("VolumeOptions") or {}, by_place.get(os.path.normpath(asked["Target"]))
        options = (known.get("DriverConfig") or {}).get("Options") or {}
        if source:
            found[os.path.dirname(source)] = (known.get("Labels") or {}, checked(options))
    return found


class Locked:
    """A context manager: the lock on the directory of a volume, by which one process mounts or unmounts; flock(2)."""

    def __init__(self, folder: str) -> None:
        self._folder, self._fd = folder, -1

    def __enter__(self) -> Self:
        self._fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        locks.lock_file(self._fd)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def hold(run_directory: str, folders: Iterable[str]) -> None:
    """Record that the box with this *run_directory*, whose owner is the caller, uses the volumes *folders*."""
    path = os.path.join(run_directory, LIST)
    files.replace(path, json.dumps(sorted({*_held(run_directory), *folders})).encode(), 0o600)


def _held(run_directory: str) -> list[str]:
    try:
        return json.read_own(os.path.join(run_directory, LIST), [str]) or []
    except ValueError:
        return []


def attach(run_directory: str, folder: str) -> None:
    """Mount the volume with the directory *folder* for the box with this *run_directory*, unless it is mounted.

    StateError: the kernel refuses, or the device does not exist.
    """
    hold(run_directory, [folder])
    with Locked(folder):
        mount(folder)


def fill(run_directory: str, folder: str, layers: Sequence[str], destination: str) -> None:
    """Copy the directory *destination* of the image with these *layers* into the volume, if that is empty.

    The volume is mounted for this, as docker does when a container is made; a tmpfs would be empty again afterwards.
    """
    if not layers or read(folder).get("type") == "tmpfs":
        return
    try:
        attach(run_directory, folder)
        with Locked(folder):
            if not _has_other_users(run_directory, folder):
                _fill(os.path.join(folder, "_data"), layers, destination)
    finally:
        release(run_directory)


def _fill(path: str, layers: Sequence[str], destination: str) -> None:
    """Fill the empty directory *path*: the files are copied into a new one there, then they are renamed, one by one.

    If tinybox is killed meanwhile, the next container removes what was copied, or completes the renaming. No link is
    followed, because boxes can write there.
    """
    from tinybox.container.storage import populate

    there = set(os.listdir(path))
    if there == {_NEW} or not there:
        files.remove_tree(f"{path}/{_NEW}")
        os.mkdir(f"{path}/{_NEW}", 0o755)
        populate.fill(layers, destination, f"{path}/{_NEW}")
        os.rename(f"{path}/{_NEW}", f"{path}/{_READY}")
    elif _READY not in there:
        return
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    top = os.open(path, flags)
    ready = os.open(_READY, flags, dir_fd=top)
    try:
        for name in os.listdir(ready):
            os.rename(name, name, src_dir_fd=ready, dst_dir_fd=top)
        info = os.fstat(ready)
        os.fchown(top, info.st_uid, info.st_gid)
        os.fchmod(top, info.st_mode & 0o7777)
        os.rmdir(_READY, dir_fd=top)
    finally:
        os.close(ready)
        os.close(top)


def mount(folder: str) -> None:
    """Mount a volume on its _data, unless it is mounted; the caller has the lock, or mounts of its own."""
    from tinybox.isolation import rootfs

    path = os.path.join(folder, "_data")
    if not is_mounted(path):
        rootfs.place_over(_file_system(folder, read(folder)), path)


def is_mounted(path: str) -> bool:
    """Return whether *path* is a mount point in this mount namespace; see proc_pid_mountinfo(5)."""
    from tinybox.linux import proc

    path = os.path.realpath(path)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return any(each.point == path for each in proc.mountinfo(file.read()))


def _file_system(folder: str, options: dict[str, str]) -> int:
    """Return an fd of the detached mount that *options* describe; StateError: it cannot be made."""
    from tinybox.isolation import mount_options, mounts

    words = [word for word in options.get("o", "").split(",") if word]
    parsed = mount_options.Options(words)
    kind, device = options.get("type", ""), options.get("device", "")
    try:
        if parsed.bind:
            return mounts.copy_tree(device, parsed)
        if kind in _NETWORK_FILE_SYSTEMS:
            _resolve(parsed)
        return mounts.new_filesystem(os.fsencode(kind), os.fsencode(device), parsed)
    except (UsageError, StateError, OSError) as error:
        cause = getattr(error, "cause", "") or str(error)
        shown = f"failed to mount local volume: {kind} {device}: {cause}"
        raise StateError(f"volume {os.path.basename(folder)}", shown, "tinybox volume inspect") from error


def _resolve(parsed: Options) -> None:
    """Replace the host name in ``addr=NAME`` by its address, which the kernel needs; docker's driver does it, too."""
    import socket

    for number, word in enumerate(parsed.data):
        if word.startswith("addr="):
            name = word.removeprefix("addr=")
            parsed.data[number] = f"addr={socket.getaddrinfo(name, None)[0][4][0]}"


def release(run_directory: str) -> None:
    """Unmount the volumes of the box with this *run_directory* that no other living box uses; a second call is no harm.

    Other boxes of the same store have their run directories beside it.
    """
    folders = _held(run_directory)
    for folder in folders:
        if os.path.isdir(folder):
            with Locked(folder):
                if not _has_other_users(run_directory, folder):
                    unmount(folder)
    if folders:
        files.discard(os.path.join(run_directory, LIST))


def _has_other_users(run_directory: str, folder: str) -> bool:
    others = [entry.path for entry in os.scandir(os.path.dirname(run_directory)) if entry.is_dir(follow_symlinks=False)]
    return any(folder in _held(each) and _is_alive(each) for each in others if each != run_directory)


def _is_alive(run_directory: str) -> bool:
    """Return whether a living process owns the box: it holds the lock; see flock(2)."""
    try:
        return locks.is_locked(os.path.join(run_directory, "lock"))
    except (FileNotFoundError, NotADirectoryError):
        return False


def unmount(folder: str) -> None:
    """Unmount what is mounted on the volume with the directory *folder*; see MNT_DETACH in umount(2)."""
    from tinybox.linux import mount as calls

    path = os.path.join(folder, "_data")
    while has_options(folder) and is_mounted(path):
        calls.umount2(os.fsencode(path), calls.MNT_DETACH)
