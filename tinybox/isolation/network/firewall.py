"""The firewall: published ports (-p), masquerading and isolation of networks, in the nftables table `inet tinybox`.

The rules of the table never change. Bridges, subnets and published ports are elements of the sets that the rules use:
tinybox adds and removes these elements, so a change is a small transaction, and no other table is changed. The table
stays in the kernel if tinybox is killed. See nft(8).
"""

from __future__ import annotations

from tinybox.errors import HostError, StepError
from tinybox.linux.sockets.nftables import Nftables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    Members: TypeAlias = "Iterable[Bridge | Published]"

TABLE = "inet tinybox"
_GONE = f"table {TABLE}\ndelete table {TABLE}\n"  # the first line makes it, if it does not exist

RULES = """
table inet tinybox {
    set bridges { type ifname; comment "the bridges of tinybox networks"; }
    set closed { type ifname; comment "the bridges of internal networks"; }
    set neighbours { type ifname . ifname; comment "each bridge with itself"; }
    set boxes { type ipv4_addr; flags interval; comment "the addresses of all boxes"; }
    set boxes6 { type ipv6_addr; flags interval; }
    map published { type inet_proto . inet_service : ipv4_addr . inet_service; }
    map published6 { type inet_proto . inet_service : ipv6_addr . inet_service; }
    map published_at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
    map published6_at { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }

    chain forged {
        type filter hook prerouting priority raw;
        iifname @bridges ip daddr 127.0.0.0/8 counter drop comment "the host's loopback is not a box's"
    }
    chain incoming {
        type nat hook prerouting priority dstnat;
        ip daddr 127.0.0.0/8 return
        goto publish
    }
    chain outgoing {
        type nat hook output priority -100;
        ip6 daddr ::1 return comment "the kernel lets no packet from ::1 leave"
        goto publish
    }
    chain publish {
        dnat ip to ip daddr . meta l4proto . th dport map @published_at
        dnat ip6 to ip6 daddr . meta l4proto . th dport map @published6_at
        fib daddr type local dnat ip to meta l4proto . th dport map @published
        fib daddr type local dnat ip6 to meta l4proto . th dport map @published6
    }
    chain forward {
        type filter hook forward priority filter; policy accept;
        iifname . oifname @neighbours counter accept comment "box to box"
        iifname @closed counter drop comment "nothing leaves an internal network"
        oifname @closed counter drop
        ct state established,related counter accept
        ct status dnat counter accept comment "to a published port"
        oifname @bridges counter drop comment "to a box from outside, or from another network"
    }
    chain leaving {
        type nat hook postrouting priority srcnat;
        oifname != @bridges ip saddr @boxes counter masquerade comment "the host's address instead of a box's"
        oifname != @bridges ip6 saddr @boxes6 counter masquerade
        oifname @bridges ip saddr 127.0.0.0/8 counter masquerade comment "to a published port at 127.0.0.1"
        oifname @bridges ct status dnat ip saddr @boxes counter masquerade comment "from a box to a published port"
        oifname @bridges ct status dnat ip6 saddr @boxes6 counter masquerade
    }
}
"""


class Bridge:
    """A network in the firewall: the name of its bridge, its subnets, and whether it is internal.

    *talks*: its boxes reach each other. The subnets are those whose packets leave with the host's address.
    """

    def __init__(self, name: str, subnets: Iterable[str], *, internal: bool, talks: bool = True) -> None:
        self.name, self.subnets, self.internal = name, [subnet for subnet in subnets if subnet], internal
        self.talks = talks

    def elements(self) -> list[tuple[str, str]]:
        """Return its elements in the table, each as (name of the set, element)."""
        found = [("bridges", f'"{self.name}"')]
        found += [("neighbours", f'"{self.name}" . "{self.name}"')] * self.talks
        found += [("boxes6" if ":" in subnet else "boxes", subnet) for subnet in self.subnets]
        return [*found, ("closed", f'"{self.name}"')] if self.internal else found


class Published:
    """A published port: packets to *host*:*port* are sent to *box*:*inside*. An empty *host* means all addresses."""

    def __init__(self, host: str, port: int, protocol: str, box: str, inside: int) -> None:
        self.host, self.port, self.protocol, self.box, self.inside = host, port, protocol, box, inside

    def elements(self) -> list[tuple[str, str]]:
        """Return its element in the table, as (name of the map, element)."""
        name = "published6" if ":" in self.box else "published"
        key = f"{self.protocol} . {self.port}"
        if self.host not in ("", "0.0.0.0", "::"):  # noqa: S104  compared, not bound
            name, key = f"{name}_at", f"{self.host} . {key}"
        return [(name, f"{key} : {self.box} . {self.inside}")]


def load(nft: Nftables, everything: Members) -> None:
    """Replace the table by a new one with the elements of *everything*, in one transaction; see nft(8).

    Most often there is no table. To delete it all the same would make the kernel wait: see Nftables.
    """
    made = f"{RULES}{_each('add', everything)}"
    if not nft.carry_out(f"create table {TABLE}\n{made}")[0]:
        _change(nft, _GONE + made)


def add(nft: Nftables, members: Members) -> None:
    """Add the elements of *members*; one that exists is no error. StepError: the table is gone (nft flush ruleset)."""
    _change(nft, _each("add", members))


def exchange(nft: Nftables, gone: Members, new: Members) -> None:
    """Delete the elements of *gone*, if they exist, and add those of *new*, in one transaction; StepError as `add`."""
    _change(nft, _each("add", gone) + _each("delete", gone) + _each("add", new))


def clear(nft: Nftables) -> None:
    """Remove the table; no error if it does not exist."""
    _change(nft, _GONE)


def _each(verb: str, members: Members) -> str:
    return "".join(
        f"{verb} element {TABLE} {name} {{ {element} }}\n" for member in members for name, element in member.elements()
    )


def _change(nft: Nftables, script: str) -> None:
    """Carry out *script*; StepError, with nft's message: it is refused, and nothing has changed."""
    accepted, complaint = nft.carry_out(script)
    if not accepted:
        raise StepError("firewall", complaint, "see nft(8)")


def listed() -> str:
    """Return the table with its elements and counters, as nft(8) lists it; "" if it does not exist, or no nftables."""
    try:
        with Nftables() as nft:
            accepted, text = nft.carry_out(f"list table {TABLE}\n")
    except HostError:
        return ""
    return text if accepted else ""


def counted() -> list[tuple[str, str]]:
    """Return the rules of the table that count packets, each as (chain, rule of nft(8)); none if there is no table."""
    chain, found = "", []
    for line in map(str.strip, listed().splitlines()):
        if line.startswith("chain "):
            chain = line.split()[1]
        elif " counter packets " in line:
            found.append((chain, line))
    return found
