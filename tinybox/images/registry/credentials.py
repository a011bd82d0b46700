"""The user's credentials for registries: read, keep and erase them, in the files of docker and podman.

    $REGISTRY_AUTH_FILE                    podman's, if it is set
    $DOCKER_CONFIG/config.json             docker's, by default ~/.docker/config.json; `login` writes here
    $XDG_RUNTIME_DIR/containers/auth.json  podman's
    ~/.config/containers/auth.json         podman's

A file has the credentials in `auths`, or names a program in `credsStore` or `credHelpers`. Such a program is called
docker-credential-NAME, and gets the host or the secret on stdin: a secret is never in an argument.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.errors import HostError, UsageError
from tinybox.images.reference import DOCKER
from tinybox.linux import quick_json
from tinybox.linux.filesystem import files

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKERS_KEY = "https://index.docker.io/v1/"  # the name of docker.io in docker's file
TOKEN_USER = "<token>"  # noqa: S105  the user name that means: the secret is an identity token
PATIENCE = 60  # seconds for a helper program
_ENTRY = {"auth": str, "username": str, "password": str, "identitytoken": str}
_FILE = {"auths": {"*": _ENTRY}, "credsStore": str, "credHelpers": {"*": str}}


class Credentials(NamedTuple):
    """A *user* with a *password*, or an identity *token* that the registry's token server accepts instead."""

    user: str
    password: str
    token: str = ""


def find(host: str, repository: str = "") -> Credentials | None:
    """Return the credentials for *host* (with its port), and *repository* there; None: there are none.

    podman's files may have credentials for a part of a registry, such as ``host/team``: the longest one counts.
    UsageError: a file is damaged. HostError: a helper program fails.
    """
    for path in _paths():
        document = _read(path)
        helper = (document.get("credHelpers") or {}).get(_key(host)) or document.get("credsStore")
        found = _of_program(helper, host) if helper else None
        found = found or _from_entries(document.get("auths") or {}, host, repository)
        if found is not None:
            return found
    return None


def keep(host: str, credentials: Credentials) -> str:
    """Keep *credentials* for *host* in docker's file, or by its helper program; return the place, "" for a helper."""
    path = _dockers_file()
    document = _read(path)
    helper = (document.get("credHelpers") or {}).get(_key(host)) or document.get("credsStore")
    if helper:
        secret = credentials.token or credentials.password
        user = TOKEN_USER if credentials.token else credentials.user
        _ask(helper, "store", json.dumps({"ServerURL": _key(host), "Username": user, "Secret": secret}))
        return ""
    packed = base64.b64encode(f"{credentials.user}:{credentials.password}".encode()).decode()
    entry = {"auth": packed} | ({"identitytoken": credentials.token} if credentials.token else {})
    document["auths"] = {**(document.get("auths") or {}), _key(host): entry}
    _write(path, document)
    return path


def erase(host: str) -> bool:
    """Remove the credentials for *host* from docker's file and its helper program; return whether there were some."""
    path = _dockers_file()
    document = _read(path)
    found = False
    helper = (document.get("credHelpers") or {}).get(_key(host)) or document.get("credsStore")
    if helper and _of_program(helper, host):
        _ask(helper, "erase", _key(host))
        found = True
    auths = document.get("auths") or {}
    for name in {name for name in auths if _host_of(name) == host}:
        del auths[name]
        found = True
    if found and document.get("auths") is not None:
        _write(path, document)
    return found


def _key(host: str) -> str:
    return DOCKERS_KEY if host == DOCKER else host


def _host_of(name: str) -> str:
    """Return the host of a key of `auths`, which may be a URL."""
    host = name.partition("://")[2] or name
    host = host.partition("/")[0]
    return DOCKER if host in {"index.docker.io", "registry-1.docker.io"} else host


def _paths() -> Iterator[str]:
    if given := os.environ.get("REGISTRY_AUTH_FILE"):
        yield given
    yield _dockers_file()
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield f"{runtime}/containers/auth.json"
    yield os.path.expanduser("~/.config/containers/auth.json")


def _dockers_file() -> str:
    return os.path.join(os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"), "config.json")


def _read(path: str) -> dict[str, Any]:
    """Return the object in the file *path*, {} if there is none; UsageError: it is damaged."""
    try:
        with open(path, "rb") as file:
            text = file.read(quick_json.MOST).decode()
        document: dict[str, Any] = quick_json.loads(text) if text.strip() else {}
        wrong = quick_json.misfit(document, _FILE)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(path, f"cannot be read: {error.strerror}", "make it readable for you") from error
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise UsageError(path, wrong, "correct the file, or move it away and log in again")
    return document


def _write(path: str, document: dict[str, Any]) -> None:
    """Replace the file *path* as a whole; only its owner may read it."""
    target = os.path.realpath(path)  # a link to the file stays a link
    try:
        os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
        files.replace(target, (json.dumps(document, indent="\t") + "\n").encode(), mode=0o600)
    except OSError as error:
        raise HostError(path, f"cannot be written: {error.strerror}", "set DOCKER_CONFIG to another folder") from error


def _from_entries(auths: dict[str, Any], host: str, repository: str) -> Credentials | None:
    names = [f"{host}/{repository}"]
    while "/" in names[-1]:
        names.append(names[-1].rpartition("/")[0])
    keys = [key for name in names for key in auths if name in (key, key.partition("://")[2].rstrip("/"))]
    keys += [key for key in auths if _host_of(key) == host and ("://" in key or "/" not in key)]
    for key in keys:
        if found := _unpacked(key, auths[key] or {}):
            return found
    return None


def _unpacked(key: str, entry: dict[str, str]) -> Credentials | None:
    """Return the credentials in an *entry* of `auths`; None: it is empty, as docker leaves it beside a helper."""
    user, password = entry.get("username") or "", entry.get("password") or ""
    if packed := entry.get("auth"):
        try:
            user, _, password = base64.b64decode(packed, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise UsageError(
                f"the credentials for {key}", "they are not base64 of USER:PASSWORD", "log in again"
            ) from error
    token = entry.get("identitytoken") or ""
    return Credentials(user, password.rstrip("\0"), token) if user or token else None


def _of_program(helper: str, host: str) -> Credentials | None:
    answer = _ask(helper, "get", _key(host), missing_is_fine=True)
    with contextlib.suppress(ValueError):
        document = quick_json.loads(answer)
        if not quick_json.misfit(document, {"Username!": str, "Secret!": str}):
            user, secret = document["Username"], document["Secret"]
            return Credentials("", "", secret) if user == TOKEN_USER else Credentials(user, secret)
    return None


def _ask(helper: str, verb: str, text: str, *, missing_is_fine: bool = False) -> str:
    """Run ``docker-credential-HELPER VERB`` with *text* on stdin, and return its stdout."""
    name = f"docker-credential-{helper}"
    if "/" in helper:
        raise UsageError(
            f"credential helper {helper!r}", "this is not the end of a program's name", "correct credsStore"
        )
    try:
        done = subprocess.run([name, verb], input=text, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(
            name, f"cannot be run: {error}", "install it, or remove it from docker's config.json"
        ) from error
    if done.returncode == 0:
        return done.stdout
    says = " ".join((done.stdout + done.stderr).split())[:200]
    if missing_is_fine and "not found" in says:
        return ""
    raise HostError(name, f"{verb} failed: {says}", "try the program by hand")
