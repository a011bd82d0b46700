"""One service of a compose file, in the words of ``tinybox run``: options, a command, and what it needs before it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tinybox.compose.document import Field

STARTED, HEALTHY, COMPLETED = "service_started", "service_healthy", "service_completed_successfully"
CONDITIONS = (STARTED, HEALTHY, COMPLETED)


class ServiceContext:
    """What the words of a service refer to: the project's *name* and *folder*, its variables, volumes and networks.

    *volumes* and *networks* lead from the names in the file to those in the store.
    """

    def __init__(self, name: str, folder: str, variables: Mapping[str, str]) -> None:
        self.name, self.folder, self.variables = name, folder, variables
        self.volumes: dict[str, str] = {}
        self.networks: dict[str, str] = {}
        self.services: dict[str, Field] = {}

    def path(self, word: str) -> str:
        """Return a path of the file as an absolute one: relative ones begin where the file is."""
        return os.path.normpath(os.path.join(self.folder, os.path.expanduser(word)))

    def container(self, service: str) -> str:
        """Return the name that the container of *service* has."""
        own = self.services[service].mapping().get("container_name")
        return own.text() if own else f"{self.name}-{service}-1"


class Join:
    """How a service is in one network: by which *aliases*, at which addresses (those that are given)."""

    def __init__(self, network: str, aliases: list[str], address: str = "", address6: str = "", mac: str = "") -> None:
        self.network, self.aliases = network, aliases
        self.address, self.address6, self.mac = address, address6, mac


class Service:
    """One service: its *image*, *command* and *options* as ``run`` has them, and what has to be there before it."""

    def __init__(self, name: str, place: str) -> None:
        self.name, self.place = name, place
        self.image = ""
        self.container = ""  # the name of its container
        self.command: list[str] | None = None
        self.entrypoint: list[str] | None = None
        self.options: dict[str, Any] = {}  # as container/config/options.py names them
        self.depends_on: dict[str, str] = {}  # service to condition
        self.optional: set[str] = set()  # those of them that may be missing
        self.follows: set[str] = set()  # those with which it is started again
        self.joins: list[Join] = []
        self.folders: list[str] = []  # of the host, made where they are missing
        self.profiles: list[str] = []
        self.pull = "missing"  # when its image is got: also "always" or "never"
        self.notes: list[str] = []  # what the user should be told

    def add(self, option: str, *values: str) -> None:
        """Add to an option that may be given several times."""
        self.options.setdefault(option, []).extend(values)

    def needs(self, service: str, condition: str = STARTED) -> None:
        """Note that *service* comes first; a condition that was asked for already stays."""
        self.depends_on.setdefault(service, condition)

    @property
    def arguments(self) -> list[str]:
        """The words behind the image on the command line of ``run``."""
        if self.entrypoint is None:
            return self.command or []
        return [*self.entrypoint, *(self.command or [])][1:]
