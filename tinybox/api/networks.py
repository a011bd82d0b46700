"""Networks as objects: make and find them, and connect containers with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.api.removable import Removable
from tinybox.container import connections
from tinybox.container.network import definitions, making
from tinybox.container.records.paths import Paths
from tinybox.container.views import network_inspection

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Mapping
    from typing import Self

    from tinybox.container.network.addresses import EndpointRequest


def _several(words: str | Iterable[str]) -> list[str]:
    return [words] if isinstance(words, str) else [*words]


class Network(Removable):
    """A network; ``str`` of it is its name, so it is a value of the option ``network`` of a container."""

    def __init__(self, name: str, paths: Paths, *, made: bool = False) -> None:
        super().__init__(made=made)
        self.name, self._paths = name, paths

    def __str__(self) -> str:
        return self.name

    @classmethod
    def create(
        cls,
        name: str,
        *,
        subnet: str | Iterable[str] = (),
        gateway: str | Iterable[str] = (),
        internal: bool = False,
        ipv6: bool = False,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        root: str = "",
    ) -> Self:
        """Make the network *name*; its subnet and gateway are chosen if they are left out; see `network create`.

        ConflictError: there is a network of this name. *options* are those of the driver: ``{"mtu": "1400"}``.
        """
        paths = Paths(root)
        paths.prepare()
        wanted = making.NetworkOptions(
            _several(subnet), _several(gateway), internal=internal, ipv6=ipv6,
            labels=dict(labels or {}), options=dict(options or {}),
        )  # fmt: skip
        return cls(making.create(paths, name, wanted).name, paths, made=True)

    @classmethod
    def get(cls, word: str, *, root: str = "") -> Self:
        """Return the network with the name or id *word*; NoSuchError if there is none."""
        paths = Paths(root)
        return cls(definitions.find(paths, word).name, paths)

    @classmethod
    def list(cls, *, root: str = "") -> builtins.list[Self]:
        """Return all networks, also ``bridge``, ``host`` and ``none``."""
        paths = Paths(root)
        return [cls(network.name, paths) for network in definitions.every(paths)]

    @property
    def id(self) -> str:
        """Its id."""
        return definitions.find(self._paths, self.name).id

    def inspect(self) -> dict[str, Any]:
        """Return everything about it, with docker's keys; ``Containers`` are those that are connected to it now."""
        return network_inspection.as_dict(self._paths, definitions.find(self._paths, self.name))

    def connect(self, container: object, *, ip: str = "", ip6: str = "", aliases: str | Iterable[str] = ()) -> None:
        """Connect *container*, an object or a name, running or not; *aliases* are more names for it in this network."""
        found = definitions.find(self._paths, self.name)
        request: EndpointRequest = {
            "name": found.name, "aliases": _several(aliases), "address": ip, "address6": ip6
        }  # fmt: skip
        connections.connect(self._paths, found, str(container), request)

    def disconnect(self, container: object, *, force: bool = False) -> None:
        """Disconnect *container*; with *force* it need not be connected."""
        connections.disconnect(self._paths, self.name, str(container), force=force)

    def remove(self) -> None:
        """Remove it; ConflictError: a running container is connected to it."""
        making.remove(self._paths, self.name)

    def _discard(self) -> None:
        self.remove()
