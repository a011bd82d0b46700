"""The check of network links: tinybox makes a bridge with a veth pair, and pyroute2 reads what the kernel has made.

tinybox asks the kernel by messages of its own, because to load pyroute2 takes longer than to make a box. So here an
independent library reads the answer; see docs/adr/0042-network-of-a-run.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.doctor.finding import NOTE, OK, Finding, is_root, tried
from tinybox.errors import HostError
from tinybox.isolation.network import interfaces
from tinybox.linux import process

if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths

BRIDGE, LINK, INTERFACE = "tinybox0", "veth0", "eth0"
ADDRESS, MAC, MTU = "172.30.0.1/16", "02:42:ac:1e:00:02", 1400
ASKED = {BRIDGE: ("bridge", MTU), LINK: ("veth", MTU), INTERFACE: ("veth", MTU)}


def links(_: Paths) -> Finding:
    """Try to make a bridge with a veth pair, in a network namespace that ends at once; see veth(4)."""
    if not is_root():
        return Finding("links", OK, "only root can try to make a bridge with a veth pair")
    refused = tried(_make)
    if refused:
        return Finding("links", NOTE, refused, "modprobe bridge veth; or --network none or host")
    return Finding("links", OK, "a bridge with a veth pair can be made")


def _make() -> None:
    process.unshare(process.CLONE_NEWNET)
    namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    with interfaces.Routes() as routes:
        interfaces.ensure_bridge(routes, BRIDGE, [ADDRESS], MTU)
        interfaces.plug(routes, LINK, BRIDGE, namespace, INTERFACE, MAC, MTU)
    read = _read()
    if read != ASKED:
        raise HostError("links", f"the kernel has made others than tinybox has asked for: {read}")


def _read() -> dict[str, tuple[str, int]]:
    """Return the kind and the MTU of each link of this network namespace but lo, as pyroute2 reads them."""
    from pyroute2 import IPRoute

    with IPRoute() as library:
        return {
            name: (link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND"), link.get_attr("IFLA_MTU"))
            for link in library.get_links()
            if (name := link.get_attr("IFLA_IFNAME")) != "lo"
        }
