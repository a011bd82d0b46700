"""Parse -p, -P and --expose: ``[ADDRESS:][HOST:]BOX[/PROTOCOL]``, a port of the host that leads to a port of the box.

``8000-8002:80-82`` is three ports. Without a HOST port a free one is chosen when the box starts; see docker-run(1).
"""

from __future__ import annotations

import ipaddress

from tinybox.errors import UnfitValueError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinybox.container.network.published_ports import Port

PROTOCOLS = ("tcp", "udp")
CURE = "write 8080:80, 127.0.0.1:8080:80, 53:53/udp or 8000-8002:80-82"
MOST = (1 << 16) - 1


def ports(texts: Sequence[str]) -> list[Port]:
    """Return the ports of all values of ``--publish``; UsageError names the value that is wrong or given twice."""
    found: list[Port] = []
    for text in texts:
        for port in parsed(text):
            if port["hostPort"] and any(collide(port, other) for other in found):
                raise UnfitValueError(
                    f"--publish {text}", f"port {port['hostPort']} is published twice", "choose another"
                )
            if port not in found:
                found.append(port)
    return found


def collide(one: Port, other: Port) -> bool:
    """Return whether two ports need the same port of the host; an empty address means all addresses."""
    same = all(one[key] == other[key] for key in ("hostPort", "protocol"))
    return same and one != other and ("" in (one["hostIp"], other["hostIp"]) or one["hostIp"] == other["hostIp"])


def parsed(text: str) -> list[Port]:
    """Return the ports of one value of ``--publish``: one port, or one for each port of a range."""
    option = f"--publish {text}"
    front, _, protocol = text.partition("/")
    address, outer, inner = _parts(option, front)
    protocol = protocol.lower() or "tcp"
    if protocol not in PROTOCOLS or text.endswith("/"):
        raise UsageError(option, f"invalid proto: {protocol}", "tcp or udp")
    if not inner:
        raise UsageError(option, "no port specified", CURE)
    first, last = span(option, "containerPort", inner)
    if not outer:
        return [_port(address, 0, number, protocol) for number in range(first, last + 1)]
    begin, end = span(option, "hostPort", outer, 0)
    if first == last and begin != end:
        return [{**_port(address, begin, first, protocol), "hostPortLast": end}]
    if last - first != end - begin:
        cause = f"invalid ranges specified for container and host Ports: {inner} and {outer}"
        raise UsageError(option, cause, "both ranges must have the same length")
    return [_port(address, begin + step, first + step, protocol) for step in range(last - first + 1)]


def _port(address: str, outer: int, inner: int, protocol: str) -> Port:
    return {"hostIp": address, "hostPort": outer, "containerPort": inner, "protocol": protocol}


def _parts(option: str, front: str) -> tuple[str, str, str]:
    """Split ``ADDRESS:HOST:BOX``; an IPv6 address must be in brackets, because it contains colons itself."""
    rest, _, inner = front.rpartition(":")
    address, _, outer = rest.rpartition(":")
    if not address:
        return "", outer, inner
    bare = address[1:-1] if address[0] == "[" and address[-1] == "]" else address
    try:
        found = ipaddress.ip_address(bare)
    except ValueError as error:
        raise UsageError(option, f"invalid IP address: {bare}", CURE) from error
    if found.version == 6 and bare == address:
        raise UsageError(option, f"invalid IP address: {address}", f"write [{address}] with brackets")
    return str(found), outer, inner


def span(option: str, kind: str, text: str, least: int = 1) -> tuple[int, int]:
    """Return the first and last port of ``80`` or ``80-82``; UsageError names the *option* and the *kind* of value."""
    first, dash, last = text.partition("-")
    ends = [first, last if dash else first]
    if not all(end.isascii() and end.isdigit() and len(end) <= 5 for end in ends):
        raise UsageError(option, f"invalid {kind}: {text}", CURE)
    begin, end = int(ends[0]), int(ends[1])
    if not least <= begin <= end <= MOST:
        raise UsageError(option, f"invalid {kind}: {text}", f"ports are {least or 1} to {MOST}, the lower one first")
    return begin, end


def exposed(texts: Iterable[str]) -> list[str]:
    """Return the ports of ``--expose`` and of an image's EXPOSE as a sorted list, ranges split: ``80/tcp``."""
    found = []
    for text in texts:
        front, _, protocol = text.partition("/")
        if (protocol or "tcp") not in PROTOCOLS:
            raise UsageError(f"--expose {text}", f"invalid proto: {protocol}", "tcp or udp")
        first, last = span(f"--expose {text}", "range format", front)
        found += [f"{number}/{protocol or 'tcp'}" for number in range(first, last + 1)]
    return sorted(set(found), key=lambda port: (int(port.partition("/")[0]), port))


def all_of(found: Sequence[Port], inner: Sequence[str]) -> list[Port]:
    """Return what ``-P`` publishes: each exposed port that is not yet published in *found*, on any free host port."""
    published = {f"{port['containerPort']}/{port['protocol']}" for port in found}
    parts = [port.partition("/") for port in inner if port not in published]
    return [_port("", 0, int(number), protocol) for number, _, protocol in parts]
