"""The flags of RUN: --mount=type=bind|cache|tmpfs|secret, --network and --security; and the words that it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tinybox.build import variables
from tinybox.container.config.option_values import size
from tinybox.errors import UsageError
from tinybox.text_values import is_whole, truth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinybox.build.containerfile import Heredoc, Instruction
    from tinybox.build.state import State

SCRIPTS = "/dev/pipes"  # BuildKit's place for a heredoc that begins with #!
NETWORKS = ("default", "none", "host")
_COMMON = frozenset({"type", "target", "dst", "destination", "readonly", "ro", "rw", "readwrite"})
_KEYS = {
    "bind": _COMMON | {"from", "source", "src"},
    "cache": _COMMON | {"id", "sharing", "mode", "uid", "gid"},
    "tmpfs": _COMMON | {"size"},
    "secret": _COMMON | {"id", "required", "mode", "uid", "gid", "env"},
}
_SHARING = ("shared", "private", "locked")


class Mount(NamedTuple):
    """One --mount of RUN: its *kind*, its absolute *target* ("": a secret that is only a variable), and its fields."""

    kind: str
    target: str
    is_readonly: bool
    fields: dict[str, str]

    def number(self, name: str, default: int, base: int = 10) -> int:
        """Return the field *name* as a whole number; UsageError: it is none."""
        text = self.fields.get(name, "")
        try:
            return int(text, base) if text else default
        except ValueError as error:
            raise UsageError(f"--mount {name}={text}", "is no number", "write digits") from error


class Flags(NamedTuple):
    """The flags of one RUN: its *mounts*, and its *network*, "" for that of the build."""

    mounts: list[Mount]
    network: str


def read(instruction: Instruction, values: Mapping[str, str], directory: str, escape: str) -> Flags:
    """Return the flags of a RUN; relative targets begin at *directory*. UsageError names the line and what is wrong."""
    mounts, network = [], ""
    for name, text in instruction.flags:
        value = variables.expand(text, values, escape)
        if name == "mount":
            try:
                mounts.append(_mount(value, directory))
            except UsageError as error:
                raise instruction.wrong(f"--mount={value}: {error}") from error
        elif name == "network":
            if value not in NETWORKS:
                raise instruction.wrong(f"--network={value} is unknown", f"one of {', '.join(NETWORKS)}")
            network = value if value != NETWORKS[0] else ""
        elif name == "security" and value == "sandbox":
            continue
        elif name == "security":
            raise instruction.wrong(f"--security={value} is refused", "tinybox has only the sandbox")
        else:
            raise instruction.wrong(f"unknown flag: --{name}", "RUN knows --mount, --network and --security")
    return Flags(mounts, network)


def _mount(text: str, directory: str) -> Mount:
    fields = dict(_field(part) for part in text.split(","))
    kind = fields.get("type", "bind")
    if kind not in _KEYS:
        raise UsageError("", f"type={kind} is not supported", f"one of {', '.join(_KEYS)}")
    unknown = sorted(fields.keys() - _KEYS[kind])
    if unknown:
        raise UsageError("", f"{unknown[0]} is no field of type={kind}", f"one of {', '.join(sorted(_KEYS[kind]))}")
    target = next((fields[key] for key in ("target", "dst", "destination") if fields.get(key)), "")
    if kind == "secret":
        fields["id"] = fields.get("id") or target.rpartition("/")[2]
        if not fields["id"]:
            raise UsageError("", "a secret needs an id", "id=NAME")
        if not target and "env" not in fields:
            target = f"/run/secrets/{fields['id']}"
    elif not target:
        raise UsageError("", "it has no target", "target=/DIRECTORY")
    if fields.get("sharing", _SHARING[0]) not in _SHARING:
        raise UsageError("", f"sharing={fields['sharing']} is unknown", f"one of {', '.join(_SHARING)}")
    if kind == "tmpfs" and "size" in fields:
        size("mount", fields["size"])
    is_readonly = _says(fields, "readonly", "ro") or (kind == "bind" and not _says(fields, "rw", "readwrite"))
    return Mount(kind, _absolute(target, directory) if target else "", is_readonly, fields)


def _field(part: str) -> tuple[str, str]:
    key, equals, value = part.partition("=")
    return key.strip(), value if equals else "true"


def _says(fields: dict[str, str], *names: str) -> bool:
    return any(truth(fields[name]) is True for name in names if name in fields)


def _absolute(path: str, directory: str) -> str:
    import posixpath

    return "/" + posixpath.normpath(posixpath.join(directory or "/", path)).lstrip("/")


def words(state: State, instruction: Instruction) -> tuple[list[str], Heredoc | None]:
    """Return what a RUN executes, and the heredoc that has to be a file in SCRIPTS, if it begins with ``#!``."""
    if instruction.words is not None:
        return instruction.words, None
    text, heredocs = instruction.text, instruction.heredocs
    if len(heredocs) == 1 and text.strip().lstrip("0123456789").startswith("<<") and len(text.split()) == 1:
        only = heredocs[0]
        if only.text.startswith("#!"):
            return [*state.shell, f"{SCRIPTS}/{only.name}"], only
        return [*state.shell, only.text], None
    return [*state.shell, "\n".join([text, *(f"{each.text}{each.name}" for each in heredocs)])], None


def mode(mount: Mount, default: int) -> int:
    """Return the mode of a cache or a secret, an octal number; UsageError: it is none."""
    found = mount.number("mode", default, 8)
    if not is_whole(str(found)) or found > 0o7777:
        raise UsageError(f"--mount mode={mount.fields['mode']}", "is no mode of a file", "an octal number: 0755")
    return found
