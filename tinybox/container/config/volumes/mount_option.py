"""Parse -v, --mount and --tmpfs: docker's words for mounts become OCI mounts, or a UsageError names the option.

A bind mount, a tmpfs and an image are finished here. A volume has the type ``volume`` and its name as the source;
mounts.py looks up its directory.
"""

from __future__ import annotations

import os

from tinybox.container.config.option_values import size
from tinybox.errors import UnfitValueError, UsageError
from tinybox.text_values import truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.records.spec_types import Mount

    Fields = dict[str, Any]  # the keys of --mount under their first names; those in _SEVERAL are lists of text

_PROPAGATION = "private rprivate slave rslave shared rshared".split()
# The words after -v SRC:DST: -- at most one of each group, as in docker
_GROUPS = (("ro", "rw"), ("z", "Z"), tuple(_PROPAGATION), ("nocopy",), ("consistent", "cached", "delegated"))
_WITHOUT_EFFECT = frozenset("consistent cached delegated".split())  # docker has them for Docker Desktop on a Mac
_NAMES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_SWITCHES = ("readonly", "volume-nocopy", "bind-nonrecursive")
_SEVERAL = ("volume-opt", "volume-label")
_ONCE = (
    "type source target consistency bind-propagation bind-recursive tmpfs-size tmpfs-mode volume-driver "
    "volume-subpath image-subpath"
).split()
_NOT_DEEP = "nonrecursive"
ONLY_TOP = "only-top"  # with it, mounts.py makes only the mount itself read-only, not those below
_RECURSIVE: dict[str, list[str]] = {"enabled": [], "disabled": [_NOT_DEEP], "writable": [ONLY_TOP], "readonly": []}


def volume(text: str) -> Mount:
    """Return ``SRC:DST[:ro]`` as a mount; SRC is a path (type bind) or the name of a volume; see docker-run(1).

    A path need not exist: the start of the container makes a directory there, as docker does.
    """
    parts = text.split(":")
    source, destination, *rest = parts if len(parts) > 1 else ["", text]
    if len(rest) > 1 or not destination.startswith("/") or "" in parts:
        error = UsageError if "" in parts else UnfitValueError
        raise error(f"--volume {text}", "is not SRC:DST or SRC:DST:ro, with an absolute DST")
    options = rest[0].split(",") if rest else []
    for group in _GROUPS:
        if sum(option in group for option in options) > 1:
            raise UnfitValueError(f"--volume {text}", f"invalid mode: {rest[0]}", f"only one of {', '.join(group)}")
    if unknown := {option for option in options if not any(option in group for group in _GROUPS)}:
        raise UnfitValueError(f"--volume {text}", f"unknown option {', '.join(sorted(unknown))}", "ro or rw is usual")
    if not is_path(source) and not set(_PROPAGATION).isdisjoint(options):
        raise UnfitValueError(f"--volume {text}", "field BindOptions must not be specified", "it is for a bind mount")
    kept = [option for option in options if option not in _WITHOUT_EFFECT]
    return mount_of(f"--volume {text}", "", source, destination, kept)


def mount_of(option: str, kind: str, source: str, destination: str, options: list[str]) -> Mount:
    """Return a bind or volume mount; a volume is made when it is used."""
    if kind == "bind" or (is_path(source) and kind != "volume"):
        return _bind(os.path.abspath(source), destination, options)
    if source and not all(c.isalnum() or c in "_.-" for c in source):
        raise UnfitValueError(
            option, f"{source!r} is no name of a volume", "use a-z, 0-9 and _ . - only; a path begins with /"
        )
    return {"destination": destination, "type": "volume", "source": source, "options": options}


def _bind(source: str, destination: str, options: list[str]) -> Mount:
    bind = "bind" if _NOT_DEEP in options else "rbind"
    kept = [option for option in options if option != _NOT_DEEP]
    return {"destination": destination, "type": "bind", "source": source, "options": [bind, "rprivate", *kept]}


def is_path(source: str) -> bool:
    """Return whether the *source* of -v is a path of the host, and not the name of a volume."""
    return source.startswith(("/", "./", "../", "~")) or source in (".", "..")


def fields_of(text: str) -> Fields:
    """Return the fields of a value of --mount by docker's first name for each; UsageError for those it refuses.

    A field with a comma is written in quotes, as in CSV: ``"volume-opt=o=addr=10.0.0.1,rw"``.
    """
    option, found = f"--mount {text}", {"type": "volume"}  # type: str, Fields
    for word in _words(text):
        key, equals, value = word.partition("=")
        name = _NAMES.get(key, key)
        if not equals and name not in _SWITCHES:
            raise UsageError(
                option, f"invalid field '{word}' must be a key=value pair", "type=bind,source=/a,target=/b"
            )
        if name in _SWITCHES:
            said = truth(value) if equals else True
            if said is None:
                raise UsageError(option, f"invalid value for {key}: {value}", "true or false")
            found[name] = said
        elif name in _SEVERAL:
            found.setdefault(name, []).append(value)
        elif name in _ONCE:
            found[name] = value
        else:
            raise UsageError(option, f"unexpected key '{key}' in '{word}'", "type=, source=, target=, readonly")
    found["type"] = found["type"].lower()
    _check(option, found)
    return found


def _words(text: str) -> list[str]:
    if '"' not in text:
        return text.split(",")
    import csv

    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise UsageError(
            f"--mount {text}", str(error), 'quote a whole field: "volume-opt=o=addr=10.0.0.1,rw"'
        ) from error


