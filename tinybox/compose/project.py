"""A compose project: find and load its files, and choose its name; its services, volumes and networks."""

from __future__ import annotations

import os
import re

from tinybox.compose import order
from tinybox.compose.reading import document, dotenv, overriding, service_reader
from tinybox.compose.reading.service import ServiceContext
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import Service

FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDES = ("compose.override.yaml", "compose.override.yml", "docker-compose.override.yaml",
             "docker-compose.override.yml")  # fmt: skip
TOP = ("name", "version", "services", "volumes", "networks")
_ALLOWED = re.compile(r"[a-z0-9][a-z0-9_-]*")


class NoFileError(UsageError):
    """There is no compose file in the current folder or in any folder above it."""


class Resource:
    """A volume or a network of the project: its *key* and *entries* in the file, and its *name* in the store."""

    def __init__(self, key: str, name: str, field: Field, entries: dict[str, Field]) -> None:
        self.key, self.name, self.field, self.entries = key, name, field, entries
        self.external = "external" in entries and entries["external"].flag()

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the volume or network in the file."""
        pairs = self.entries["labels"].pairs() if "labels" in self.entries else {}
        return {key: value or "" for key, value in pairs.items()}

    def flag(self, key: str) -> bool:
        """Return whether the entry *key* is in the file and is true."""
        return key in self.entries and self.entries[key].flag()


class Project:
    """A project: its *name*, *folder*, *files*, and the services, volumes and networks by their keys in the file."""

    def __init__(self, name: str, folder: str, files: Sequence[str], tree: Field, variables: Mapping[str, str]) -> None:
        self.name, self.folder, self.files, self.tree = name, folder, files, tree
        top = tree.mapping(TOP)
        if "services" not in top:
            raise tree.wrong("has no services", "add services:")
        self.volumes = resources(name, top.get("volumes"), ("name", "external", "labels", "driver"))
        keys = ("name", "external", "labels", "driver", "internal", "ipam", "driver_opts", "attachable", "enable_ipv6")
        self.networks = resources(name, top.get("networks"), keys)
        if "default" not in self.networks:
            self.networks["default"] = Resource("default", f"{name}_default", tree, {})
        self.profiles = {word for word in variables.get("COMPOSE_PROFILES", "").split(",") if word}
        context = ServiceContext(name, folder, variables)
        context.volumes = {key: volume.name for key, volume in self.volumes.items()}
        context.networks = {key: network.name for key, network in self.networks.items()}
        context.services = top["services"].mapping()
        self.services = {key: service_reader.read(key, field, context) for key, field in context.services.items()}
        order.ordered(self.services, self.services)  # a circle is an error of the file, whatever the command

    def chosen(self, names: Iterable[str], profiles: Iterable[str]) -> list[Service]:
        """Return the services *names*, or all that *profiles* enable, with those they depend on, in order.

        Without *profiles*, the variable COMPOSE_PROFILES names them.
        """
        active = set(profiles) or self.profiles
        on = [name for name, each in self.services.items()
              if not each.profiles or active & {*each.profiles} or "*" in active]  # fmt: skip
        return order.ordered(self.services, list(names) or on)

    def used_networks(self, services: Iterable[Service]) -> list[Resource]:
        """Return the networks that *services* are in."""
        names = dict.fromkeys(join.network for each in services for join in each.joins)
        return [self.networks[name] for name in names]


def resources(project: str, field: Field | None, known: Sequence[str]) -> dict[str, Resource]:
    """Return the volumes or networks of the file; their default name is PROJECT_KEY, for an external one KEY."""
    found = {}
    for key, entry in (field.mapping() if field else {}).items():
        parts = entry.mapping(known)
        external = "external" in parts and parts["external"].flag()
        name = parts["name"].text() if "name" in parts else key if external else f"{project}_{key}"
        if "driver" in parts and parts["driver"].text() not in ("local", "bridge", "default"):
            raise parts["driver"].wrong(f"tinybox has no driver {parts['driver'].text()}", "leave it out")
        found[key] = Resource(key, name, entry, parts)
    return found


def load(files: Sequence[str], name: str, env_files: Sequence[str] = (), folder: str = "") -> Project:
    """Load the project of *files*; if none are given, COMPOSE_FILE names them, or they are searched from here upwards.

    *name* goes before COMPOSE_PROJECT_NAME, the file's `name:` and the name of the folder.
    """
    chosen = files or _named(environment(folder or os.getcwd(), env_files)) or _found(os.getcwd())
    paths = [path if path == document.STDIN else os.path.abspath(path) for path in chosen]
    folder = os.path.abspath(folder or os.path.dirname(paths[0]))
    variables = environment(folder, env_files)
    tree = document.read(paths[0], variables)
    for path in paths[1:]:
        tree = overriding.merged(tree, document.read(path, variables))
    tree = overriding.settled(tree)
    entry = tree.mapping().get("name")
    name = name or variables.get("COMPOSE_PROJECT_NAME") or (entry.text() if entry else "")
    return Project(checked(name) if name else normal(folder), folder, paths, tree, variables)


def bare(name: str) -> Project:
    """Return the project *name* without a file; its containers, networks and volumes are found by its label."""
    nothing = document.Field({}, "services", "")
    return Project(checked(name), os.getcwd(), [], document.Field({"services": nothing}, "", ""), {})


def environment(folder: str, env_files: Sequence[str]) -> dict[str, str]:
    """Return the variables of .env, or of *env_files*; the environment of this process overrides them."""
    usual = os.path.join(folder, ".env")
    found: dict[str, str | None] = {}
    for path in env_files or ([usual] if os.path.isfile(usual) else []):
        found |= dotenv.read(path, os.environ)
    return {key: value for key, value in found.items() if value is not None} | dict(os.environ)


def checked(name: str) -> str:
    """Return *name* if the specification allows it as a project's name; else UsageError."""
    if not _ALLOWED.fullmatch(name):
        raise UsageError(
            f"project name {name!r}", "is not allowed", "a-z, 0-9, _ and -, beginning with a letter or digit"
        )
    return name


def normal(folder: str) -> str:
    """Return the default name of a project: its folder's name in lower case, without forbidden characters."""
    name = re.sub(r"[^a-z0-9_-]", "", os.path.basename(folder).lower()).lstrip("_-")
    if not name:
        raise UsageError(f"project in {folder}", "the folder's name has none of a-z and 0-9", "-p NAME")
    return name


def _named(variables: Mapping[str, str]) -> list[str]:
    return [path for path in variables.get("COMPOSE_FILE", "").split(":") if path]


def _found(folder: str) -> list[str]:
    """Return the compose file of the nearest folder that has one, from *folder* upwards, and its override file."""
    start = folder
    while True:
        here = [os.path.join(folder, name) for name in FILES if os.path.isfile(os.path.join(folder, name))]
        if here:
            over = [os.path.join(folder, name) for name in OVERRIDES]
            return here[:1] + [path for path in over if os.path.isfile(path)][:1]
        if folder == os.path.dirname(folder):
            raise NoFileError(f"compose in {start}", "there is no compose.yaml here or above", "-f FILE")
        folder = os.path.dirname(folder)
