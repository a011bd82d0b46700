"""Checks for a user without root: the ids of the user's home, the helper programs, the way out, and limits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.doctor.finding import NOTE, OK, Finding, text
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.isolation.rootless import home_network
from tinybox.linux import proc

if TYPE_CHECKING:
    from tinybox.container.records.paths import Paths

_ENOUGH = 65536  # ids, as many as an image may use
_TUN = "/dev/net/tun"


def ids(_: Paths) -> Finding:
    """Count the ids of this user namespace; see user_namespaces(7) and subuid(5)."""
    counts = [
        sum(length for _, _, length in proc.id_map(text(f"/proc/self/{name}"))) for name in ("uid_map", "gid_map")
    ]
    least = min(counts)
    found = f"without root: {counts[0]} user ids and {counts[1]} group ids"
    if least > _ENOUGH:
        return Finding("home", OK, found)
    cure = "apt install uidmap; usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER; end all boxes"
    return Finding("home", NOTE, f"{found}: an image with other owners cannot be unpacked", cure)


def way_out(_: Paths) -> Finding:
    """Check what a box on a bridge needs: slirp4netns(1) or pasta(1), and a TAP device, which udev(7) opens to all."""
    program = os.path.basename(home_network.program())
    if not program:
        found = "neither slirp4netns nor pasta is installed: --network none and host alone"
        return Finding("way out", NOTE, found, "apt install slirp4netns")
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        cure = f"modprobe tun; chmod 666 {_TUN}, as root of the host"
        return Finding("way out", NOTE, f"{_TUN}: {error.strerror}: --network none and host alone", cure)
    return Finding("way out", OK, f"by {program}, boxes on bridges reach the outside, and can publish ports")


def ports(_: Paths) -> Finding:
    """Read from which port on a user without root may publish; see ip-sysctl."""
    first = text("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if first == "0":
        return Finding("ports", OK, "every port can be published")
    cure = "sysctl net.ipv4.ip_unprivileged_port_start=80, as root of the host"
    return Finding("ports", NOTE, f"-p works from port {first} on", cure)


def limits(_: Paths) -> Finding:
    """Say which limits the directory of cgroup v2 has that was given to this user, if any; see cgroups(7)."""
    where = hierarchies()
    if where.unified is None:
        cure = "end all boxes, then: systemd-run --user --scope -p Delegate=yes COMMAND; or see docs/rootless.md"
        return Finding("limits", NOTE, "no control group: -m, --cpus, --pids-limit, pause are refused", cure)
    missing = sorted({"cpu", "memory", "pids"}.difference(where.v2_controllers))
    if missing:
        cure = "have them enabled in cgroup.subtree_control of the group above, as root"
        return Finding("limits", NOTE, f"in {where.unified}, without {' '.join(missing)}", cure)
    return Finding("limits", OK, f"in {where.unified}")
