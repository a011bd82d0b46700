"""The paths of all files: the store ROOT, which is kept, and the run directory RUN, which is gone after a reboot.

ROOT/images names layers     the images: images/store.py
ROOT/build-cache             the layers that `build` need not make again: images/build_cache.py
ROOT/containers/ID           a container's bundle: config.json, upper work rootfs, state.json, its log
ROOT/container-names/NAME    a link to ID: the name belongs to the container whose command made the link
ROOT/volumes/NAME/_data      volumes; options.json beside it, if any, is the file system that is mounted there
ROOT/networks/NAME.json      the networks that users have made
ROOT/cache                   what can be made again: seccomp filters; see resting_states.py, network/hosts_file.py
ROOT/storage-driver          only where the kernel refuses overlays: why; see linux/filesystem/overlay_refusal.py
ROOT/events.log              the events of containers, images, networks and volumes
RUN/ID                       while a process owns the container: lock, state.json, attach.sock
RUN/NAME                     a link to RUN/ID, for users
RUN/.home                    without root: the processes that are in the home lock it; see isolation/rootless/home.py
RUN/.cgroup                  without root: the home's directory of cgroup v2; see isolation/cgroups/delegation.py

IP addresses belong to the whole host and not to a store: container/network/addresses.py has their files.
"""

from __future__ import annotations

import os
import stat

from tinybox.errors import UsageError
from tinybox.linux.filesystem import event_log, ownership

DEFAULT_ROOT, DEFAULT_RUN = "/var/lib/tinybox", "/run/tinybox"
POOLS = "/run/tinybox-networks"  # the address pools of all stores; see network/pools.py
INSIDE = (
    *("containers", "container-names", "volumes", "networks", "cache", "images", "layers", "names", "tmp", "locks"),
    *("run", "blobs", "manifests", "build-cache"),
)


def settle(root: str, run: str) -> None:
    """Use other default directories than root's: a user without root has them in the XDG directories."""
    global DEFAULT_ROOT, DEFAULT_RUN
    DEFAULT_ROOT, DEFAULT_RUN = root, run


class Paths:
    """The paths of one store (*root*) and its run directory (*run*), which is ROOT/run for a store elsewhere."""

    def __init__(self, root: str = "") -> None:
        self.root = os.path.abspath(root or os.environ.get("TINYBOX_ROOT") or DEFAULT_ROOT)
        if ":" in self.root:  # a colon separates the layers of an image, here and in overlayfs's mount options
            raise UsageError(f"store {self.root}", "has a colon in its path", "--root DIR or TINYBOX_ROOT without one")
        self.run = DEFAULT_RUN if self.root == DEFAULT_ROOT else os.path.join(self.root, "run")
        self.containers = os.path.join(self.root, "containers")
        self.names = os.path.join(self.root, "container-names")
        self.volumes = os.path.join(self.root, "volumes")
        self.networks = os.path.join(self.root, "networks")
        self.cache = os.path.join(self.root, "cache")
        self.events = os.path.join(self.root, event_log.NAME)
        self._check()

    def _check(self) -> None:
        """Refuse a store that another user can have filled: tinybox trusts its files. See ownership.py and ADR 27."""
        self._is_checked = ownership.check(self.root)
        has_run = ownership.check(self.run) if self.run == DEFAULT_RUN else True
        found = ownership.check_inside(self.root, INSIDE)
        needed = [os.path.basename(self.containers), os.path.basename(self.names), *["run"] * (self.run != DEFAULT_RUN)]
        self._is_complete = has_run and found.keys() >= set(needed)
        if found.get("layers", 0) & stat.S_ISVTX:  # the kernel refuses overlays in this store
            from tinybox.linux.filesystem import overlay_marks

            overlay_marks.refused = True

    def bundle(self, container: str) -> str:
        """Return the directory of this container's bundle: ROOT/containers/ID."""
        return os.path.join(self.containers, container)

    def run_directory(self, container: str) -> str:
        """Return the directory that this container has while a process owns it: RUN/ID."""
        return os.path.join(self.run, container)

    def prepare(self, *, again: bool = False) -> None:
        """Make the directories, closed to other users: images bring setuid programs (CVE-2021-41091).

        Nothing is done if all were there when this object was made, unless *again*: one has been removed since.
        """
        if self._is_complete and not again:
            return
        for path, mode in ((self.root, 0o711), (self.containers, 0o700), (self.run, 0o700), (self.names, 0o700)):
            try:
                os.mkdir(path, mode)
            except FileExistsError:
                continue
            except FileNotFoundError:
                os.makedirs(path, mode)
        if not self._is_checked:  # another user may have made it since, in a directory such as /var/tmp
            self._check()

    def with_run_directory(self) -> list[str]:
        """Return the ids of all containers that a process owns, or whose owner died and left its run directory."""
        try:
            return [entry.name for entry in os.scandir(self.run) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []

    def stored(self) -> list[str]:
        """Return the ids of all containers in the store, including those that are half-made."""
        try:
            return os.listdir(self.containers)
        except FileNotFoundError:
            return []
