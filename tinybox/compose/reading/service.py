"""One service of a compose file, translated into options and a command of ``tinybox run``, and its dependencies."""

from __future__ import annotations

import hashlib

from tinybox.compose.reading.relative_paths import joined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tinybox.compose.reading.declared import Resource
    from tinybox.compose.reading.document import Field

STARTED, HEALTHY, COMPLETED = "service_started", "service_healthy", "service_completed_successfully"
CONDITIONS = (STARTED, HEALTHY, COMPLETED)


class ServiceContext:
    """The project to which the values of a service refer: its *name*, *folder*, *variables*, volumes and networks.

    *volumes* and *networks* map the keys in the file to the names in the store; *granted* has its secrets and configs.
    """

    def __init__(self, name: str, folder: str, variables: Mapping[str, str]) -> None:
        self.name, self.folder, self.variables = name, folder, variables
        self.volumes: dict[str, str] = {}
        self.networks: dict[str, str] = {}
        self.granted: dict[str, dict[str, Resource]] = {"secrets": {}, "configs": {}}
        self.services: dict[str, Field] = {}

    def path(self, path: str) -> str:
        """Return a path of the file as an absolute path; a relative one begins in the project's folder."""
        return joined(self.folder, path)

    def settings(self, pairs: Mapping[str, str | None]) -> list[str]:
        """Return ``NAME=VALUE`` lines; a name without a value takes the project's variable, or is left out."""
        values = {name: self.variables.get(name) if value is None else value for name, value in pairs.items()}
        return [f"{name}={value}" for name, value in values.items() if value is not None]

    def container(self, service: str) -> str:
        """Return the name of the container of *service*: its container_name, or PROJECT-SERVICE-1."""
        own = self.services[service].mapping().get("container_name")
        return own.text() if own else f"{self.name}-{service}-1"


class Join:
    """The connection of a service to one *network*: its *aliases*, and its addresses if the file gives them.

    *priority*: the network with the highest one comes first. *more* are further fields of --network, key and value.
    """

    def __init__(self, network: str, aliases: list[str], address: str = "", address6: str = "", mac: str = "") -> None:
        self.network, self.aliases = network, aliases
        self.address, self.address6, self.mac = address, address6, mac
        self.priority = 0
        self.more: list[tuple[str, str]] = []

    def value(self, network: str, service: Service, *, aliases: bool = True) -> str:
        """Return the value of --network: *network* is its name in the store, and the service's name is an alias.

        Without *aliases* it has no names.
        """
        names = [("alias", alias) for alias in dict.fromkeys([service.name, *self.aliases])] if aliases else []
        places = [("ip", self.address), ("ip6", self.address6), ("mac-address", self.mac)]
        links = [("link", f"{container}:{name}") for container, name in service.links]
        fields = [("name", network), *names, *places, *self.more, *links]
        return ",".join(f"{key}={value}" for key, value in fields if value)


class Build:
    """How an image is built: the directory *context*, the *file* or its content *inline*, the options of `build`."""

    def __init__(self, context: str) -> None:
        self.context = context
        self.file = self.inline = self.target = self.network = self.platform = self.shm_size = ""
        self.arguments: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.tags: list[str] = []
        self.no_cache = self.pull = False
        self.secrets: dict[str, str | bytes] = {}  # by id: the path of a file, or the content
        self.hosts: list[str] = []  # NAME:ADDRESS
        self.ulimits: list[str] = []
        self.contexts: dict[str, str] = {}  # named contexts: a directory, docker-image://NAME or service:NAME
        self.bases: list[Service] = []  # the services of these; `build_key.link` finds them
        self.notes: list[str] = []  # messages for the user

    @property
    def for_run(self) -> dict[str, Any]:
        """The options for the container of each RUN, as `build` and `run` name them."""
        return {"add_host": self.hosts, "shm_size": self.shm_size, "ulimit": self.ulimits}


class Hook:
    """A program that `up` or `stop` runs in a container, after its start or before its end: its *options* of `exec`."""

    def __init__(self, command: list[str], options: dict[str, Any]) -> None:
        self.command, self.options = command, options


class GrantedFile:
    """A secret or config that is no file of the host: its *content*, and its *target*, owner and mode in the box."""

    def __init__(self, target: str, content: bytes, owner: tuple[int, int], mode: int) -> None:
        self.target, self.content, self.owner, self.mode = target, content, owner, mode

    def told(self) -> list[Any]:
        """Return what the hash of a container has of it; the content itself is not written down anywhere."""
        return [self.target, hashlib.sha256(self.content).hexdigest(), self.owner, self.mode]


class Watch:
    """One rule of `develop.watch`: a change below *path* causes the *action*, for example ``sync`` to *target*."""

    def __init__(self, path: str, action: str, target: str, *, ignore: list[str], include: list[str]) -> None:
        self.path, self.action, self.target, self.ignore, self.include = path, action, target, ignore, include
        self.hook: Hook | None = None  # of ``sync+exec``


class Service:
    """One service: its image, command and options as ``run`` takes them, and the services that must come up first."""

    def __init__(self, name: str, place: str) -> None:
        self.name, self.place = name, place
        self.image = ""
        self.build: Build | None = None  # how its image is made, if a Containerfile makes it
        self.container = ""  # the name of its container
        self.command: list[str] | None = None
        self.entrypoint: list[str] | None = None
        self.options: dict[str, Any] = {}  # as container/config/options.py names them
        self.depends_on: dict[str, str] = {}  # service to condition
        self.optional: set[str] = set()  # those of depends_on that may be missing
        self.follows: set[str] = set()  # those of depends_on whose restart restarts this one
        self.joins: list[Join] = []
        self.folders: list[str] = []  # directories of the host that are made if they are missing
        self.profiles: list[str] = []
        self.pull = "missing"  # when the image is made: also "always", "never", "refresh" or "build"
        self.scale = 1  # how many containers it has
        self.attach = True  # `up` shows its output
        self.refresh = 0  # seconds after which `pull` "refresh" asks the registry again
        self.files: list[GrantedFile] = []
        self.links: list[tuple[str, str]] = []  # containers or services, and their names for this one
        self.post_start: list[Hook] = []
        self.pre_stop: list[Hook] = []
        self.watch: list[Watch] = []
        self.notes: list[str] = []  # messages for the user

    def add(self, option: str, *values: str) -> None:
        """Add *values* to an option that may be given several times."""
        self.options.setdefault(option, []).extend(values)

    def needs(self, service: str, condition: str = STARTED) -> None:
        """Note that *service* must come up first; a condition that was noted before stays."""
        self.depends_on.setdefault(service, condition)

    @property
    def arguments(self) -> list[str]:
        """The arguments after the image on the command line of ``run``."""
        if self.entrypoint is None:
            return self.command or []
        return [*self.entrypoint, *(self.command or [])][1:]
