"""Where everything lies on disk: the store, which stays, and what is alive, which does not outlive a boot.

ROOT/images names layers     what the images are made of: images/store.py
ROOT/containers/ID           a container: config.json, upper work rootfs, state.json, its log
ROOT/container-names/NAME    a link to ID: a name belongs to whoever could make the link
ROOT/volumes/NAME/_data      volumes
ROOT/networks/NAME.json      networks that somebody made
ROOT/events.log              what happened to containers
RUN/ID                       while somebody owns it: lock, state.json, attach.sock
RUN/NAME                     a link to RUN/ID, for people

Who has which address is the whole host's affair, and lies beside: container/network/addresses.py.
"""

from __future__ import annotations

import os

from tinybox.errors import UsageError
from tinybox.linux import ownership

DEFAULT_ROOT, DEFAULT_RUN = "/var/lib/tinybox", "/run/tinybox"
INSIDE = tuple("containers container-names volumes networks cache images layers names tmp locks run".split())


class Paths:
    """*root*, the store; *run*, what is alive. Another store than the default one has its own ``run`` inside."""

    def __init__(self, root: str = "") -> None:
        self.root = os.path.abspath(root or os.environ.get("TINYBOX_ROOT") or DEFAULT_ROOT)
        if ":" in self.root:  # it stands between the layers of an image, as it does in overlayfs's own words
            raise UsageError(f"store {self.root}", "has a colon in its path", "--root DIR or TINYBOX_ROOT without one")
        self.run = DEFAULT_RUN if self.root == DEFAULT_ROOT else os.path.join(self.root, "run")
        self.containers = os.path.join(self.root, "containers")
        self.names = os.path.join(self.root, "container-names")
        self.volumes = os.path.join(self.root, "volumes")
        self.networks = os.path.join(self.root, "networks")
        self.cache = os.path.join(self.root, "cache")
        self.events = os.path.join(self.root, "events.log")
        self._check()

    def _check(self) -> None:
        """Refuse a store that another user may have filled: what lies in it is obeyed. See ownership.py, ADR 27."""
        self._is_checked = ownership.check(self.root)
        if self.run == DEFAULT_RUN:
            ownership.check(self.run)
        ownership.check_inside(self.root, INSIDE)

    def bundle(self, container: str) -> str:
        """Return the directory of this container's bundle."""
        return os.path.join(self.containers, container)

    def run_directory(self, container: str) -> str:
        """Return the directory that this container has while somebody owns it."""
        return os.path.join(self.run, container)

    def prepare(self) -> None:
        """Make the directories; what boxes are made of is root's alone (CVE-2021-41091): setuid programs lie there."""
        for path, mode in ((self.root, 0o711), (self.containers, 0o700), (self.run, 0o700), (self.names, 0o700)):
            try:
                os.mkdir(path, mode)
            except FileExistsError:
                continue
            except FileNotFoundError:
                os.makedirs(path, mode)
        if not self._is_checked:  # another user may have been faster, in a directory such as /var/tmp
            self._check()

    def with_run_directory(self) -> list[str]:
        """Return the ids of all containers that somebody owns, or whose dead owner has left something behind."""
        try:
            return [entry.name for entry in os.scandir(self.run) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []

    def stored(self) -> list[str]:
        """Return the ids of all containers of the store, half-made ones included."""
        try:
            return os.listdir(self.containers)
        except FileNotFoundError:
            return []
