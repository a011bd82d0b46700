"""Network interfaces: bridges on the host, and veth pairs with one end in a bridge and one in a network namespace.

The kernel makes them on request, by messages of rtnetlink(7). link_requests.py encodes such messages; this file decides
which ones to send. It has no notion of a container: links have names, and a container is a network namespace. The
kernel removes a veth pair with its namespace; a bridge stays until `removal.remove_bridge`, also if tinybox is killed.
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import fcntl
import os

from tinybox.errors import HostError
from tinybox.isolation.network.removal import group_of, remove_link
from tinybox.linux import process
from tinybox.linux.filesystem import files
from tinybox.linux.sockets import link_requests as links
from tinybox.linux.sockets import netlink
from tinybox.linux.sockets.netlink import attribute, unsigned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_SIOCGIFMTU = 0x8921


class Routes(netlink.NetlinkSocket):
    """A conversation with the kernel about links, addresses and routes of the network namespace it was begun in."""

    def __init__(self) -> None:
        super().__init__(netlink.ROUTE)

    def add_bridge(self, name: str, mtu: int, mac: str) -> None:
        """Make the bridge *name* with the hardware address *mac*, and set it up; see ip-link(8)."""
        parts = (unsigned(links.IFLA_MTU, mtu), _hardware(mac), unsigned(links.IFLA_GROUP, group_of(name)))
        self.execute(links.new_link(name, "bridge", *parts), f"IFLA_IFNAME={name}")

    def add_veth(self, name: str, bridge: str, mtu: int, peer: bytes) -> None:
        """Make the link *name*, a port of *bridge*, with the other end *peer*, and set it up; see veth(4)."""
        parts = (
            unsigned(links.IFLA_MTU, mtu),
            unsigned(links.IFLA_MASTER, _socket.if_nametoindex(bridge)),
            unsigned(links.IFLA_GROUP, group_of(bridge)),
        )
        self.execute(links.new_link(name, "veth", *parts, data=peer), f"IFLA_IFNAME={name}")

    def set_port(self, index: int, *, isolated: bool) -> None:
        """Let a bridge send packets back through the port *index* by which they arrived; see hairpin in bridge(8).

        This is needed when a container connects to its own published port, on hosts with br_netfilter, where packets
        in a bridge pass the firewall. An *isolated* port gets no packets from other isolated ports.
        """
        parts = [attribute(links.IFLA_BRPORT_MODE, b"\1"), *[attribute(links.IFLA_BRPORT_ISOLATED, b"\1")] * isolated]
        self.execute(links.changed_port(index, *parts))

    def set_up(self, index: int) -> None:
        """Set a link up, by its *index*; see netdevice(7)."""
        self.execute(links.changed_link(index, up=True))

    def add_address(self, index: int, address: str) -> None:
        """Add an *address* such as ``172.30.0.2/16`` to the link *index*, if it lacks it; see ip-address(8)."""
        self.execute(links.new_address(index, address), f"IFA_ADDRESS={address.partition('/')[0]}")

    def add_default_route(self, gateway: str, *, replace: bool = False) -> None:
        """Add a default route through *gateway*, or *replace* the former one by it; see ip-route(8)."""
        self.execute(links.new_default_route(gateway, replace=replace), f"RTA_GATEWAY={gateway}")


def _hardware(mac: str) -> bytes:
    return attribute(links.IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))


def ensure_bridge(routes: Routes, name: str, addresses: list[str], mtu: int) -> None:
    """Make the bridge *name*, if it is missing, and add the host's *addresses* to it; see bridge in ip-link(8).

    It gets a hardware address of its own: by default a bridge has that of one of its ports, which changes with the
    ports.
    """
    if not exists(name):
        routes.add_bridge(name, mtu, "02:" + os.urandom(5).hex(":"))
    index = _socket.if_nametoindex(name)
    for address in addresses:
        routes.add_address(index, address)


def plug(routes: Routes, link: str, bridge: str, namespace: int, interface: str, mac: str, mtu: int) -> None:
    """Make a veth pair: the end *link* in *bridge*, and the end *interface* in the network *namespace*; see veth(4)."""
    peer = links.veth_peer(
        interface, _hardware(mac), unsigned(links.IFLA_MTU, mtu), unsigned(links.IFLA_NET_NS_FD, namespace)
    )
    remove_link(link)  # the link of an earlier start, which the kernel has not removed yet
    routes.add_veth(link, bridge, mtu, peer)


def guard_port(routes: Routes, link: str, *, isolated: bool) -> None:
    """Set what the bridge does with the port *link*; see `Routes.set_port`."""
    routes.set_port(_socket.if_nametoindex(link), isolated=isolated)


def configure(
    namespace: int,
    interface: str,
    addresses: list[str],
    gateways: list[str],
    sysctls: Mapping[str, str] | None = None,
    *,
    replace: bool = False,
) -> None:
    """Set up *interface*, a container's end of a veth pair: its *addresses*, and a default route to each gateway.

    For this it joins the container's network *namespace*, and then returns to its own; see setns(2). *sysctls* are
    parameters of the interface, ``net.ipv4.conf.IFNAME.log_martians``. With *replace*, a former default route is
    replaced.
    """
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    process.setns(namespace, process.CLONE_NEWNET)
    try:
        with Routes() as routes:
            index = _socket.if_nametoindex(interface)
            for name, value in (sysctls or {}).items():
                _set_sysctl(name, interface, value)
            for address in addresses:
                routes.add_address(index, address)
            routes.set_up(index)
            for gateway in gateways:
                routes.add_default_route(gateway, replace=replace)
    finally:
        process.setns(own, process.CLONE_NEWNET)
        os.close(own)


def _set_sysctl(name: str, interface: str, value: str) -> None:
    path = "/".join(interface if part == "IFNAME" else part for part in name.split("."))
    try:
        set_parameter(f"/proc/sys/{path}", value)
    except OSError as error:
        raise HostError(f"sysctl {name}={value}", error.strerror or str(error), "see ip-sysctl") from error


def exists(name: str) -> bool:
    """Return whether this network namespace has a link *name*; see if_nametoindex(3)."""
    try:
        _socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def mtu_of_way_out() -> int:
    """Return the MTU, in bytes, of the link of the default route; 0 if there is no such route; see netdevice(7)."""
    with open("/proc/net/route", encoding="utf-8") as file:
        rows = [line.split() for line in file][1:]
    link = next((row[0] for row in rows if row[1] == row[7] == "00000000"), "")
    if not link:
        return 0
    query = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        answer = fcntl.ioctl(query.fileno(), _SIOCGIFMTU, link.encode().ljust(40, b"\0"))
        return int.from_bytes(answer[16:20], "little")
    finally:
        query.close()


def parameter(path: str) -> str:
    """Return the value of a parameter of this network namespace: *path* is a file in /proc/sys/net; proc_sys(5)."""
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def set_parameter(path: str, value: str) -> None:
    """Set a parameter of this network namespace: *path* is a file in /proc/sys/net; see proc_sys(5)."""
    files.write_once(os.open(path, os.O_WRONLY | os.O_CLOEXEC), value.encode())
