"""The types of config.json of the OCI runtime specification 1.1, for the type checker: no program loads this file.

The section names in the docstrings are those of the specification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from tinybox.isolation.idmap import IDMapping


class User(TypedDict, total=False):
    """``process.user``: numbers only; user names have already been looked up in the image."""

    uid: int
    gid: int
    umask: int
    additionalGids: list[int]


class Rlimit(TypedDict):
    """``process.rlimits``: see getrlimit(2)."""

    type: str
    soft: int
    hard: int


class Process(TypedDict, total=False):
    """``process``: the program, its terminal, its user and its rights."""

    terminal: bool
    consoleSize: dict[str, int]
    user: User
    args: list[str]
    env: list[str]
    cwd: str
    capabilities: dict[str, list[str]]
    rlimits: list[Rlimit]
    noNewPrivileges: bool
    oomScoreAdj: int
    apparmorProfile: str
    selinuxLabel: str
    scheduler: dict[str, Any]
    ioPriority: dict[str, Any]
    execCPUAffinity: dict[str, str]


class Root(TypedDict, total=False):
    """``root``: where the root file system is, relative to the bundle."""

    path: str
    readonly: bool


class Mount(TypedDict, total=False):
    """``mounts``: one mount, in the order in which they are made."""

    destination: str
    type: str
    source: str
    options: list[str]
    uidMappings: list[IDMapping]
    gidMappings: list[IDMapping]


class Namespace(TypedDict, total=False):
    """``linux.namespaces``: a new namespace, or with ``path`` an existing one to join."""

    type: str
    path: str


class Device(TypedDict, total=False):
    """``linux.devices``: a device node to make."""

    path: str
    type: str
    major: int
    minor: int
    fileMode: int
    uid: int
    gid: int


class Linux(TypedDict, total=False):
    """``linux``: namespaces, limits, devices, seccomp filter, and masked and read-only paths in /proc and /sys."""

    namespaces: list[Namespace]
    uidMappings: list[IDMapping]
    gidMappings: list[IDMapping]
    devices: list[Device]
    cgroupsPath: str
    resources: dict[str, Any]
    rootfsPropagation: str
    seccomp: dict[str, Any]
    sysctl: dict[str, str]
    maskedPaths: list[str]
    readonlyPaths: list[str]
    mountLabel: str
    personality: dict[str, Any]
    timeOffsets: dict[str, dict[str, int]]
    memoryPolicy: dict[str, Any]
    netDevices: dict[str, dict[str, str]]
    intelRdt: dict[str, Any]


class Hook(TypedDict, total=False):
    """``hooks.*[]``: a program to be run at one point of a container's life cycle."""

    path: str
    args: list[str]
    env: list[str]
    timeout: int


class Spec(TypedDict, total=False):
    """config.json."""

    ociVersion: str
    process: Process
    root: Root
    hostname: str
    domainname: str
    mounts: list[Mount]
    hooks: dict[str, list[Hook]]
    annotations: dict[str, str]
    linux: Linux


class IdMaps(TypedDict, total=False):
    """The maps of a box with a user namespace inside the home of a user without root; see records.spec.id_maps."""

    uids: list[IDMapping]
    gids: list[IDMapping]
    auto: int  # --userns auto: how many ids are the box's alone
    forced: list[list[IDMapping]]  # and the mappings that were given for users and for groups
    lines: list[str]  # --userns keep-id: the user's line for /etc/passwd and for /etc/group, "" for none
