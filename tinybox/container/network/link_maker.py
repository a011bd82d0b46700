"""The link maker: a child process of tinybox that makes a box's network links (veth pairs) while tinybox goes on.

A child is forked before all else. It makes the links and the firewall rules while the box makes its mounts, reports the
result, and exits. Its name in ps(1) is ``tinybox:links``. If it is killed, the start of the box fails; if its parent is
killed, it ends, too.
"""

from __future__ import annotations

import os

from tinybox import explain
from tinybox.container.network import addresses, host_bridges, pools
from tinybox.container.process import init
from tinybox.container.process.sync_pipe import SyncPipes
from tinybox.errors import StepError
from tinybox.isolation.network import interfaces
from tinybox.linux import process
from tinybox.linux.filesystem import descriptors
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

DONE = b"done"
_ORDER_MAX = 8192


class LinkMaker:
    """The parent's side of the link maker: it sends one order to the child, and reads one answer."""

    def __init__(self) -> None:
        self._pipes = SyncPipes()
        self._pid = os.fork()
        if self._pid == 0:
            _work(self._pipes)
        self._pipes.keep_parent_side()

    def order(self, owner: str, pid: int) -> None:
        """Order the links of the box with the run directory *owner*, whose first process is *pid*."""
        self._pipes.open_gate(f"{pid} {owner}".encode())

    def wait(self) -> None:
        """Wait until the box is connected; an error of the link maker is raised here."""
        try:
            if self._pipes.receive() != [DONE]:
                raise StepError("network", "the process that makes the network links was killed")
        finally:
            self.dismiss()

    def dismiss(self) -> None:
        """Close the pipes, upon which the link maker exits, with or without an order; a second call does no harm."""
        self._pipes.close()
        if self._pid > 0:
            _reap(self._pid)
            self._pid = 0


def _reap(pid: int) -> None:
    """Wait for the end of a link maker.

    ECHILD is no error: the monitor's link maker may be a child of the command that forked the monitor.
    """
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return


def _work(pipes: SyncPipes) -> NoReturn:
    """Be the link maker: wait for the order, carry it out, and exit."""
    listeners, explain.listeners[:] = [*explain.listeners], []  # the preparations are no part of a step
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, init.SIGNALS)  # a Ctrl-C is for the box; this process ends by its pipe
        process.set_name(b"tinybox:links")
        descriptors.keep_only((pipes.gate, pipes.report, *explain.kept))  # not its parent's locks and pipes
        order = os.read(pipes.gate, _ORDER_MAX)
        explain.listeners[:] = listeners
        if order:
            pid, _, owner = os.fsdecode(order.rstrip(b"\n")).partition(" ")
            connect(owner, int(pid))
            pipes.send(DONE)
    except BaseException as error:  # noqa: BLE001  any error must be reported to the parent
        pipes.send_error(error)
    os._exit(0)


def connect(owner: str, pid: int, only: str = "") -> None:
    """Connect the box whose first process is *pid* with its networks, or with *only* that one.

    Under the lock on the host's bridges, nothing is done unless the box's owner is alive: then its record still exists,
    and a command that reaps the box later finds these links.
    """
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with host_bridges.HostBridges() as bridges:
            if not pools.is_alive(owner):
                return
            ends = [end for end in addresses.read(owner) if only in ("", end.network)]
            bridges.connect(owner, ends, namespace)
        way = None if only else addresses.way_out(ends)
        for end in ends:
            gateways = [gateway for gateway in (end.gateway, end.gateway6) if gateway] if end is way else []
            places = [place for place in (end.address, end.address6, *end.link_local) if place]
            says = f"Give {end.interface} in the box {', '.join(places)}, and set it up"
            says += f"; its default route leads to {', '.join(gateways)}" if gateways else ""
            explain.report_part("addresses", says, "ip-address(8)")
            interfaces.configure(namespace, end.interface, places, gateways, end.sysctls)
    finally:
        os.close(namespace)
