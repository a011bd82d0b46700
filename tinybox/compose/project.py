"""A compose project: find and load its files, and choose its name; its services, volumes and networks."""

from __future__ import annotations

import os
import re

from tinybox.compose import order
from tinybox.compose.reading import declared, document, dotenv, service_reader
from tinybox.compose.reading.loading import Loading
from tinybox.compose.reading.service import ServiceContext
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tinybox.compose.reading.declared import Resource
    from tinybox.compose.reading.document import Field
    from tinybox.compose.reading.service import Service

FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDES = ("compose.override.yaml", "compose.override.yml", "docker-compose.override.yaml",
             "docker-compose.override.yml")  # fmt: skip
TOP = ("name", "version", "services", "volumes", "networks", "secrets", "configs", "models")
NAME = "COMPOSE_PROJECT_NAME"
_ALLOWED = re.compile(r"[a-z0-9][a-z0-9_-]*")


class NoFileError(UsageError):
    """There is no compose file in the current folder or in any folder above it."""


class Project:
    """A project: its *name*, *folder*, *files*, and the services, volumes and networks by their keys in the file.

    *notes* are warnings about the file, for the user.
    """

    def __init__(self, name: str, folder: str, files: Sequence[str], tree: Field, variables: Mapping[str, str]) -> None:
        self.name, self.folder, self.files, self.tree = name, folder, files, tree
        top = tree.mapping(TOP)
        if "services" not in top:
            raise tree.wrong("has no services", "add services:")
        if "models" in top:
            raise top["models"].wrong("tinybox runs no language models", "leave it out, or give the service an address")
        self.volumes = declared.read(name, "volumes", top.get("volumes"))
        self.networks = declared.read(name, "networks", top.get("networks"))
        if "default" not in self.networks:
            self.networks["default"] = declared.Resource("default", f"{name}_default", tree, {})
        self.notes: list[str] = []
        if "version" in top:
            self.notes.append(f"{top['version'].place}: version: is obsolete, and ignored; leave it out")
        self.profiles = {word for word in variables.get("COMPOSE_PROFILES", "").split(",") if word}
        context = ServiceContext(name, folder, variables)
        context.volumes = {key: volume.name for key, volume in self.volumes.items()}
        context.networks = {key: network.name for key, network in self.networks.items()}
        context.granted = {kind: declared.read(name, kind, top.get(kind)) for kind in context.granted}
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


def load(files: Sequence[str], name: str, env_files: Sequence[str] = (), folder: str = "") -> Project:
    """Load the project of *files*; if none are given, COMPOSE_FILE names them, or they are searched from here upwards.

    *name* goes before COMPOSE_PROJECT_NAME, the file's `name:` and the name of the folder.
    """
    chosen = files or _named(environment(folder or os.getcwd(), env_files)) or _found(os.getcwd())
    paths = [path if path == document.STDIN else os.path.abspath(path) for path in chosen]
    folder = os.path.abspath(folder or os.path.dirname(paths[0]))
    variables = environment(folder, env_files)
    loading, tree = _tree(paths, folder, variables)
    entry = tree.mapping().get("name")
    name = name or variables.get(NAME) or (entry.text() if entry else "")
    name = checked(name) if name else normal(folder)
    if NAME in loading.unset:  # the file has ${COMPOSE_PROJECT_NAME}, and docker compose sets that
        variables[NAME] = name
        loading, tree = _tree(paths, folder, variables)
    project = Project(name, folder, paths, tree, variables)
    project.notes[:0] = [f'the "{each}" variable is not set, and becomes nothing' for each in loading.unset]
    return project


def _tree(paths: Sequence[str], folder: str, variables: Mapping[str, str]) -> tuple[Loading, Field]:
    loading = Loading(folder)
    return loading, loading.tree(paths, folder, variables)


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
