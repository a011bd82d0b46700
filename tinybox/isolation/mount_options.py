"""The words behind ``-o`` of mount(8), sorted by what the kernel takes them for.

Some are attributes of the one mount, some say how mounts spread to other namespaces, some belong to the file system,
which all its mounts share; and what is none of these is the file system's own business.
"""

from __future__ import annotations

from tinybox.errors import UsageError
from tinybox.linux import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NONE = (0, 0)
_RELATIME = (0, mount.MOUNT_ATTR__ATIME)

# option: (attributes to set, attributes to clear); with a leading "r" they hold for all mounts below, too
ATTRIBUTES = {
    "ro": (mount.MOUNT_ATTR_RDONLY, 0),
    "rw": (0, mount.MOUNT_ATTR_RDONLY),
    "nosuid": (mount.MOUNT_ATTR_NOSUID, 0),
    "suid": (0, mount.MOUNT_ATTR_NOSUID),
    "nodev": (mount.MOUNT_ATTR_NODEV, 0),
    "dev": (0, mount.MOUNT_ATTR_NODEV),
    "noexec": (mount.MOUNT_ATTR_NOEXEC, 0),
    "exec": (0, mount.MOUNT_ATTR_NOEXEC),
    "nosymfollow": (mount.MOUNT_ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, mount.MOUNT_ATTR_NOSYMFOLLOW),
    "nodiratime": (mount.MOUNT_ATTR_NODIRATIME, 0),
    "diratime": (0, mount.MOUNT_ATTR_NODIRATIME),
    "noatime": (mount.MOUNT_ATTR_NOATIME, mount.MOUNT_ATTR__ATIME),
    "strictatime": (mount.MOUNT_ATTR_STRICTATIME, mount.MOUNT_ATTR__ATIME),
    "relatime": _RELATIME,
    "atime": _RELATIME,  # not noatime: and what the kernel does by itself is relatime
    "nostrictatime": _RELATIME,
    "norelatime": _NONE,  # "see strictatime", says mount(8): by itself it changes nothing
}
PROPAGATION = {
    "private": mount.MS_PRIVATE,
    "slave": mount.MS_SLAVE,
    "shared": mount.MS_SHARED,
    "unbindable": mount.MS_UNBINDABLE,
}
# Words of mount(8) for which the newer calls have no flag, since the kernel does nothing by them any more (mand: 5.15),
# or they only say how much it may print.
WITHOUT_EFFECT = frozenset("defaults mand nomand iversion noiversion silent loud".split())
_DOCKERS = frozenset("copy nocopy z Z".split())  # done elsewhere, or nothing on a host without SELinux


class Options:
    """The ``options`` of an OCI mount, sorted by what the kernel does with each: see mount(8), mount_setattr(2)."""

    def __init__(self, options: Iterable[str]) -> None:
        self.attr_set = self.attr_clr = 0
        self.deep_set = self.deep_clr = 0
        self.propagation = 0
        self.bind = self.recursive = self.remount = False
        self.copy_up: Callable[[int, int], None] | None = None
        self.idmap = self.deep_idmap = False
        self.data: list[str] = []
        for option in options:
            self._take(option)

    def _take(self, option: str) -> None:
        deep = option[:1] == "r" and option[1:] in ATTRIBUTES and option not in ATTRIBUTES
        if option in ATTRIBUTES or deep:
            on, off = ATTRIBUTES[option[1:] if deep else option]
            self.attr_set, self.attr_clr = self.attr_set & ~off | on, self.attr_clr & ~on | off
            if deep:
                self.deep_set, self.deep_clr = self.deep_set & ~off | on, self.deep_clr & ~on | off
        elif option in PROPAGATION or (option[:1] == "r" and option[1:] in PROPAGATION):
            self.propagation = propagation(option)
        elif option in ("bind", "rbind"):
            self.bind, self.recursive = True, option == "rbind"
        elif option in ("idmap", "ridmap"):
            self.idmap, self.deep_idmap = True, option == "ridmap"
        elif option == "remount":
            self.remount = True
        elif option == "tmpcopyup":
            from tinybox.isolation.copy_up import copy_directory

            self.copy_up = copy_directory  # loaded here, by the parent: the child, who calls it, imports nothing
        elif option not in WITHOUT_EFFECT and option not in _DOCKERS:
            self.data.append(option)  # sync, dirsync and lazytime as well: fsconfig(2) takes them by their names


def propagation(word: str, field: str = "propagation") -> int:
    """Return the MS_* flag of ``slave`` or ``rslave``; UsageError, with the *field*, for another word."""
    name = word if word in PROPAGATION else word[1:]
    if name not in PROPAGATION or word not in (name, f"r{name}"):
        raise UsageError(field, f"{word!r} is unknown", f"one of {', '.join(PROPAGATION)}")
    return PROPAGATION[name]
