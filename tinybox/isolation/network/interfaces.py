"""Network interfaces: bridges on the host, and veth pairs with one end in a bridge and one in a network namespace.

The kernel makes them on request, by messages of rtnetlink(7). pyroute2 encodes such messages; this file decides which
ones to send. It has no notion of a container: links have names, and a container is a network namespace. The kernel
removes a veth pair with its namespace; a bridge stays until `removal.remove_bridge`, also if tinybox is killed.
"""

from __future__ import annotations

import _socket  # the C half alone: socket.py costs 4 ms more
import fcntl
import os

from tinybox.errors import HostError
from tinybox.isolation.network.removal import group_of, remove_link
from tinybox.linux import files, process
from tinybox.linux.sockets import netlink
from tinybox.linux.sockets.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE = 16, 20, 24
IFF_UP = 1
IFA_F_NODAD = 2
RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST = 254, 3, 1

_SIOCGIFMTU = 0x8921


class Messages:
    """pyroute2's classes for the three kinds of message that tinybox sends; see rtnetlink(7).

    The package's ``__init__`` imports all of pyroute2, with asyncio and ssl: 180 ms, while these three classes take 40.
    So they are imported from the package without executing its ``__init__``. If a version of pyroute2 has these files
    elsewhere, the whole package is imported.
    """

    def __init__(self) -> None:
        import sys

        if "pyroute2" in sys.modules or not self._load_from(_shell()):
            self._load()

    def _load_from(self, shell: Any) -> bool:
        """Import the classes from *shell*, the package without its ``__init__``; return False if it lacks them."""
        import sys

        sys.modules["pyroute2"] = shell
        try:
            self._load()
        except ImportError:
            for name in [name for name in sys.modules if name.startswith("pyroute2.")]:
                del sys.modules[name]
            return False
        finally:
            del sys.modules["pyroute2"]  # a later import of pyroute2 gets the whole package
        return True

    def _load(self) -> None:
        from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
        from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
        from pyroute2.netlink.rtnl.rtmsg import rtmsg

        self.link, self.address, self.route = ifinfmsg, ifaddrmsg, rtmsg


def _shell() -> Any:
    """Return the package pyroute2 before its ``__init__`` is executed: a module with a name and a search path."""
    import sys
    from importlib.machinery import PathFinder

    found = PathFinder.find_spec("pyroute2")
    shell: Any = type(sys)("pyroute2")
    shell.__path__ = (found.submodule_search_locations if found else None) or []
    return shell


