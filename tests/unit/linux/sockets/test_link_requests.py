"""Requests for links, addresses and routes: pyroute2, an independent library, reads in each what was asked."""

from __future__ import annotations

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from tinybox.linux.sockets import link_requests as links
from tinybox.linux.sockets.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, attribute, unsigned

REQUEST = 1 | NLM_F_ACK
MAC = attribute(links.IFLA_ADDRESS, bytes.fromhex("0242ac1e0002"))


def read(kind: type, whole: bytes) -> dict[str, object]:
    """Read a message by a class of pyroute2: its fields, and its attributes by name, those inside of others too."""
    message = kind(whole)
    message.decode()
    assert message["header"]["length"] == len(whole)
    return {**{key: value for key, value in message.items() if key not in ("attrs", "event")}, **inner(message)}


def inner(message: dict[str, object]) -> dict[str, object]:
    """Return the attributes of a message or of an attribute, by name."""
    pairs: list[tuple[str, object]] = message["attrs"]  # type: ignore[assignment]
    return {
        name: inner(value) if isinstance(value, dict) and "attrs" in value else value
        for name, value in (pair[:2] for pair in pairs)
    }


def test_a_new_bridge() -> None:
    """Its name, kind, MTU and hardware address; it is set up, and made only if there is no such link."""
    seen = read(ifinfmsg, links.new_link("tinybox0", "bridge", unsigned(links.IFLA_MTU, 1400), MAC))
    assert (seen["IFLA_IFNAME"], seen["IFLA_MTU"], seen["IFLA_ADDRESS"]) == ("tinybox0", 1400, "02:42:ac:1e:00:02")
    assert seen["IFLA_LINKINFO"] == {"IFLA_INFO_KIND": "bridge"}
    assert (seen["flags"], seen["change"], seen["index"]) == (links.IFF_UP, links.IFF_UP, 0)
    header = seen["header"]
    assert isinstance(header, dict)
    assert (header["type"], header["flags"]) == (links.RTM_NEWLINK, REQUEST | NLM_F_CREATE | NLM_F_EXCL)


def test_a_new_veth_pair() -> None:
    """Both ends: one is a port of a bridge in a group; the other one has its own name, and is in another namespace."""
    peer = links.veth_peer("eth0", MAC, unsigned(links.IFLA_MTU, 1400), unsigned(links.IFLA_NET_NS_FD, 7))
    parts = unsigned(links.IFLA_MASTER, 3), unsigned(links.IFLA_GROUP, 1 << 30)
    seen = read(ifinfmsg, links.new_link("veth1", "veth", *parts, data=peer))
    assert (seen["IFLA_IFNAME"], seen["IFLA_MASTER"], seen["IFLA_GROUP"]) == ("veth1", 3, 1 << 30)
    end = {"IFLA_IFNAME": "eth0", "IFLA_ADDRESS": "02:42:ac:1e:00:02", "IFLA_MTU": 1400, "IFLA_NET_NS_FD": 7}
    about = {"IFLA_INFO_KIND": "veth", "IFLA_INFO_DATA": {"VETH_INFO_PEER": end}}
    assert seen["IFLA_LINKINFO"] == about


def test_changes_of_a_link() -> None:
    """A link is set up by its index; a port gets hairpin mode and isolation; a group of links is removed."""
    seen = read(ifinfmsg, links.changed_link(5, up=True))
    assert (seen["index"], seen["flags"], seen["change"]) == (5, links.IFF_UP, links.IFF_UP)
    parts = (attribute(links.IFLA_BRPORT_MODE, b"\1"), attribute(links.IFLA_BRPORT_ISOLATED, b"\1"))
    seen = read(ifinfmsg, links.changed_port(5, *parts))
    port = {"IFLA_BRPORT_MODE": 1, "IFLA_BRPORT_ISOLATED": 1}
    assert seen["IFLA_LINKINFO"] == {"IFLA_INFO_SLAVE_KIND": "bridge", "IFLA_INFO_SLAVE_DATA": port}
    assert (seen["index"], seen["flags"], seen["change"]) == (5, 0, 0)
    seen = read(ifinfmsg, links.deletion(0, unsigned(links.IFLA_GROUP, 77)))
    assert (seen["index"], seen["IFLA_GROUP"]) == (0, 77)


@pytest.mark.parametrize(
    ("address", "prefix", "broadcast"),
    [("172.30.0.2", 16, "172.30.255.255"), ("10.1.2.3", 30, "10.1.2.3"), ("10.1.2.2", 31, None), ("fd00::2", 64, None)],
)
def test_a_new_address(address: str, prefix: int, broadcast: str | None) -> None:
    """The address, its prefix length, and its broadcast address, which IPv6 and a net of two addresses lack."""
    seen = read(ifaddrmsg, links.new_address(4, f"{address}/{prefix}"))
    assert (seen["IFA_ADDRESS"], seen["IFA_LOCAL"], seen["prefixlen"], seen["index"]) == (address, address, prefix, 4)
    assert seen.get("IFA_BROADCAST") == broadcast
    assert seen["family"] == (10 if ":" in address else 2)
    assert (seen.get("IFA_FLAGS") == links.IFA_F_NODAD) == (":" in address)


@pytest.mark.parametrize(("gateway", "family"), [("172.30.0.1", 2), ("fd00::1", 10)])
def test_a_default_route(gateway: str, family: int) -> None:
    """It leads to every address by its gateway; it is made once, or replaces the former one."""
    for replace, how in ((False, NLM_F_CREATE | NLM_F_EXCL), (True, NLM_F_CREATE | NLM_F_REPLACE)):
        seen = read(rtmsg, links.new_default_route(gateway, replace=replace))
        assert (seen["RTA_GATEWAY"], seen["family"], seen["dst_len"]) == (gateway, family, 0)
        assert (seen["table"], seen["type"]) == (links.RT_TABLE_MAIN, links.RTN_UNICAST)
        header = seen["header"]
        assert isinstance(header, dict)
        assert header["flags"] == REQUEST | how


def test_a_wrong_message_is_read_as_wrong() -> None:
    """The control: with another number for an attribute, pyroute2 reads another attribute."""
    seen = read(ifinfmsg, links.new_link("veth1", "veth", unsigned(links.IFLA_MTU + 1, 1400)))
    assert "IFLA_MTU" not in seen
