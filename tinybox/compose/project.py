"""A compose project: find and load its files, and choose its name; its services, volumes and networks."""

from __future__ import annotations

import os
import re

from tinybox.compose import order
from tinybox.compose.reading import build_key, declared, document, dotenv, service_reader
from tinybox.compose.reading.interpolation import AsWritten
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
        self.variables, self.all_resources = variables, False
        self.profiles = {word for word in variables.get("COMPOSE_PROFILES", "").split(",") if word}
        context = ServiceContext(name, folder, variables)
        context.volumes = {key: volume.name for key, volume in self.volumes.items()}
        context.networks = {key: network.name for key, network in self.networks.items()}
        context.granted = {kind: declared.read(name, kind, top.get(kind)) for kind in context.granted}
        context.services = top["services"].mapping()
        self.services = {key: service_reader.read(key, field, context) for key, field in context.services.items()}
        build_key.link(self.services)
        order.ordered(self.services, self.services)  # a circle is an error of the file, whatever the command

    def chosen(self, names: Iterable[str], profiles: Iterable[str], *, alone: bool = False) -> list[Service]:
        """Return the services *names*, or all that *profiles* enable, with those they depend on, in order.

        Without *profiles*, the variable COMPOSE_PROFILES names them. With *alone*, the services *names* without others.
        """
        active = set(profiles) or self.profiles
        on = [name for name, each in self.services.items()
              if not each.profiles or active & {*each.profiles} or "*" in active]  # fmt: skip
        wanted = list(names)
        found = order.ordered(self.services, wanted or on)
        return [service for service in found if service.name in wanted] if alone and wanted else found

    def used_networks(self, services: Iterable[Service]) -> list[Resource]:
        """Return the networks that *services* are in, or all networks of the file with --all-resources."""
        names = dict.fromkeys(join.network for each in services for join in each.joins)
        if self.all_resources:
            names |= dict.fromkeys(key for key in self.networks if key != "default")
        return [self.networks[name] for name in names]


def load(files: Sequence[str], name: str, env_files: Sequence[str] = (), folder: str = "") -> Project:
    """Load the project of *files*; if none are given, COMPOSE_FILE names them, or they are searched from here upwards.

    *name* goes before COMPOSE_PROJECT_NAME, the file's `name:` and the name of the folder.
    """
    paths, folder, env_files = places(files, env_files, folder)
    variables = environment(folder, env_files)
    tree, unset = _tree(paths, folder, variables)
    name = _name(name, folder, tree, variables)
    if NAME in unset:  # the file has ${COMPOSE_PROJECT_NAME}, and docker compose sets that
        variables[NAME] = name
        tree, unset = _tree(paths, folder, variables)
    project = Project(name, folder, paths, tree, variables)
    project.notes[:0] = [f'the "{each}" variable is not set, and becomes nothing' for each in unset]
    return project


def written(
    files: Sequence[str], name: str, env_files: Sequence[str] = (), folder: str = "", *, fill: bool = False
) -> tuple[str, Field, list[str]]:
    """Return the name, the merged tree and all texts of a project's files, whose variables are not filled in.

    With *fill* they are, and there are no texts. The services are not read: `up` may be unable to do what they say.
    """
    paths, folder, env_files = places(files, env_files, folder)
    variables = environment(folder, env_files)
    shown = variables if fill else AsWritten(variables)
    tree, _ = _tree(paths, folder, shown)
    return _name(name, folder, tree, variables), tree, getattr(shown, "texts", [])


def places(
    files: Sequence[str], env_files: Sequence[str] = (), folder: str = ""
) -> tuple[list[str], str, Sequence[str]]:
    """Return the paths of a project's files, its folder, and the files of variables that were named."""
    env_files = env_files or [path for path in os.environ.get("COMPOSE_ENV_FILES", "").split(",") if path]
    chosen = files or _named(environment(folder or os.getcwd(), env_files)) or _found(os.getcwd())
    paths = [path if path == document.STDIN else os.path.abspath(path) for path in chosen]
    return paths, os.path.abspath(folder or os.path.dirname(paths[0])), env_files


def _tree(paths: Sequence[str], folder: str, variables: Mapping[str, str]) -> tuple[Field, dict[str, None]]:
    """Return the merged tree of the files, and the names of its variables that are not set."""
    loading = Loading(folder)
    return loading.tree(paths, folder, variables), loading.unset


def _name(name: str, folder: str, tree: Field, variables: Mapping[str, str]) -> str:
    """Return the project's name: *name*, COMPOSE_PROJECT_NAME, the file's `name:`, or the name of the folder."""
    entry = tree.mapping().get("name")
    name = name or variables.get(NAME) or (entry.text() if entry else "")
    return checked(name) if name else normal(folder)


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
    between = variables.get("COMPOSE_PATH_SEPARATOR") or ":"
    return [path for path in variables.get("COMPOSE_FILE", "").split(between) if path]


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
