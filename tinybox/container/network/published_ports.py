"""Which ports of a container can be reached from outside, as it was written down when they were published."""

from __future__ import annotations

import os

from tinybox.container.records import spec
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NotRequired, TypedDict

    class Port(TypedDict):
        """One published port: what comes in at *hostIp*:*hostPort* goes to *containerPort*.

        An empty *hostIp* is every address. A *hostPort* of 0 is any free one; one with a *hostPortLast* is the first of
        a range, out of which a free one is chosen.
        """

        hostIp: str
        hostPort: int
        hostPortLast: NotRequired[int]
        containerPort: int
        protocol: str


ANNOTATION = spec.PORTS
LIST = "ports.json"  # in a container's live directory: its ports, with the host's side as it was chosen


def published(annotations: Mapping[str, str]) -> list[Port]:
    """Return the ports that a container with these *annotations* has published, the lowest first."""
    ports: list[Port] = json.loads(annotations.get(ANNOTATION) or "[]")
    return sorted(ports, key=lambda port: (port["containerPort"], port["protocol"], port["hostIp"]))


def chosen(owner: str, annotations: Mapping[str, str]) -> list[Port]:
    """Return the same with the host's ports that were chosen, of the container with the live directory *owner*."""
    found = load(owner)
    return published(annotations) if found is None else published({ANNOTATION: json.dumps(found)})


def load(owner: str) -> list[Port] | None:
    """Return the published ports of the box with the live directory *owner*; None where nothing is written down."""
    try:
        with open(os.path.join(owner, LIST), encoding="utf-8") as file:
            found: list[Port] = json.load(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found


def save(owner: str, taken: Sequence[Port]) -> None:
    """Write them down there."""
    with open(os.path.join(owner, LIST), "w", encoding="utf-8") as file:
        file.write(json.dumps(taken))


def inside(port: Port) -> str:
    """Return the container's side of a port: ``80/tcp``."""
    return f"{port['containerPort']}/{port['protocol']}"


def outside(port: Port) -> str:
    """Return the host's side of a port: ``0.0.0.0:8080``, ``[::]:8080``."""
    address = port["hostIp"] or "0.0.0.0"  # noqa: S104  shown, not bound
    return f"[{address}]:{port['hostPort']}" if ":" in address else f"{address}:{port['hostPort']}"


def as_text(found: Sequence[Port], annotations: Mapping[str, str]) -> str:
    """Return all ports as `docker ps` shows them: ``0.0.0.0:8080->80/tcp``; those that are only exposed, ``80/tcp``."""
    opened: list[str] = json.loads(annotations.get(spec.EXPOSED) or "[]")
    names = {inside(port) for port in found}
    shown = [f"{outside(port)}->{inside(port)}" for port in found]
    return ", ".join([*(name for name in opened if name not in names), *shown])
