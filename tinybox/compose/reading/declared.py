"""What a compose file declares beside services: its volumes, networks, secrets and configs."""

from __future__ import annotations

from tinybox.container.network import driver_options
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.compose.reading.document import Field

_MORE = {
    "volumes": ("driver", "driver_opts"),
    "networks": ("driver", "driver_opts", "internal", "ipam", "attachable", "enable_ipv4", "enable_ipv6"),
    "secrets": ("file", "environment", "driver", "driver_opts", "template_driver"),
    "configs": ("file", "environment", "content", "template_driver"),
}
_DRIVERS = {"volumes": ("local", "default", ""), "networks": ("bridge", "default", "")}
_SOURCES = ("file", "environment", "content")


class Resource:
    """A volume, network, secret or config: its *key* and *entries* in the file, and its *name* in the store."""

    def __init__(self, key: str, name: str, field: Field, entries: dict[str, Field]) -> None:
        self.key, self.name, self.field, self.entries = key, name, field, entries
        self.external = is_external(entries)

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the volume or network in the file."""
        pairs = self.entries["labels"].pairs() if "labels" in self.entries else {}
        return {key: value or "" for key, value in pairs.items()}

    @property
    def options(self) -> dict[str, str]:
        """The options of its driver."""
        pairs = self.entries["driver_opts"].pairs() if "driver_opts" in self.entries else {}
        return {key: value or "" for key, value in pairs.items()}

    def flag(self, key: str) -> bool:
        """Return whether the entry *key* is in the file and is true."""
        return key in self.entries and self.entries[key].flag()


def is_external(entries: dict[str, Field]) -> bool:
    """Return whether `external` is true, or names what exists already (a former way to write it)."""
    field = entries.get("external")
    return field is not None and (isinstance(field.content, dict) or field.flag())


def read(project: str, kind: str, field: Field | None) -> dict[str, Resource]:
    """Return what the file declares as *kind*, ``volumes`` and so on; UsageError names the wrong entry and its line.

    The default name is PROJECT_KEY, that of an external one KEY.
    """
    found = {}
    for key, entry in (field.mapping() if field else {}).items():
        parts = entry.mapping(("name", "external", "labels", *_MORE[kind]))
        found[key] = Resource(key, _name(project, key, parts), entry, parts)
        if found[key].external:
            _check_external(kind, entry, parts)
        elif kind in _DRIVERS:
            _check_driver(kind, parts)
        else:
            _check_source(kind, entry, parts)
    return found


def _name(project: str, key: str, parts: dict[str, Field]) -> str:
    external = parts.get("external")
    former = external.mapping(("name",)).get("name") if external and isinstance(external.content, dict) else None
    if former and "name" in parts:
        raise former.wrong("conflicts with name", "leave it out, and write external: true")
    if named := parts.get("name") or former:
        return named.text()
    return key if is_external(parts) else f"{project}_{key}"


def _check_external(kind: str, entry: Field, parts: dict[str, Field]) -> None:
    for key, part in parts.items():
        if key not in ("name", "external"):
            raise part.wrong("conflicts with external", f"an external resource has been made before; leave {key} out")
    if kind not in _DRIVERS:
        cause = f"external {kind} belong to swarm, and are in no store of this machine"
        raise entry.wrong(cause, "file: PATH, or environment: NAME")


def _check_driver(kind: str, parts: dict[str, Field]) -> None:
    if "driver" in parts and parts["driver"].text() not in _DRIVERS[kind]:
        raise parts["driver"].wrong(f"tinybox has no driver {parts['driver'].text()}", "leave it out")
    if "enable_ipv4" in parts and not parts["enable_ipv4"].flag():
        raise parts["enable_ipv4"].wrong("a network of tinybox always has IPv4", "leave it out")
    if kind == "networks" and "driver_opts" in parts:
        _check_options(parts["driver_opts"])
    if "ipam" in parts:
        ipam = parts["ipam"].mapping(("driver", "config", "options"))
        if "driver" in ipam and ipam["driver"].text() not in ("default", ""):
            raise ipam["driver"].wrong(f"tinybox has no IPAM driver {ipam['driver'].text()}", "leave it out")


def _check_options(field: Field) -> None:
    try:
        driver_options.mtu({key: value or "" for key, value in field.pairs().items()}, ipv6=False)
    except UsageError as error:
        raise field.wrong(str(error)) from error


def _check_source(kind: str, entry: Field, parts: dict[str, Field]) -> None:
    """Refuse what docker compose refuses: drivers, and no content or two."""
    for key in ("driver", "template_driver"):
        if key in parts:
            raise parts[key].wrong(f"belongs to swarm: compose has no {key} for {kind}", "leave it out")
    if "driver_opts" in parts:
        raise parts["driver_opts"].wrong("is for a driver, which belongs to swarm", "leave it out")
    given = [key for key in _SOURCES if key in parts]
    if len(given) != 1:
        known = [key for key in _SOURCES if key in _MORE[kind]]
        cause = f"has {' and '.join(given)}" if given else "has no content"
        raise entry.wrong(cause, f"one of {', '.join(known)}")
