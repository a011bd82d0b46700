"""Image references: parse ``[host[:port]/]name[:tag]`` with docker's grammar, and recognise image ids.

A reference has the same meaning as for docker. No file is read.
"""

from __future__ import annotations

from tinybox.errors import UsageError

DEFAULT_TAG = "latest"
TAG_MAX = 128
ID_LENGTH = 64  # hex digits of a sha256
NAME_MAX = 255  # Docker's limit for a name; here for "name:tag", which is one file name in the store

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_WORD = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_HOST = _WORD - {"_"} | {"-"}
_HEX = frozenset("0123456789abcdef")


class Reference:
    """An image's *name* and *tag*, both checked by `parse`."""

    __slots__ = ("name", "tag")

    def __init__(self, name: str, tag: str) -> None:
        self.name, self.tag = name, tag

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}"

    def __repr__(self) -> str:
        return f"Reference({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def parse(text: str) -> Reference:
    """Parse *text* as ``[host[:port]/]path[:tag]``; see docker-tag(1). Without a tag, the tag is ``latest``.

    UsageError: *text* does not follow the grammar; the error has the reason and a cure.
    """
    name, tag = _split(text)
    if "@" in text:
        raise _refusal(text, "an image cannot be named by a digest here", "use a tag, or an image id")
    if len(name) + 1 + len(tag) > NAME_MAX:
        raise _refusal(text[:32] + "...", f"it is longer than {NAME_MAX} characters", "choose a shorter one")
    if is_id(name):
        raise _refusal(text, "a name cannot look like an image id", "choose another name")
    host, path = _host_and_path(name)
    if host and not _is_host(host):
        raise _refusal(text, f"'{host}' is not a host", "write host/name or host:port/name")
    _check_path(text, path)
    if not _is_tag(tag):
        raise _refusal(text, f"'{tag}' is not a tag", "1 to 128 of A-Z a-z 0-9 _ . - and no . or - in front")
    return Reference(name, tag)


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


def _is_host(host: str) -> bool:
    name, colon, port = host.partition(":")
    if colon and not (port.isascii() and port.isdigit()):
        return False
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


def _is_tag(tag: str) -> bool:
    return 0 < len(tag) <= TAG_MAX and tag[0] in _WORD and (_WORD | {".", "-"}).issuperset(tag)


def _refusal(text: str, cause: str, cure: str) -> UsageError:
    return UsageError(f"image {text!r}", cause, cure)
