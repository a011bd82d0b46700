"""Published ports of a container, recorded in RUN/ID/ports.json, and their text forms for `ps` and `port`."""

from __future__ import annotations

import os

from tinybox.container.records import spec
from tinybox.errors import report
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import own_files as files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NotRequired, TypedDict

    class Port(TypedDict):
        """One published port: packets to *hostIp*:*hostPort* of the host go to *containerPort* of the box.

        An empty *hostIp* means every address. A *hostPort* of 0 means any free port; with *hostPortLast* it is the
        first port of a range, out of which a free one is chosen.
        """

        hostIp: str
        hostPort: int
        hostPortLast: NotRequired[int]
        containerPort: int
        protocol: str


ANNOTATION = spec.PORTS
LIST = "ports.json"  # in a container's run directory: its ports, with the chosen host ports


def published(annotations: Mapping[str, str]) -> list[Port]:
    """Return the published ports in the *annotations* of a container, the lowest container port first."""
    ports: list[Port] = json.loads(annotations.get(ANNOTATION) or "[]")
    return sorted(ports, key=lambda port: (port["containerPort"], port["protocol"], port["hostIp"]))


def chosen(owner: str, annotations: Mapping[str, str]) -> list[Port]:
    """Return the published ports with the host ports chosen for the run directory *owner*, else as in *annotations*."""
    found = load(owner)
    return published(annotations) if found is None else published({ANNOTATION: json.dumps(found)})


def load(owner: str) -> list[Port] | None:
    """Return the published ports recorded in the run directory *owner*; None if there is no record."""
    from tinybox.container.records import shapes

    path = os.path.join(owner, LIST)
    try:
        found: list[Port] | None = json.read_own(path, shapes.PORTS)
    except ValueError as error:
        report(f"{path}: it is damaged: {error}")
        return None
    return found


def save(owner: str, taken: Sequence[Port]) -> None:
    """Write the published ports *taken* to ports.json in the run directory *owner*, whole or not at all."""
    files.replace(os.path.join(owner, LIST), json.dumps(taken).encode(), 0o644)


def inside(port: Port) -> str:
    """Return the container's side of a port: ``80/tcp``."""
    return f"{port['containerPort']}/{port['protocol']}"


def outside(port: Port) -> str:
    """Return the host's side of a port: ``0.0.0.0:8080``, ``[::]:8080``."""
    address = port["hostIp"] or "0.0.0.0"  # noqa: S104  shown, not bound
    return f"[{address}]:{port['hostPort']}" if ":" in address else f"{address}:{port['hostPort']}"


def as_text(found: Sequence[Port], annotations: Mapping[str, str]) -> str:
    """Return all ports as `docker ps` shows them: ``0.0.0.0:8080->80/tcp``; ports that are only exposed: ``80/tcp``."""
    opened: list[str] = json.loads(annotations.get(spec.EXPOSED) or "[]")
    names = {inside(port) for port in found}
    shown = [f"{outside(port)}->{inside(port)}" for port in found]
    return ", ".join([*(name for name in opened if name not in names), *shown])
