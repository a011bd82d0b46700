"""IPv6 addresses of boxes (``--ip6``): the address asked for, or that with the same number as the IPv4 address."""

from __future__ import annotations

import ipaddress

from tinybox.container.network import subnets
from tinybox.errors import StateError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.network.definitions import Network
    from tinybox.container.network.pools import Pool


def chosen(pool: Pool, network: Network, address: str, wanted: str) -> str:
    """Return the address *wanted*, or the first free one from the number on that *address* has in the IPv4 subnet."""
    subnet = ipaddress.IPv6Network(network.subnet6)
    taken = {network.gateway6, *pool.addresses()}
    if wanted:
        return _wanted(network, subnet, taken, wanted)
    place = subnets.number(address) - subnets.span(network.subnet)[0]
    for number in range(place, place + len(taken) + 1):
        found = str(subnet[number % subnet.num_addresses])
        if found not in taken:
            return found
    raise StateError(f"network {network.name}", "no available IPv6 addresses on this network", "remove some boxes")


def _wanted(network: Network, subnet: ipaddress.IPv6Network, taken: set[str], wanted: str) -> str:
    found = ipaddress.IPv6Address(wanted)
    if found not in subnet or found == subnet[0]:  # the first address means any router; see RFC 4291
        cause = f"no configured subnet contains IP address {wanted}"
        raise UsageError(f"network {network.name}", cause, f"its subnet is {network.subnet6}")
    if str(found) in taken:
        raise StateError(f"IP address {wanted}", f"Address already in use on network {network.name}", "choose another")
    return str(found)
