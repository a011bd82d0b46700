"""Where a registry is: its mirrors, its scheme, and the certificates that are trusted for it.

These facts are read from the files that docker and podman users already have:

    /etc/docker/daemon.json                 registry-mirrors (for docker.io), insecure-registries
    /etc/containers/registries.conf, .d/    [[registry]] prefix, location, insecure, blocked, mirror
    /etc/docker/certs.d/HOST/               *.crt are authorities for this host; *.cert and *.key are the client's
    /etc/containers/certs.d/HOST/           the same

Plain HTTP is used only for loopback, or where one of these files or the option --tls-verify=false allows it.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.errors import ImageError, UsageError
from tinybox.images.reference import DOCKER
from tinybox.linux import quick_json

if TYPE_CHECKING:
    from collections.abc import Iterator

CERTIFICATES = ("/etc/docker/certs.d", "/etc/containers/certs.d", "~/.config/containers/certs.d")
DOCKERS_FILE = "/etc/docker/daemon.json"
PODMANS_FILE, PODMANS_FOLDER = "/etc/containers/registries.conf", "/etc/containers/registries.conf.d"
DOCKER_HUB = "registry-1.docker.io"  # the host that serves docker.io
_DAEMON = {"registry-mirrors": [str], "insecure-registries": [str]}
_MIRROR = {"location!": str, "insecure": bool}
_REGISTRY = {"prefix": str, "location": str, "insecure": bool, "blocked": bool, "mirror": [_MIRROR]}
_REGISTRIES = {"registry": [_REGISTRY]}


class Place(NamedTuple):
    """One server that has a repository: *host* with its port, the *repository*'s name there, and how to talk to it.

    *schemes* are tried in order. With *verify* its certificate must be valid; *authorities* are files with further CAs,
    *client* is a certificate and its key, or empty.
    """

    host: str
    repository: str
    schemes: tuple[str, ...]
    verify: bool
    authorities: tuple[str, ...]
    client: tuple[str, ...]
    is_mirror: bool = False

    @property
    def name(self) -> str:
        """Return the name by which users know the server: that of docker.io is not its host."""
        return DOCKER if self.host == DOCKER_HUB else self.host


def places(host: str, repository: str, *, verify: bool | None = None) -> list[Place]:
    """Return the servers for a repository, mirrors first; *verify* False is --tls-verify=false.

    UsageError: one of the files is damaged. ImageError: the files block this registry.
    """
    found = [*_dockers(host, repository), *_podmans(host, repository)]
    if not any(not place.is_mirror for place in found):
        found.append(_place(host, repository, insecure=is_insecure(host)))
    if verify is False:
        found = [place._replace(schemes=("https", "http"), verify=False) for place in found]
    return sorted(found, key=lambda place: not place.is_mirror)


def is_loopback(host: str) -> bool:
    """Return whether *host*, with or without a port, is this machine: ``localhost``, 127.0.0.0/8 or ``[::1]``."""
    name = host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_insecure(host: str) -> bool:
    """Return whether docker's list of insecure registries has *host*, by name or by network."""
    name = host.rpartition(":")[0] or host
    for entry in _read_docker().get("insecure-registries") or ():
        if entry in {host, name}:
            return True
        try:
            if ipaddress.ip_address(name.strip("[]")) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False


def _place(host: str, repository: str, *, insecure: bool, is_mirror: bool = False) -> Place:
    plain = insecure or is_loopback(host)
    folders = [os.path.join(os.path.expanduser(folder), host) for folder in CERTIFICATES]
    files = sorted(os.path.join(folder, name) for folder in folders if os.path.isdir(folder) for name in _names(folder))
    client = next(((name, key) for name in files if name.endswith(".cert") and os.path.isfile(key := _key(name))), ())
    return Place(
        DOCKER_HUB if host == DOCKER else host,
        repository,
        ("https", "http") if plain else ("https",),
        not insecure,
        tuple(name for name in files if name.endswith(".crt")),
        client,
        is_mirror,
    )


def _key(certificate: str) -> str:
    return certificate.removesuffix(".cert") + ".key"


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _dockers(host: str, repository: str) -> Iterator[Place]:
    """Yield the mirrors of docker.io in docker's file, which are URLs such as ``https://mirror.example``."""
    for url in (_read_docker().get("registry-mirrors") or ()) if host == DOCKER else ():
        scheme, _, rest = url.rpartition("://")
        name, _, path = rest.strip("/").partition("/")
        place = _place(name, f"{path}/{repository}" if path else repository, insecure=is_insecure(name), is_mirror=True)
        yield place._replace(schemes=("http",)) if scheme == "http" else place


def _podmans(host: str, repository: str) -> Iterator[Place]:
    """Yield the servers of the best fitting [[registry]] of podman's files: the one with the longest prefix."""
    name, best, length = f"{host}/{repository}", None, -1
    for entry in _read_podman():
        prefix = entry.get("prefix") or entry.get("location") or ""
        if len(prefix) > length and (name == prefix or name.startswith(f"{prefix}/")):
            best, length = entry, len(prefix)
    if best is None:
        return
    if best.get("blocked"):
        raise ImageError(f"registry {host}", "registries.conf blocks it", "remove `blocked` there")
    rest = name[length:]
    for mirror in best.get("mirror") or ():
        yield _moved(mirror["location"] + rest, insecure=mirror.get("insecure") or False, is_mirror=True)
    location = best.get("location") or name[:length]
    yield _moved(location + rest, insecure=best.get("insecure") or False)


def _moved(name: str, *, insecure: bool, is_mirror: bool = False) -> Place:
    host, _, repository = name.partition("/")
    return _place(host, repository, insecure=insecure or is_insecure(host), is_mirror=is_mirror)


def _read_docker() -> dict[str, Any]:
    return _checked(DOCKERS_FILE, lambda content: quick_json.loads(content.decode()), _DAEMON)


def _read_podman() -> list[dict[str, Any]]:
    """Return the tables [[registry]] of all files; for one prefix, the last file counts, as for podman."""
    files = [PODMANS_FILE, *(f"{PODMANS_FOLDER}/{name}" for name in sorted(_names(PODMANS_FOLDER)))]
    entries: dict[str, dict[str, Any]] = {}
    for path in files:
        if path.endswith(".conf"):
            document = _checked(path, lambda content: tomllib.loads(content.decode()), _REGISTRIES)
            for entry in document.get("registry") or ():
                entries[entry.get("prefix") or entry.get("location") or ""] = entry
    return list(entries.values())


def _checked(path: str, parse: Any, shape: Any) -> dict[str, Any]:
    """Return the document in the file *path*, or {} without the file; UsageError: it is not of *shape*."""
    try:
        with open(path, "rb") as file:
            document: dict[str, Any] = parse(file.read(quick_json.MOST))
        wrong = quick_json.misfit(document, shape)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(path, f"cannot be read: {error.strerror}", "make it readable") from error
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise UsageError(path, wrong, "correct the file")
    return document