def _check(option: str, found: Fields) -> None:
    """Raise UsageError for fields that do not fit together, in the words of docker's client."""
    kind = found["type"]
    if not found.get("target"):
        raise UsageError(option, "target is required", "add target=/DIR")
    if not found["target"].startswith("/"):
        raise UnfitValueError(
            option, f"invalid mount path: '{found['target']}' mount path must be absolute", "target=/DIR"
        )
    for prefix in ("volume", "bind", "tmpfs", "image"):
        if kind != prefix and any(name.startswith(f"{prefix}-") for name in found):
            raise UsageError(option, f"cannot mix '{prefix}-*' options with mount type '{kind}'", f"type={prefix}")
    if (recursive := found.get("bind-recursive", "enabled")) not in _RECURSIVE:
        raise UsageError(option, f"invalid value for bind-recursive: {recursive}", ", ".join(_RECURSIVE))
    if recursive in ("writable", "readonly") and not found.get("readonly"):
        raise UsageError(option, f"'bind-recursive={recursive}' requires 'readonly'", "add readonly")
    if recursive == "readonly" and found.get("bind-propagation") != "rprivate":
        cause = "'bind-recursive=readonly' requires 'bind-propagation=rprivate'"
        raise UsageError(option, cause, "add bind-propagation=rprivate")
    if found.get("bind-propagation", "private") not in _PROPAGATION:
        cause = f"invalid propagation mode: {found['bind-propagation']}"
        raise UnfitValueError(option, cause, f"one of {', '.join(_PROPAGATION)}")


def mount(text: str) -> Mount:
    """Return a value of docker's ``--mount``, ``type=bind,source=/a,target=/b,readonly``, as a mount."""
    fields, option = fields_of(text), f"--mount {text}"
    make = {"tmpfs": _tmpfs, "bind": _bound, "volume": _volume, "image": _image}.get(fields["type"])
    if make is None:
        raise UnfitValueError(option, f"mount type unknown: {fields['type']}", "bind, tmpfs, volume or image")
    return make(option, fields, ["ro"] if fields.get("readonly") else [])


def _tmpfs(option: str, fields: Fields, options: list[str]) -> Mount:
    if fields.get("source"):
        raise UnfitValueError(option, "field Source must not be specified", "a tmpfs is in memory: leave source= out")
    if fields.get("tmpfs-size"):
        options.append(f"size={size('mount', fields['tmpfs-size'])}")
    if mode := fields.get("tmpfs-mode", ""):
        if not set(mode) <= set("01234567"):
            raise UsageError(option, f"invalid value for tmpfs-mode: {mode}", "octal digits: 1777")
        options.append(f"mode={mode}")
    return tmpfs(":".join([fields["target"], *([",".join(options)] if options else [])]))


def _bound(option: str, fields: Fields, options: list[str]) -> Mount:
    source = fields.get("source", "")
    if not source:
        raise UnfitValueError(option, "a bind mount needs a source", "add source=/DIR")
    where = os.path.abspath(source)
    if not os.path.exists(where):
        cause = f'invalid mount config for type "bind": bind source path does not exist: {where}'
        raise UnfitValueError(option, cause, "make it first; -v makes a directory")
    options += filter(None, [fields.get("bind-propagation", "")])
    options += _RECURSIVE[fields.get("bind-recursive", "enabled")]
    options += [_NOT_DEEP] * bool(fields.get("bind-nonrecursive"))
    return mount_of(option, "bind", source, fields["target"], options)


def _volume(option: str, fields: Fields, options: list[str]) -> Mount:
    if (driver := fields.get("volume-driver") or "local") != "local":
        raise UnfitValueError(option, f'error looking up volume plugin {driver}: plugin "{driver}" not found', "local")
    options += ["nocopy"] * bool(fields.get("volume-nocopy"))
    if subpath := fields.get("volume-subpath"):
        if not fields.get("source"):
            raise UnfitValueError(option, "must not set Subpath when using anonymous volumes", "add source=NAME")
        options += ["nocopy", f"subpath={_inside(option, subpath)}"]
    return mount_of(option, "volume", fields.get("source", ""), fields["target"], options)


def _image(option: str, fields: Fields, _: list[str]) -> Mount:
    if not fields.get("source"):
        raise UnfitValueError(option, "field Source must not be empty", "source=IMAGE")
    if fields.get("image-subpath"):
        raise UnfitValueError(option, "tinybox mounts only a whole image", "leave image-subpath= out")
    return {"destination": fields["target"], "type": "image", "source": fields["source"], "options": []}


def _inside(option: str, path: str) -> str:
    """Return *path* in its normal form; UsageError if it is absolute, or leads out by ``..``."""
    normal = os.path.normpath(path)
    if normal.startswith(("/", "..")):
        raise UnfitValueError(option, "subpath must be a relative path within the volume", "without a leading / or ..")
    return normal


def tmpfs(text: str) -> Mount:
    """Return ``DST[:OPTIONS]`` as a tmpfs mount with docker's defaults; see tmpfs(5)."""
    destination, _, options = text.partition(":")
    if not destination.startswith("/"):
        raise UnfitValueError(f"--tmpfs {text}", "is not an absolute path")
    return {
        "destination": destination,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "nodev", "noexec", *(options.split(",") if options else [])],
    }
