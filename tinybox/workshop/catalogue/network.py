"""A cable to the host: the veth pair.

A new network namespace has one interface, lo, and that is down: not even 127.0.0.1 answers. Interfaces, addresses,
routes, firewall rules and port numbers are all the namespace's own. So a program in the box may listen on port 80 while
another one does on the host, but nobody reaches it.

A veth pair is a cable with an interface at each end: a packet that goes into one comes out of the other. One end stays
on the host, the other is made in the box. Only then can the box be configured: so the child waits at a pipe until the
parent has made the cable. Each end needs an address of the same network, and has to be set up. The route of the box
leads to all other networks via the host. (With a bridge at the host's ends many boxes share one network, and NAT leads
on to the world; `tinybox network show` draws it.)
"""

from __future__ import annotations

import shutil
import socket
import time
from typing import TYPE_CHECKING

from tinybox.errors import HostError
from tinybox.linux.waiting import until
from tinybox.workshop.catalogue.fork_exec import ends
from tinybox.workshop.catalogue.mounts import host_mounts, nothing_leaks
from tinybox.workshop.catalogue.overlay import BOX, OTHER
from tinybox.workshop.catalogue.pid_1 import numbers
from tinybox.workshop.catalogue.pivot_root import root_of_namespace
from tinybox.workshop.levels import Level
from tinybox.workshop.trial import ROOTFS, Attempt, namespace, nothing_runs, read

if TYPE_CHECKING:
    from tinybox.workshop.trial import Trial

INSIDE = "10.99.0.2"
HOST, DEFAULT = "10.99.0.1", ("00000000", "0100630A")  # 0.0.0.0 via 10.99.0.1, as /proc/net/route writes them


def check(trial: Trial) -> None:
    """Read the interfaces and routes of the box, and let it reach itself and the host."""
    if not shutil.which("ip"):
        raise HostError("level network", "the program ip(8) is missing", "apt-get install iproute2")
    before, links = host_mounts(), interfaces(1)
    with Attempt([ROOTFS, BOX, "sh"]) as attempt:
        attempt.ask("echo ready")
        program = attempt.program()
        root_of_namespace(trial, program)
        numbers(trial, program)
        own_network(trial, program, attempt.pid)
        reaches(trial, attempt, "127.0.0.1", "set lo up")
        reaches(trial, attempt, HOST, "give both ends an address, and set both up")
        is_reached(trial, INSIDE)
        routes = [tuple(line.split()[1:3]) for line in read(program, "net/route").splitlines()]
        trial.fact(
            DEFAULT in routes,
            f"the default route of the box leads via {HOST} (/proc/{program}/net/route)",
            f"/proc/{program}/net/route has no default route via {HOST}; see ip-route(8)",
        )
        attempt.end()  # not killed: the student's process has to remove box0, before the next one makes it again
    ends(trial, [ROOTFS, OTHER])
    until(lambda: interfaces(1) == links, time.monotonic() + 2, 0.01)
    left = ", ".join(sorted(interfaces(1) - links))
    trial.fact(
        not left, "no interface is left on the host (/proc/net/dev)", f"an interface is left on the host: {left}"
    )
    nothing_leaks(trial, before, "after the end ")
    nothing_runs(trial)


def interfaces(pid: int) -> set[str]:
    """Return the names of the interfaces in the network namespace of process *pid*; see net/dev in proc_pid_net(5)."""
    return {line.partition(":")[0].strip() for line in read(pid, "net/dev").splitlines()[2:]}


def own_network(trial: Trial, program: int, own: int) -> None:
    """Require a network namespace that has lo and eth0, and one more interface on the host."""
    there, host = namespace(program, "net"), namespace(1, "net")
    trial.fact(
        there != host,
        f"/proc/{program}/ns/net is {there}, the host's is {host}",
        f"/proc/{program}/ns/net is {there}, as on the host: the program has no network namespace of its own",
    )
    trial.fact(
        namespace(own, "net") == host,
        f"/proc/{own}/ns/net, of your own process, is the host's",
        f"/proc/{own}/ns/net is not the host's: your own process has left it, too",
    )
    inside = interfaces(program)
    trial.fact(
        inside == {"lo", "eth0"},
        f"the box has the interfaces lo and eth0 (/proc/{program}/net/dev)",
        f"the box has the interfaces {', '.join(sorted(inside))}, expected eth0 and lo (/proc/{program}/net/dev)",
    )
    trial.fact(
        "box0" in interfaces(1),
        "the host has the other end, box0 (/proc/net/dev)",
        "the host has no interface box0 (/proc/net/dev): where is the other end of the cable?",
    )


def reaches(trial: Trial, attempt: Attempt, address: str, cure: str) -> None:
    """Require that the address answers an ICMP echo request from the box; see icmp(7)."""
    found = attempt.ask(f"ping -c 1 -W 2 {address} > /dev/null 2>&1 && echo yes || echo no")
    trial.fact(found == "yes", f"{address} answers in the box", f"{address} does not answer in the box: {cure}")


def is_reached(trial: Trial, address: str) -> None:
    """Require that the box has the address: it refuses a connection from the host, ECONNREFUSED in connect(2)."""
    error = None
    try:
        socket.create_connection((address, 9), 2).close()
    except OSError as found:
        error = found
    trial.fact(
        error is None or isinstance(error, ConnectionRefusedError),
        f"{address} answers on the host",
        f"{address} does not answer on the host: give eth0 this address",
    )


LEVEL = Level(
    usage="ROOT BOX PROGRAM [ARGUMENT...]",
    pages="network_namespaces(7), veth(4), ip-link(8), ip-address(8), ip-route(8)",
    hints=(
        "By hand: ip link add A type veth peer name B netns PID. The end B is made in the namespace of that process.",
        "ip address add ADDRESS/24 dev NAME; ip link set NAME up; ip route add default via ADDRESS.",
        "Look while a box runs: nsenter -t PID -n ip address. PID is that of the program on the host.",
    ),
    check=check,
)
