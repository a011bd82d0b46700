"""Parse --network: the networks that a container is in, or the network namespace that it shares; see docker-run(1)."""

from __future__ import annotations

import os

from tinybox.container.config import option_values
from tinybox.container.network import BRIDGE, DEFAULT, HOST, NONE
from tinybox.errors import UnfitValueError, UsageError
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.config.options import Options
    from tinybox.container.network.addresses import EndpointRequest

_KEYS = {
    "name": "name", "ip": "address", "ip6": "address6", "mac-address": "mac", "alias": "aliases",
    "link": "links",
    "link-local-ip": "link_local", "driver-opt": "driver_options", "gw-priority": "priority",
}  # fmt: skip


def mode(options: Options) -> str:
    """Return the network mode: ``none``, ``host``, ``container:NAME``, or ``bridge`` for any networks with a bridge."""
    names = [_name(word) for word in requested(options)]
    alone = [word for word in names if word in (NONE, HOST) or word.startswith("container:")]
    if alone and len(names) > 1:
        cause = "cannot attach both user-defined and non-user-defined network-modes"
        raise UnfitValueError(f"--network {alone[0]}", f"conflicting options: {cause}", "give it alone")
    return alone[0] if alone else BRIDGE


def requested(options: Options) -> list[str]:
    """Return the values of --network; without the option that of the variable TINYBOX_NETWORK, or else ``bridge``."""
    if "" in (options.get("network") or ()):
        raise UsageError("--network ''", "no name set for network", "none is a box without a network")
    return options.get("network") or [os.environ.get("TINYBOX_NETWORK") or BRIDGE]


def _name(word: str) -> str:
    return str(fields(word)["name"])


def fields(word: str) -> EndpointRequest:
    """Return one value of --network, ``NAME`` or docker's long form ``name=NAME,alias=A,ip=ADDRESS``, as a request."""
    if "=" not in word:
        return {"name": BRIDGE if word == DEFAULT else word}
    want: EndpointRequest = {"name": ""}
    for field in word.split(","):
        key, value = option_values.pair("network", field, "=", f"write {'=, '.join(_KEYS)}=")
        if key not in _KEYS:
            raise UsageError(f"--network {word}", f"invalid field key {key}", ", ".join(_KEYS))
        if key == "alias":
            want.setdefault("aliases", []).append(value)
        elif key == "link-local-ip":
            want.setdefault("link_local", []).append(value)
        elif key == "driver-opt":
            name, _, text = value.partition("=")
            want.setdefault("driver_options", {})[name] = text
        elif key == "gw-priority":
            want["priority"] = priority(f"network {word}", value)
        elif key == "link":
            option_values.pair("network", value, ":", "write link=CONTAINER:NAME")
            want.setdefault("links", []).append(value)
        else:
            want[_KEYS[key]] = value  # type: ignore[literal-required]
    if not want["name"]:
        raise UsageError(f"--network {word}", "network name/id is not specified", "name=NAME")
    return want


def link(text: str) -> str:
    """Return a value of --link, ``CONTAINER`` or ``CONTAINER:NAME``, in the second form; UsageError: it is neither."""
    name, colon, alias = text.partition(":")
    if not name or ":" in alias or (colon and not alias):
        raise UsageError(f"--link {text}", "bad format for links", "CONTAINER or CONTAINER:NAME")
    return f"{name}:{alias or name}"


def priority(option: str, text: str) -> int:
    """Return the number of a gw-priority, which may be negative; UsageError: *text* is none."""
    if not is_whole(text.removeprefix("-")) or abs(int(text)) >= 1 << 31:
        raise UsageError(f"--{option}", f"invalid gw-priority ({text}): invalid syntax", "a whole number")
    return int(text)
