"""Image references: parse ``[host[:port]/]name[:tag][@digest]`` with docker's grammar, and recognise image ids.

A reference has the same meaning as for docker: ``alpine`` is ``docker.io/library/alpine:latest``, and is shown in its
short form. With a digest, the tag has no effect. No file is read.
"""

from __future__ import annotations

from tinybox.errors import UsageError

DEFAULT_TAG = "latest"
TAG_MAX = 128
ID_LENGTH = 64  # hex digits of a sha256
NAME_MAX = 255  # Docker's limit for a name; here for "name:tag", which is one file name in the store
DOCKER = "docker.io"  # the registry of a name without a host
OFFICIAL = "library"  # the repository's first part on docker.io, if a name has only one part
SHA256 = "sha256:"

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_WORD = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_HOST = _WORD - {"_"} | {"-"}
_HEX = frozenset("0123456789abcdef")
_HEX_CAPITALS = frozenset("ABCDEF")


class Reference:
    """An image's *name* with its *tag* or its *digest* (``sha256:HEX``); the other one is "". `parse` checks them."""

    __slots__ = ("digest", "name", "tag")

    def __init__(self, name: str, tag: str, digest: str = "") -> None:
        self.name, self.tag, self.digest = name, tag, digest

    @property
    def host(self) -> str:
        """Return the registry's host with its port, such as ``docker.io`` or ``localhost:5000``."""
        return _host_and_path(self.name)[0] or DOCKER

    @property
    def repository(self) -> str:
        """Return the name of the repository in its registry: ``library/alpine`` for ``alpine``."""
        host, path = _host_and_path(self.name)
        return path if host or "/" in path else f"{OFFICIAL}/{path}"

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"

    def __repr__(self) -> str:
        return f"Reference({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def parse(text: str) -> Reference:
    """Parse *text* as ``[host[:port]/]path[:tag][@digest]``; see docker-tag(1). Without a tag, the tag is ``latest``.

    UsageError: *text* does not follow the grammar; the error has the reason and a cure.
    """
    rest, at, digest = text.partition("@")
    name, tag = _split(rest)
    if at and not is_digest(digest):
        raise _refusal(text, f"'{digest}' is not a digest", "write NAME@sha256: and 64 hex digits")
    host, path = _host_and_path(name)
    if is_id(name):
        raise _refusal(text, "a name cannot look like an image id", "choose another name")
    if host and not _is_host(host):
        raise _refusal(text, f"'{host}' is not a host", "write host/name or host:port/name")
    _check_path(text, path)
    if not is_tag(tag):
        raise _refusal(text, f"'{tag}' is not a tag", "1 to 128 of A-Z a-z 0-9 _ . - and no . or - in front")
    found = Reference(_short(host, path), "" if at else tag, digest)
    if len(str(found)) > NAME_MAX:
        raise _refusal(text[:32] + "...", f"it is longer than {NAME_MAX} characters", "choose a shorter one")
    return found


def is_digest(text: str) -> bool:
    """Return whether *text* is a digest with the algorithm that tinybox and all registries know: ``sha256:HEX``."""
    return text.startswith(SHA256) and is_id(text.removeprefix(SHA256))


def is_id(text: str) -> bool:
    """Return whether *text* is a full image id, the sha256 of its config in hex."""
    return len(text) == ID_LENGTH and _HEX.issuperset(text)


def _split(text: str) -> tuple[str, str]:
    """Split *text* into name and tag; a colon before the last slash belongs to a host's port."""
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, DEFAULT_TAG
    return name, tag


def _host_and_path(name: str) -> tuple[str, str]:
    """Split *name* into host and path: the first part is a host if it has a dot, a colon or a capital letter."""
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        return first, rest
    return "", name


def _short(host: str, path: str) -> str:
    """Return the name without the parts that docker does not show: docker.io, and library/ on it."""
    if host not in {"", DOCKER, f"index.{DOCKER}"}:
        return f"{host}/{path}"
    return path.removeprefix(f"{OFFICIAL}/") if path.count("/") == 1 else path


def _is_host(host: str) -> bool:
    name, colon, port = host.rpartition(":") if host.count(":") == 1 or "]:" in host else (host, "", "")
    if colon and not (port.isascii() and port.isdigit()):
        return False
    if name.startswith("[") and name.endswith("]"):  # an address of IPv6
        return ":" in name and (_HEX | _HEX_CAPITALS | {":"}).issuperset(name[1:-1])
    return all(
        part and _HOST.issuperset(part) and not part.startswith("-") and not part.endswith("-")
        for part in name.split(".")
    )


def _check_path(text: str, path: str) -> None:
    """Raise UsageError unless *path* consists of lower-case parts between slashes."""
    if path != path.lower():
        raise _refusal(text, "an image's name is written in lower case", f"try {path.lower()}")
    if not all(_is_component(part) for part in path.split("/")):
        cure = "a name is a-z 0-9 with single . _ or - between, parts joined by /"
        raise _refusal(text, "this is not an image's name", cure)


def _is_component(part: str) -> bool:
    """Return whether *part* is letters and digits, joined by one ``.``, one or two ``_``, or any number of ``-``."""
    separator = ""
    for index, letter in enumerate(part):
        if letter in _LOWER:
            separator = ""
        else:
            separator += letter
            if index == 0 or not (separator in {".", "_", "__"} or separator == "-" * len(separator)):
                return False
    return bool(part) and not separator


def is_tag(tag: str) -> bool:
    """Return whether *tag* is a tag by the grammar of docker-tag(1)."""
    return 0 < len(tag) <= TAG_MAX and tag[0] in _WORD and (_WORD | {".", "-"}).issuperset(tag)


def _refusal(text: str, cause: str, cure: str) -> UsageError:
    return UsageError(f"image {text!r}", cause, cure)
