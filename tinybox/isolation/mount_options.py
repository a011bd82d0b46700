"""Mount options: sort the options of mount(8) ``-o`` and of OCI mounts into attributes, propagation and fs options.

Some options are attributes of the one mount. Some set its propagation, by which mounts appear in other namespaces. Some
control how the mount is made (bind, remount). All others are options of the file system, which all its mounts share.
"""

from __future__ import annotations

from tinybox.errors import UsageError
from tinybox.linux import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NONE = (0, 0)
_RELATIME = (0, mount.MOUNT_ATTR__ATIME)

# option: (attributes to set, attributes to clear); with "r" before its name, an option also applies to all mounts below
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
    "atime": _RELATIME,  # the opposite of noatime is the kernel's default, relatime
    "nostrictatime": _RELATIME,
    "norelatime": _NONE,  # mount(8) refers to strictatime; the option itself changes nothing
}
_REPLACED = (  # the attributes of the source of a bind mount that are not kept, if others are named
    mount.MOUNT_ATTR_RDONLY
    | mount.MOUNT_ATTR_NOSUID
    | mount.MOUNT_ATTR_NODEV
    | mount.MOUNT_ATTR_NOEXEC
    | mount.MOUNT_ATTR_NOSYMFOLLOW
)
PROPAGATION = {
    "private": mount.MS_PRIVATE,
    "slave": mount.MS_SLAVE,
    "shared": mount.MS_SHARED,
    "unbindable": mount.MS_UNBINDABLE,
}
# Options of mount(8) without a flag in the newer calls, because the kernel ignores them (mand: since 5.15), or because
# they only control how much mount(8) prints.
WITHOUT_EFFECT = frozenset("defaults mand nomand iversion noiversion silent loud".split())
_DOCKERS = frozenset("copy nocopy z Z".split())  # handled elsewhere, or without effect on a host without SELinux


class Options:
    """The ``options`` of an OCI mount, sorted by their effect in the kernel; see mount(8), mount_setattr(2)."""

    def __init__(self, options: Iterable[str]) -> None:
        self.attr_set = self.attr_clr = 0
        self.is_exact = False  # an attribute of the one mount is named
        self.deep_set = self.deep_clr = 0
        self.propagation = 0
        self.bind = self.recursive = self.remount = False
        self.copy_up: Callable[[int, int], None] | None = None
        self.idmap = self.deep_idmap = False
        self.subpath = ""
        self.data: list[str] = []
        for option in options:
            self._take(option)

    def _take(self, option: str) -> None:
        deep = option[:1] == "r" and option[1:] in ATTRIBUTES and option not in ATTRIBUTES
        if option in ATTRIBUTES or deep:
            on, off = ATTRIBUTES[option[1:] if deep else option]
            self.attr_set, self.attr_clr = self.attr_set & ~off | on, self.attr_clr & ~on | off
            self.is_exact = self.is_exact or not deep
            if deep:
                self.deep_set, self.deep_clr = self.deep_set & ~off | on, self.deep_clr & ~on | off
        elif option in PROPAGATION or (option[:1] == "r" and option[1:] in PROPAGATION):
            self.propagation = propagation(option)
        elif option in ("bind", "rbind"):
            self.bind, self.recursive = True, self.recursive or option == "rbind"  # flags: no option clears another
        elif option in ("idmap", "ridmap"):
            self.idmap, self.deep_idmap = True, option == "ridmap"
        elif option == "remount":
            self.remount = True
        elif option.startswith("subpath="):  # docker's volume-subpath
            self.subpath = option.removeprefix("subpath=")
        elif option == "tmpcopyup":
            from tinybox.isolation.copy_up import copy_directory

            self.copy_up = copy_directory  # imported here, by the parent: the child that calls it must not import
        elif option not in WITHOUT_EFFECT and option not in _DOCKERS:
            self.data.append(option)  # also sync, dirsync and lazytime: fsconfig(2) accepts them by their names

    def cleared(self) -> int:
        """Return the attributes that a bind mount must lose: if one is named, also those of its source's mount.

        Without any, the source's stay. So do runc and crun it: as mount(2) with MS_REMOUNT and MS_BIND, where the flags
        replace the former ones, except the times of access. Recursive options replace nothing.
        """
        return self.attr_clr | (_REPLACED & ~self.attr_set if self.is_exact else 0)


def propagation(option: str, field: str = "propagation") -> int:
    """Return the MS_* flag of a propagation such as ``slave`` or ``rslave``; UsageError, with *field*: unknown."""
    name = option if option in PROPAGATION else option[1:]
    if name not in PROPAGATION or option not in (name, f"r{name}"):
        raise UsageError(field, f"{option!r} is unknown", f"one of {', '.join(PROPAGATION)}")
    return PROPAGATION[name]