class Routes(netlink.NetlinkSocket):
    """A conversation with the kernel about links, addresses and routes of the network namespace it was begun in."""

    def __init__(self, messages: Messages) -> None:
        super().__init__(netlink.ROUTE)
        self.messages = messages

    def add_link(self, name: str, kind: str, *, mtu: int, mac: str = "", bridge: str = "", **data: Any) -> None:
        """Make the link *name* of this *kind*, set it up, and add it to *bridge*, if given; see ip-link(8)."""
        about = {
            "attrs": [("IFLA_INFO_KIND", kind), *([("IFLA_INFO_DATA", {"attrs": list(data.items())})] * bool(data))]
        }
        attributes: list[tuple[str, Any]] = [("IFLA_IFNAME", name), ("IFLA_MTU", mtu), ("IFLA_LINKINFO", about)]
        if mac:
            attributes.append(("IFLA_ADDRESS", mac))
        if bridge:
            attributes.append(("IFLA_MASTER", _socket.if_nametoindex(bridge)))
        attributes.append(("IFLA_GROUP", group_of(bridge or name)))
        self._make(RTM_NEWLINK, self.messages.link(), attributes, flags=IFF_UP, change=IFF_UP)

    def set_port(self, index: int, *, isolated: bool) -> None:
        """Let a bridge send packets back through the port *index* by which they arrived; see hairpin in bridge(8).

        This is needed when a container connects to its own published port, on hosts with br_netfilter, where packets
        in a bridge pass the firewall. An *isolated* port gets no packets from other isolated ports.
        """
        data = [("IFLA_BRPORT_MODE", 1), *([("IFLA_BRPORT_ISOLATED", 1)] * isolated)]
        port = {"attrs": [("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", {"attrs": data})]}
        self._make(RTM_NEWLINK, self.messages.link(), [("IFLA_LINKINFO", port)], index=index, how=0)

    def set_up(self, index: int) -> None:
        """Set a link up, by its *index*; see netdevice(7)."""
        self._make(RTM_NEWLINK, self.messages.link(), [], index=index, flags=IFF_UP, change=IFF_UP, how=0)

    def add_address(self, index: int, address: str) -> None:
        """Add an *address* such as ``172.30.0.2/16`` to the link *index*, if it lacks it; see ip-address(8)."""
        number, _, prefix = address.partition("/")
        family = _family(number)
        attributes: list[tuple[str, Any]] = [("IFA_ADDRESS", number), ("IFA_LOCAL", number)]
        if family == _socket.AF_INET and int(prefix) < 31:  # a net of two addresses has no broadcast; see RFC 3021
            attributes.append(("IFA_BROADCAST", _broadcast(number, int(prefix))))
        attributes.append(("IFA_FLAGS", IFA_F_NODAD if family == _socket.AF_INET6 else 0))  # no test for duplicates
        message, how = self.messages.address(), NLM_F_CREATE | NLM_F_REPLACE
        self._make(RTM_NEWADDR, message, attributes, family=family, prefixlen=int(prefix), index=index, how=how)

    def add_default_route(self, gateway: str, *, replace: bool = False) -> None:
        """Add a default route through *gateway*, or *replace* the former one by it; see ip-route(8)."""
        how = NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL)
        route = {"family": _family(gateway), "table": RT_TABLE_MAIN, "proto": RTPROT_BOOT, "type": RTN_UNICAST}
        self._make(RTM_NEWROUTE, self.messages.route(), [("RTA_GATEWAY", gateway)], how=how, **route)

    def _make(
        self,
        kind: int,
        message: Any,
        attributes: list[tuple[str, Any]],
        *,
        how: int = NLM_F_CREATE | NLM_F_EXCL,
        **fields: int,
    ) -> None:
        """Send one *message* and wait for the kernel's answer; SyscallError: the kernel refuses; see netlink(7)."""
        for name, value in fields.items():
            message[name] = value
        message["attrs"] = attributes
        message["header"]["type"], message["header"]["flags"] = kind, NLM_F_REQUEST | NLM_F_ACK | how
        message.encode()
        self.execute(
            bytes(message.data), " ".join(f"{name}={value}" for name, value in attributes[:2] if isinstance(value, str))
        )


def _broadcast(address: str, prefix: int) -> str:
    """Return the address of all hosts of the net: all bits after the *prefix* are 1."""
    number = int.from_bytes(_socket.inet_aton(address), "big") | (1 << 32 - prefix) - 1
    return _socket.inet_ntoa(number.to_bytes(4, "big"))


def _family(address: str) -> int:
    return _socket.AF_INET6 if ":" in address else _socket.AF_INET


def ensure_bridge(routes: Routes, name: str, addresses: list[str], mtu: int) -> None:
    """Make the bridge *name*, if it is missing, and add the host's *addresses* to it; see bridge in ip-link(8).

    It gets a hardware address of its own: by default a bridge has that of one of its ports, which changes with the
    ports.
    """
    if not exists(name):
        routes.add_link(name, "bridge", mtu=mtu, mac="02:" + os.urandom(5).hex(":"))
    index = _socket.if_nametoindex(name)
    for address in addresses:
        routes.add_address(index, address)


def plug(routes: Routes, link: str, bridge: str, namespace: int, interface: str, mac: str, mtu: int) -> None:
    """Make a veth pair: the end *link* in *bridge*, and the end *interface* in the network *namespace*; see veth(4)."""
    peer: list[tuple[str, Any]] = [
        ("IFLA_IFNAME", interface),
        ("IFLA_ADDRESS", mac),
        ("IFLA_MTU", mtu),
        ("IFLA_NET_NS_FD", namespace),
    ]
    remove_link(link)  # the link of an earlier start, which the kernel has not removed yet
    routes.add_link(link, "veth", mtu=mtu, bridge=bridge, VETH_INFO_PEER={"attrs": peer})


def guard_port(routes: Routes, link: str, *, isolated: bool) -> None:
    """Set what the bridge does with the port *link*; see `Routes.set_port`."""
    routes.set_port(_socket.if_nametoindex(link), isolated=isolated)


def configure(
    messages: Messages,
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
        with Routes(messages) as routes:
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
    with open("/proc/net/route", encoding="ascii") as file:
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
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def set_parameter(path: str, value: str) -> None:
    """Set a parameter of this network namespace: *path* is a file in /proc/sys/net; see proc_sys(5)."""
    files.write_once(os.open(path, os.O_WRONLY | os.O_CLOEXEC), value.encode())
