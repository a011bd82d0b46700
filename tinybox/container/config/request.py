"""Request: everything that one `tinybox run` asks for; the files of this folder convert it to a config.json."""

from __future__ import annotations

import os

from tinybox.container.config import user_option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tinybox.container.config.options import Options
    from tinybox.container.config.podman_users import PodmanUsers
    from tinybox.container.network.definitions import Network
    from tinybox.container.records.host import Host
    from tinybox.container.records.spec_types import Mount
    from tinybox.isolation.rootless.home_ids import HomeIds

NAMESPACES = {"uts": "uts", "pid": "pid", "ipc": "ipc", "network": "network", "cgroupns": "cgroup", "userns": "user"}
DEFAULT_MODES = {"userns": "host"}


class Request:
    """One requested container: the *image* with its config and layers, the *command*, and the *options* as given.

    *network_mode* is network_option.mode of these options; *modes* has the mode of every namespace. The functions
    *find_pid*, *find_joined*, *find_hostname*, *find_mounts*, *find_image*, *volume* and *network* look up other
    containers, images, volumes and networks by name. *find_joined* also takes a container that does not run yet.
    """

    def __init__(
        self,
        container: str,
        name: str,
        image: Any,
        command: Sequence[str],
        options: Options,
        *,
        host: Host,
        find_pid: Callable[[str], int],
        find_joined: Callable[[str], int],
        find_hostname: Callable[[str], str],
        find_mounts: Callable[[str], list[Mount]],
        find_image: Callable[[str], Any],
        volume: Callable[[str, str], str],
        network: Callable[[str], Network],
        network_mode: str,
    ) -> None:
        self.container, self.name, self.image, self.command, self.options = container, name, image, command, options
        self.host, self.find_pid, self.find_hostname = host, find_pid, find_hostname
        self.find_joined = find_joined if (options.get("userns") or "host") == "host" else find_pid
        self.find_mounts, self.find_image, self.volume, self.network = find_mounts, find_image, volume, network
        self.privileged = bool(options.get("privileged"))
        self.modes = {
            key: options.get(key) or DEFAULT_MODES.get(key, "private") for key in NAMESPACES if key != "network"
        }
        self.modes["network"] = network_mode
        if self.modes["ipc"] == "shareable":  # docker's word for a private one that other boxes may join; all are here
            self.modes["ipc"] = "private"
        self.modes["userns"] = users(self.modes["userns"], find_pid)
        self.podman_users: PodmanUsers | None = None  # podman's word for --userns, and the ids that the user has
        self.home_ids: HomeIds | None = None
        own, groups = self._use_podmans_word()
        self.user, self.home = user_option.resolve(options.get("user") or image.config.get("User") or own, image.layers)
        if groups := [*groups, *(options.get("group_add") or ())]:
            user_option.add_groups(self.user, groups, image.layers)

    @property
    def maps_mounts(self) -> bool:
        """Return whether mounts of the box are idmapped: only root of the host may do that; see mount_setattr(2)."""
        return self.modes["userns"] != "host" and not self.host.rootless

    def _use_podmans_word(self) -> tuple[str, list[str]]:
        """Read podman's word for --userns, and make the mode ``private``; return the box's default user, and groups.

        The user is root, or with ``keep-id`` the one who has called tinybox, whose group each user of the box has.
        """
        if self.modes["userns"].partition(":")[0] not in ("keep-id", "nomap", "auto"):
            return "0", []
        from tinybox.container.config import podman_users

        self.podman_users = asked = podman_users.PodmanUsers(self.modes["userns"])
        self.modes["userns"] = "private"
        if not self.host.rootless:
            podman_users.check_root(asked)
            return "0", []
        self.home_ids = podman_users.ids_of(asked)
        uid, gid = podman_users.numbers(asked, self.home_ids)
        return (f"{uid}:{gid}", [str(gid)]) if asked.word == "keep-id" else ("0", [])


def users(mode: str, find_pid: Callable[[str], int]) -> str:
    """Return the mode of the user namespace; ``container:NAME`` becomes ``host`` if NAME is in the host's one.

    A process cannot join the user namespace that it is in already, and mounts cannot be mapped to it; see EINVAL in
    setns(2).
    """
    if mode.startswith("container:"):
        theirs = f"/proc/{find_pid(mode.partition(':')[2])}/ns/user"
        if os.access(theirs, os.R_OK) and os.stat(theirs).st_ino == os.stat("/proc/self/ns/user").st_ino:
            return "host"
    return mode
