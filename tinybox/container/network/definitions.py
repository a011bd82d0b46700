"""Networks: their definitions in ROOT/networks/NAME.json, and the predefined ones: ``bridge``, ``host``, ``none``.

The file is all that is recorded of a network that a user made. Its bridge, a switch in the kernel, exists only while a
box is connected; see bridge in ip-link(8).
"""

from __future__ import annotations

import os

from tinybox.container.network import BRIDGE, HOST, NONE
from tinybox.container.records import naming
from tinybox.errors import DamagedError, NoSuchError, StateError, UsageError, report
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import files, unnamed
from tinybox.linux.filesystem.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.records.paths import Paths

DEFAULT_LINK = "tinybox0"
DEFAULT_SUBNETS = ("172.30.0.0/16", "172.29.0.0/16", "172.31.0.0/16", "10.88.0.0/16", "192.168.208.0/20")
MTU = 1500
SHAPE: dict[str, Any] = {  # see quick_json.misfit
    "id!": str,
    **dict.fromkeys("driver bridge subnet gateway subnet6 gateway6 range".split(), str),
    "options": {"*": str},
    "ipam_options": {"*": str},
    "reserved": {"*": str},
    "labels": {"*": str},
    **dict.fromkeys(("internal", "attachable"), bool),
    "mtu": range(1 << 16),
    "created": range(1 << 63),
}


class Network:
    """A network: its bridge's link name, its subnets and gateways (``172.18.0.0/16``, ``172.18.0.1``), its labels.

    Addresses are chosen from *range*, if it is not empty, and never from *reserved*, which has names of devices with
    their addresses; both are of IPv4. Without IPv6 *subnet6* and *gateway6* are empty. From an
    *internal* network no packet leaves. *created* is in nanoseconds since 1970.
    """

    def __init__(self, name: str, **kept: Any) -> None:
        self.name = name
        self.id: str = kept.get("id", "")
        self.driver: str = kept.get("driver", "bridge")
        self.bridge: str = kept.get("bridge", "")
        self.subnet: str = kept.get("subnet", "")
        self.gateway: str = kept.get("gateway", "")
        self.subnet6: str = kept.get("subnet6", "")
        self.gateway6: str = kept.get("gateway6", "")
        self.range: str = kept.get("range", "")
        self.reserved: dict[str, str] = kept.get("reserved", {})
        self.internal: bool = kept.get("internal", False)
        self.attachable: bool = kept.get("attachable", False)  # without effect: for swarm, but docker shows it
        self.mtu: int = kept.get("mtu", MTU)
        self.options: dict[str, str] = kept.get("options", {})
        self.ipam_options: dict[str, str] = kept.get("ipam_options", {})  # without effect, as in docker: only shown
        self.labels: dict[str, str] = kept.get("labels", {})
        self.created: int = kept.get("created", 0)

    @property
    def is_predefined(self) -> bool:
        """Whether this is ``bridge``, ``host`` or ``none``: boxes there have no names for one another, as in docker."""
        return self.name in (BRIDGE, HOST, NONE)


def predefined(name: str) -> Network:
    """Return the network ``bridge``, ``host`` or ``none``; its id is its name in hexadecimal, filled up with zeros."""
    number = name.encode().hex().ljust(64, "0")
    if name != BRIDGE:
        return Network(name, id=number, driver="null" if name == NONE else HOST)
    subnet = DEFAULT_SUBNETS[0]
    return Network(name, id=number, bridge=DEFAULT_LINK, subnet=subnet, gateway=first_address(subnet))


def first_address(subnet: str) -> str:
    """Return the first usable address of *subnet*, ``172.18.0.1`` of ``172.18.0.0/16``: docker's default gateway."""
    base, _, _ = subnet.partition("/")
    front, _, last = base.rpartition(".")
    return f"{front}.{int(last) + 1}"


def find(paths: Paths, word: str) -> Network:
    """Return the network with the name *word*, or whose id begins with it; StateError if there is none or several."""
    if word in (BRIDGE, HOST, NONE):
        return predefined(word)
    kept = _read(paths, word) if naming.is_allowed(word) else None
    if kept is not None:
        return Network(word, **kept)
    found = [network for network in every(paths) if word and network.id.startswith(word)]
    if len(found) == 1:
        return found[0]
    thing, cure = f"network {word}", "tinybox network ls lists them"
    if found:
        raise StateError(thing, "is ambiguous: more than one id begins with it", cure)
    names = lambda: [network.name for network in every(paths)]  # noqa: E731
    raise NoSuchError(thing, "not found", cure).meant(word, names)


def every(paths: Paths) -> list[Network]:
    """Return all networks, the three predefined ones included, sorted by name."""
    found = [predefined(name) for name in (BRIDGE, HOST, NONE)]
    try:
        names = [name.removesuffix(".json") for name in os.listdir(paths.networks) if name.endswith(".json")]
    except FileNotFoundError:
        names = []
    for name in names:
        try:
            kept = _read(paths, name)
        except DamagedError as error:
            report(error)
            continue
        if kept is not None:  # else the network has just been removed
            found.append(Network(name, **kept))
    return sorted(found, key=lambda network: network.name)


class NetworksLock:
    """A lock on this store's network definitions: no other process changes them in the ``with`` block; see flock(2)."""

    def __init__(self, paths: Paths) -> None:
        self._folder = paths.networks
        self._fd = -1

    def __enter__(self) -> None:
        os.makedirs(self._folder, 0o700, exist_ok=True)
        self._fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        lock_file(self._fd)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def save(paths: Paths, network: Network) -> None:
    """Write the file of a new *network*, whole or not at all; see rename(2).

    The caller has checked the network and holds the lock.
    """
    if not naming.is_allowed(network.name):
        raise UsageError(f"network name {network.name!r}", "is not allowed", "use [a-zA-Z0-9][a-zA-Z0-9_.-]+")
    path = os.path.join(paths.networks, f"{network.name}.json")
    kept = {key: value for key, value in vars(network).items() if key != "name"}
    data = json.dumps(kept).encode()
    try:
        unnamed.appear(path, data, 0o644)
    except FileExistsError:  # a known one is replaced
        files.replace(path, data, 0o644)


def remove(paths: Paths, network: Network) -> None:
    """Remove the file of *network*; the caller knows that no box is connected to it, and holds the lock."""
    os.unlink(os.path.join(paths.networks, f"{network.name}.json"))


def _read(paths: Paths, name: str) -> dict[str, Any] | None:
    try:
        kept: dict[str, Any] | None = json.read_own(os.path.join(paths.networks, f"{name}.json"), SHAPE)
    except ValueError as error:
        cure = f"tinybox network rm {name} removes it"
        raise DamagedError(f"network {name}", f"its record is damaged: {error}", cure) from error
    return kept
