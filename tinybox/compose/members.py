"""Find the containers of a project by docker compose's labels (no other list is kept), and lock a project."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager

from tinybox.container.views import listing
from tinybox.errors import StateError, UsageError
from tinybox.linux.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from tinybox.compose.project import Project
    from tinybox.compose.reading.service import Service
    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed

    Say = Callable[[str], None]

PREFIX = "com.docker.compose."
PROJECT, SERVICE, NUMBER, HASH = (
    f"{PREFIX}{word}" for word in ("project", "service", "container-number", "config-hash")
)
VOLUME, NETWORK = f"{PREFIX}volume", f"{PREFIX}network"


def labels(project: Project, service: Service, digest: str) -> list[str]:
    """Return the labels of a service's container; *digest* is the hash of everything that it is made from."""
    known = {
        PROJECT: project.name,
        SERVICE: service.name,
        NUMBER: "1",
        HASH: digest,
        f"{PREFIX}oneoff": "False",
        f"{PREFIX}project.config_files": ",".join(project.files),
        f"{PREFIX}project.working_dir": project.folder,
    }
    return [f"{key}={value}" for key, value in known.items()]


def digest(service: Service, image: str, networks: list[str]) -> str:
    """Return a hash of everything that a container is made from; if it changes, the container must be recreated."""
    joins = [vars(join) for join in service.joins]
    whole = [image, service.container, service.arguments, service.options, joins, networks]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def of(paths: Paths, project: str, services: Iterable[str] = ()) -> list[Listed]:
    """Return the containers of *project*, those of the *services* or all, at rest or not, sorted by service."""
    chosen = set(services)

    def is_member(listed: Listed) -> bool:
        found = listed.labels
        return found.get(PROJECT) == project and (not chosen or found.get(SERVICE) in chosen)

    return sorted(listing.containers(paths, at_rest=True, is_wanted=is_member), key=service_of)


def named(paths: Paths, project: Project, services: Collection[str]) -> list[Listed]:
    """Return the containers that `of` returns; UsageError if a service is not in the file and has no container."""
    found = of(paths, project.name, services)
    for name in services:
        if name not in project.services and name not in map(service_of, found):
            there = {*project.services, *map(service_of, of(paths, project.name))}
            raise UsageError(f"service {name}", "no such service", f"there are {', '.join(sorted(there)) or 'none'}")
    return found


def service_of(listed: Listed) -> str:
    """Return the name of a container's service."""
    return listed.labels.get(SERVICE, "")


def short_name(listed: Listed) -> str:
    """Return a container's name within its project, as `compose logs` prints it: ``web-1``."""
    return f"{service_of(listed)}-{listed.labels.get(NUMBER, '1')}"


def one(paths: Paths, project: str, service: str) -> Listed:
    """Return the container of *service*; StateError if it has none."""
    found = of(paths, project, [service])
    if not found:
        raise StateError(f"service {service}", f"has no container in project {project}", "tinybox compose up -d")
    return found[0]


@contextmanager
def alone(paths: Paths, project: str) -> Iterator[None]:
    """Lock ROOT/locks/compose-PROJECT: no other command makes or removes anything of *project*; see flock(2).

    The descriptor is inheritable. By that a monitor process that is started here recognizes it as a descriptor of its
    caller, and closes it: otherwise the lock would be held as long as the container runs. If this process is killed,
    the kernel releases the lock.
    """
    folder = os.path.join(paths.root, "locks")
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        fd = os.open(os.path.join(folder, f"compose-{project}"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UsageError(f"project {project}", f"{error.filename}: {error.strerror}", "be root, or use sudo") from error
    try:
        os.set_inheritable(fd, True)
        lock_file(fd)
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)  # unlocks every copy of the descriptor
        os.close(fd)
