"""IPv4 subnets: parse them, compare them, and read the host's routes (/proc/net/route) to find those that are in use.

An address is a number, and a subnet is a range of numbers that begin with the same bits. Every start of a box needs
this; Python's ipaddress takes longer to load than all of this takes to run.
"""

from __future__ import annotations

ROUTES = "/proc/net/route"
_ALL = (1 << 32) - 1


def number(address: str) -> int:
    """Return ``172.18.0.1`` as a number; ValueError if it is no IPv4 address; see inet(3)."""
    parts = address.split(".")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) <= 3 for part in parts):
        raise ValueError(f"invalid IP address: {address}")
    return int.from_bytes(bytes(int(part) for part in parts), "big")


def dotted(value: int) -> str:
    """Return the number *value* as an address, ``172.18.0.1``."""
    return ".".join(str(byte) for byte in value.to_bytes(4, "big"))


def span(subnet: str) -> tuple[int, int]:
    """Return the first and the last number of *subnet*, as ``172.18.0.0/16``; ValueError if it is not a subnet."""
    base, _, bits = subnet.partition("/")
    if not (bits.isascii() and bits.isdigit() and len(bits) <= 2 and int(bits) <= 32):
        raise ValueError(f"invalid CIDR address: {subnet}")
    below = _ALL >> int(bits)
    first = number(base) & ~below
    return first, first | below


def overlap(one: str, other: str) -> bool:
    """Return whether two subnets share an address."""
    (first, last), (begin, end) = span(one), span(other)
    return first <= end and begin <= last


def prefix(subnet: str) -> str:
    """Return the prefix length of *subnet* as text: ``16`` for ``172.18.0.0/16``."""
    return subnet.partition("/")[2]


def routed(but: str = "") -> list[str]:
    """Return the subnets to which this host has a route, except routes by the link *but*; see proc_net(5)."""
    return [subnet for link, subnet in by_link() if link != but]


def routes(text: str, but: str = "") -> list[str]:
    """Return the subnets in *text*, the content of /proc/net/route, except routes by the link *but*.

    Numbers there are hexadecimal, the lowest byte first. The default route is left out: it leads to every subnet. So
    are its two halves, 0.0.0.0/1 and 128.0.0.0/1, which VPNs write to have precedence over the default route.
    """
    return [subnet for link, subnet in by_link(text) if link != but]


def by_link(text: str = "") -> list[tuple[str, str]]:
    """Return pairs of a link and a subnet to which it leads, from *text*, or if that is empty from /proc/net/route."""
    if not text:
        with open(ROUTES, encoding="utf-8") as file:
            text = file.read()
    found = []
    for line in text.splitlines()[1:]:
        link, target, _, _, _, _, _, mask = line.split()[:8]
        bits = int(mask, 16).bit_count()
        if bits > 1:
            found.append((link, f"{dotted(int.from_bytes(bytes.fromhex(target), 'little'))}/{bits}"))
    return found
