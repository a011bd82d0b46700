"""Checks of the network: nftables, IP forwarding, and firewall rules of other programs that drop packets of boxes.

A packet must pass every base chain of its hook. So "accept" in tinybox's table does not help if another table has
"drop".
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybox.doctor.finding import NOTE, OK, Finding, is_root, text, tried
from tinybox.errors import HostError
from tinybox.linux import process
from tinybox.linux.sockets.nftables import Nftables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinybox.container.records.paths import Paths

BRIDGE = "tinybox0"
PATIENCE = 10  # seconds
CLONE_NEWNET = 0x40000000
LET_THROUGH = f"accept packets from and to {BRIDGE} there"


class Obstacle(NamedTuple):
    """A rule or chain that drops packets of boxes, and the command that makes it accept them."""

    description: str
    cure: str


def nftables(_: Paths) -> Finding:
    """Try to make a table, in a network namespace that ends at once; see nft(8)."""
    try:
        with Nftables():
            pass
    except HostError as error:
        found = f"{error.thing} {error.cause}: no published ports, no way out"
        return Finding("nftables", NOTE, found, error.cure)
    if not is_root():
        return Finding("nftables", OK, "it is installed; only root can try it")
    refused = tried(_make_table)
    if refused:
        cure = "modprobe nf_tables nft_chain_nat; or --network none or host"
        return Finding("nftables", NOTE, refused, cure)
    return Finding("nftables", OK, "a table with NAT can be made")


def _nft() -> str:
    return shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin") or ""


def _make_table() -> None:
    process.unshare(CLONE_NEWNET)
    with Nftables() as nft:
        accepted, told = nft.carry_out(
            "table inet tinybox {\n chain out {\n type nat hook postrouting priority srcnat;\n masquerade\n }\n}\n"
        )
    if not accepted:
        raise HostError("nft", told)


def forwarding(_: Paths) -> Finding:
    """Read ip_forward; see ip(7) and "ip-sysctl" in the kernel's documentation."""
    if text("/proc/sys/net/ipv4/ip_forward") == "1":
        return Finding("forwarding", OK, "net.ipv4.ip_forward = 1")
    if os.access("/proc/sys/net/ipv4/ip_forward", os.W_OK):
        return Finding("forwarding", OK, "net.ipv4.ip_forward = 0; switched on with the first box on a bridge")
    cure = "sysctl net.ipv4.ip_forward=1, as root of the host"
    return Finding(
        "forwarding", NOTE, "off, and tinybox cannot switch it on: boxes reach the host and one another", cure
    )


def others(_: Paths) -> Finding:
    """Search the rules of other programs for those that drop forwarded packets; see nft(8) and iptables(8)."""
    if not is_root():
        return Finding("firewall", OK, "only root can read the rules")
    found = [*_in_nftables(_ruleset()), *_in_iptables()]
    if found:
        obstacles = ", ".join(dict.fromkeys(obstacle.description for obstacle in found))
        cures = "; ".join(dict.fromkeys(obstacle.cure for obstacle in found))
        return Finding("firewall", NOTE, f"{obstacles}: boxes on a bridge will not reach other machines", cures)
    return Finding("firewall", OK, "no other rules drop packets of boxes")


def _ruleset() -> list[dict[str, Any]]:
    """Return the objects of ``nft -j list ruleset``; none if there is no nft; see libnftables-json(5)."""
    nft = _nft()
    if not nft:
        return []
    done = subprocess.run([nft, "-j", "list", "ruleset"], capture_output=True, text=True, check=False, timeout=PATIENCE)
    try:
        objects: list[dict[str, Any]] = json.loads(done.stdout)["nftables"]
    except (ValueError, KeyError):
        return []
    return objects


def _in_nftables(ruleset: list[dict[str, Any]]) -> Iterator[Obstacle]:
    """Find base chains at the hook ``forward`` with the policy drop, and firewalld's, whose last rule rejects."""
    chains = [thing["chain"] for thing in ruleset if "chain" in thing]
    docker = any(chain["name"] == "DOCKER-USER" for chain in chains)
    for chain in chains:
        if chain.get("hook") != "forward" or (chain["family"], chain["table"]) == ("inet", "tinybox"):
            continue
        where = f"{chain['family']} {chain['table']} {chain['name']}"
        if chain["table"] == "firewalld":
            cure = f"firewall-cmd --zone=trusted --add-interface={BRIDGE}"
            yield Obstacle("firewalld rejects what no zone allows", cure)
        elif chain.get("policy") == "drop" and docker:
            yield Obstacle(f"docker's chain {where} has the policy drop", _accept("DOCKER-USER"))
        elif chain.get("policy") == "drop":
            yield Obstacle(f"the chain {where} has the policy drop", LET_THROUGH)


def _in_iptables() -> Iterator[Obstacle]:
    """Search the rules of the older iptables, which nft does not list; only if it is in use: listing would load it."""
    if "filter" not in text("/proc/net/ip_tables_names").split():
        return
    command = shutil.which("iptables-legacy") or "/usr/sbin/iptables-legacy"
    if not os.path.exists(command):
        yield Obstacle("there are rules of the older iptables, which is not here to read them", "install iptables")
        return
    done = subprocess.run([command, "-S"], capture_output=True, text=True, check=False, timeout=PATIENCE)
    if "-P FORWARD DROP" in done.stdout.splitlines():
        chain = "DOCKER-USER" if "-N DOCKER-USER" in done.stdout.splitlines() else "FORWARD"
        yield Obstacle("iptables-legacy's FORWARD has the policy DROP", _accept(chain, "iptables-legacy"))


def _accept(chain: str, command: str = "iptables") -> str:
    return " && ".join(f"{command} -I {chain} -{way} {BRIDGE} -j ACCEPT" for way in "io")
