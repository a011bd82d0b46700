"""What the user asked for with -v, --mount and --tmpfs, as docker's inspect shows it; see asked.py."""

from __future__ import annotations

import os

from tinybox.container.config import option_values
from tinybox.container.config.volumes import mount_option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.config.options import Options


def mounts(options: Options) -> dict[str, Any]:
    """Return the binds, mounts and tmpfs of *options*, by docker's keys."""
    found: dict[str, Any] = {}
    if binds := [_bind(text) for text in options.get("volume") or () if ":" in text]:
        found["Binds"] = binds
    if mounts := [_mount(text) for text in options.get("mount") or ()]:
        found["Mounts"] = mounts
    if tmpfs := {place: words for place, _, words in (text.partition(":") for text in options.get("tmpfs") or ())}:
        found["Tmpfs"] = tmpfs
    return found


def _bind(text: str) -> str:
    """Return a value of -v; a relative path is made absolute, as docker's client does."""
    source, colon, rest = text.partition(":")
    return f"{os.path.abspath(source) if mount_option.is_path(source) else source}{colon}{rest}"


def _mount(text: str) -> dict[str, Any]:
    """Return a value of --mount as docker's ``Mount``."""
    fields = mount_option.fields_of(text)
    source = fields.get("source", "")
    made: dict[str, Any] = {"Type": fields["type"], "Target": fields["target"]}
    if source:
        made["Source"] = os.path.abspath(source) if fields["type"] == "bind" else source
    if fields.get("readonly"):
        made["ReadOnly"] = True
    if fields.get("consistency"):
        made["Consistency"] = fields["consistency"]
    tmpfs: dict[str, Any] = {}
    if fields.get("tmpfs-size"):
        tmpfs["SizeBytes"] = option_values.size("mount", fields["tmpfs-size"])
    if fields.get("tmpfs-mode"):
        tmpfs["Mode"] = int(fields["tmpfs-mode"], 8)
    of_kind = {"BindOptions": _bind_options(fields), "VolumeOptions": _volume_options(fields), "TmpfsOptions": tmpfs}
    return made | {key: found for key, found in of_kind.items() if found}


def _bind_options(fields: mount_option.Fields) -> dict[str, Any]:
    recursive = fields.get("bind-recursive", "")
    found = {
        "Propagation": fields.get("bind-propagation", ""),
        "NonRecursive": recursive == "disabled" or fields.get("bind-nonrecursive", False),
        "ReadOnlyNonRecursive": recursive == "writable",
        "ReadOnlyForceRecursive": recursive == "readonly",
    }
    return {key: value for key, value in found.items() if value}


def _volume_options(fields: mount_option.Fields) -> dict[str, Any]:
    found: dict[str, Any] = {
        "NoCopy": fields.get("volume-nocopy"),
        "Labels": dict(text.partition("=")[::2] for text in fields.get("volume-label", ())),
        "Subpath": fields.get("volume-subpath"),
    }
    if "volume-driver" in fields or "volume-opt" in fields:
        options = dict(text.partition("=")[::2] for text in fields.get("volume-opt", ()))
        found["DriverConfig"] = {"Name": fields.get("volume-driver") or "local", "Options": options}
    return {key: value for key, value in found.items() if value}
