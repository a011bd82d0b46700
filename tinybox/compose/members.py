"""Find the containers of a project by docker compose's labels (no other list is kept), and lock a project."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager, suppress

from tinybox.container.views import listing
from tinybox.errors import NoSuchError, StateError, UsageError
from tinybox.linux.filesystem.locks import lock_file
from tinybox.text_values import is_whole

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
VOLUME, NETWORK, ONE_OFF = f"{PREFIX}volume", f"{PREFIX}network", f"{PREFIX}oneoff"
FILES = f"{PREFIX}project.config_files"


def labels(project: Project, service: Service, digest: str, number: int = 1, *, one_off: bool = False) -> list[str]:
    """Return the labels of a container of *service*; *digest* is the hash of everything that it is made from.

    *one_off* marks a container of `compose run`.
    """
    known = {
        PROJECT: project.name,
        SERVICE: service.name,
        NUMBER: str(number),
        HASH: digest,
        ONE_OFF: str(one_off),
        FILES: ",".join(project.files),
        f"{PREFIX}project.working_dir": project.folder,
    }
    return [f"{key}={value}" for key, value in known.items()]


def digest(service: Service, image: str, networks: list[str]) -> str:
    """Return a hash of everything that a container is made from; if it changes, the container must be recreated."""
    joins = [vars(join) for join in service.joins]
    files = [file.told() for file in service.files]
    whole = [image, service.container, service.arguments, service.options, joins, networks, service.links, files]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def container_name(project: Project, service: Service, number: int) -> str:
    """Return the name of the container *number* of *service*; UsageError: a fixed container_name is for one only."""
    if service.container == f"{project.name}-{service.name}-1":
        return f"{project.name}-{service.name}-{number}"
    if number > 1:
        cause = f"has the fixed name {service.container}, so it cannot have several containers"
        raise UsageError(f"service {service.name} ({service.place})", cause, "remove container_name")
    return service.container


def of(paths: Paths, project: str, services: Iterable[str] = (), *, one_off: bool = False) -> list[Listed]:
    """Return the containers of *project*, those of the *services* or all, at rest or not, by service and number.

    With *one_off* those of `compose run` are among them, too.
    """
    chosen = set(services)

    def is_member(listed: Listed) -> bool:
        found = listed.labels
        if found.get(PROJECT) != project or (chosen and found.get(SERVICE) not in chosen):
            return False
        return one_off or not is_one_off(listed)

    found = listing.containers(paths, at_rest=True, is_wanted=is_member)
    return sorted(found, key=lambda listed: (service_of(listed), is_one_off(listed), number_of(listed)))


def again(paths: Paths, containers: Iterable[Listed]) -> list[Listed]:
    """Return *containers* as they are now, without those that another command has removed since they were listed."""
    found = []
    for listed in containers:
        with suppress(NoSuchError):
            found.append(listing.find(paths, listed.id))
    return found


def named(paths: Paths, project: Project, services: Collection[str], *, one_off: bool = False) -> list[Listed]:
    """Return the containers that `of` returns; UsageError if a service is not in the file and has no container."""
    found = of(paths, project.name, services, one_off=one_off)
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
    if is_one_off(listed):
        return listed.name.removeprefix(f"{listed.labels.get(PROJECT, '')}-")
    return f"{service_of(listed)}-{number_of(listed)}"


def number_of(listed: Listed) -> int:
    """Return the number of a container among those of its service, from 1 on."""
    number = listed.labels.get(NUMBER, "")
    return int(number) if is_whole(number) else 1


def is_one_off(listed: Listed) -> bool:
    """Return whether `compose run` has made a container."""
    return listed.labels.get(ONE_OFF) == "True"


def one(paths: Paths, project: str, service: str, index: int = 0) -> Listed:
    """Return the container *index* of *service*, or its first one; StateError if there is none."""
    found = of(paths, project, [service])
    if not found:
        raise StateError(f"service {service}", f"has no container in project {project}", "tinybox compose up -d")
    chosen = [listed for listed in found if index in (0, number_of(listed))]
    if not chosen:
        numbers = ", ".join(str(number_of(listed)) for listed in found)
        raise StateError(f"service {service}", f"has no container {index} in project {project}", f"--index {numbers}")
    return chosen[0]


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
