"""The fitter: a process of ours that lays a box's cables while we do all else.

Who speaks with the kernel about links needs pyroute2, which takes longer to load than a container to make. So a child
is sent off first thing, has loaded it by the time there is a box, lays the cables, tells how it went, and ends.
"""

from __future__ import annotations

import os

from tinybox.container.network import addresses, host_bridges, pools
from tinybox.container.process import init
from tinybox.container.process.sync_pipe import SyncPipes
from tinybox.errors import StepError
from tinybox.isolation.network import interfaces
from tinybox.linux import files, process
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

DONE = b"done"
_ORDER_MAX = 8192


class LinkMaker:
    """The child, from our side: it gets one order, and gives one answer."""

    def __init__(self) -> None:
        self._handshake = SyncPipes()
        self._pid = os.fork()
        if self._pid == 0:
            _work(self._handshake)
        self._handshake.keep_parent_side()

    def order(self, owner: str, pid: int) -> None:
        """Have the box with the live directory *owner* connected; its first process is *pid*."""
        self._handshake.open_gate(f"{pid} {owner}".encode())

    def wait(self) -> None:
        """Wait until it is connected; the fitter's error is raised here."""
        try:
            if self._handshake.hear() != [DONE]:
                raise StepError("network", "the process that lays the cables was killed")
        finally:
            self.dismiss()

    def dismiss(self) -> None:
        """Let it end, whether it had an order or not: the end of its pipe is its end. May be called again."""
        self._handshake.close()
        if self._pid > 0:
            _reap(self._pid)
            self._pid = 0


def _reap(pid: int) -> None:
    """Wait for the end of a fitter; the monitor's may be the child of the command that made the monitor."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return


def _work(handshake: SyncPipes) -> NoReturn:
    """Be the fitter: load pyroute2, wait for the order, carry it out, and exit."""
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, init.SIGNALS)  # a Ctrl-C is for the box; we end with our parent
        process.set_name(b"tinybox:fitter")
        _let_go(handshake)
        messages = interfaces.Messages()
        order = os.read(handshake.gate, _ORDER_MAX)
        if order:
            pid, _, owner = os.fsdecode(order.rstrip(b"\n")).partition(" ")
            connect(owner, int(pid), messages)
            handshake.tell(DONE)
    except BaseException as error:  # noqa: BLE001  whatever it is, the parent must hear of it
        handshake.tell_error(error)
    os._exit(0)


def _let_go(handshake: SyncPipes) -> None:
    """Close what our parent has open, a lock or the other ends of our pipes: it must be able to end without us."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nothing, fd)
    first = 3
    for fd in sorted((handshake.gate, handshake.report)):
        if fd > first:
            files.close_range(first, fd - 1)
        first = fd + 1
    files.close_range(first)


def connect(owner: str, pid: int, messages: interfaces.Messages, only: str = "") -> None:
    """Connect the box whose first process is *pid* with its networks, or with *only* that one.

    Once the switchboard is ours the box's owner is looked for: if he lives, whoever buries him later finds all this.
    """
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with host_bridges.HostBridges() as board:
            if not pools.is_alive(owner):
                return
            ends = [end for end in addresses.read(owner) if only in ("", end.network)]
            board.connect(owner, ends, namespace, messages)
        routed = bool(only)  # the way out is the first one's
        for end in ends:
            gateways = [] if end.internal or routed else [gateway for gateway in (end.gateway, end.gateway6) if gateway]
            routed = routed or bool(gateways)
            places = [place for place in (end.address, end.address6) if place]
            interfaces.configure(messages, namespace, end.interface, places, gateways)
    finally:
        os.close(namespace)
