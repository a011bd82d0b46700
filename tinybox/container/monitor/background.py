"""A container that nobody holds in the foreground: its monitor, one small process, watches over it instead.

The monitor is the container's owner and its parent. It keeps the log, serves whoever attaches, sees the end, starts the
container again where its policy says so, and writes down what happened. There is no daemon above it.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import time

from tinybox.container import lifecycle
from tinybox.container.config.restart_policy import Policy
from tinybox.container.monitor import attach_protocol, health
from tinybox.container.monitor.log import Log
from tinybox.container.process import wait_loop
from tinybox.container.process.handles import Handles
from tinybox.container.process.sync_pipe import SyncPipes
from tinybox.container.records import spec, state
from tinybox.errors import TinyboxError
from tinybox.isolation import terminal
from tinybox.linux import own_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import NoReturn

    from tinybox.container.lifecycle import Container
    from tinybox.container.process.wait_loop import Ending, Signals, WaitLoop

STARTED = b"started"


def launch(container: Container, guest: _socket.socket | None = None) -> None:
    """Hand a registered container over to a new monitor; returns when its program runs, else raises why it does not.

    *guest* is the monitor's end of a line for who is attached from the first byte on. The monitor is forked twice, so
    that it is nobody's child, and leads a session of its own; see daemon(7).
    """
    report = SyncPipes()
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        be_monitor(container, report, guest)
    os.waitpid(middle, 0)
    container.record.hand_over()
    container.handles.close()  # the monitor has its own; a pipe's end comes only when all its writers have closed it
    report.keep_parent_side()
    try:
        if report.hear() != [STARTED]:
            raise TinyboxError(f"container {container.id[:12]}", "its monitor ended before the program ran")
    finally:
        report.close()


def be_monitor(container: Container, report: SyncPipes, guest: _socket.socket | None) -> NoReturn:
    """Be the monitor of *container* until it ends for good, and exit."""
    try:
        own_memory.set_title(b"tinybox:monitor", container.host.arguments)
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(nothing, fd)
        close_inherited()
        os.chdir("/")
        gc.freeze()  # what is here by now stays: no collection looks at it again
        with wait_loop.Signals() as signals:
            guard(container, signals, report, guest)
    finally:
        os._exit(0)


def close_inherited() -> None:
    """Close what our caller had open, a lock of his or a pipe: all that is not close-on-exec, for all of ours is."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                os.close(int(name))
        except OSError:  # the descriptor that has read the directory
            continue


def guard(container: Container, signals: Signals, report: SyncPipes, guest: _socket.socket | None) -> None:
    """Live the container, again and again where its policy says so; the first start is reported."""
    log = Log(
        os.path.join(container.bundle, "container.log"),
        int(container.annotations.get(spec.LOG_MAX_SIZE, 0)),
        int(container.annotations.get(spec.LOG_MAX_FILES, 1)),
    )
    server = attach_protocol.listen(container.paths.run_directory(container.id))
    policy = Policy(container.annotations.get(spec.RESTART, "no"))
    try:
        while True:
            ending = live_once(container, signals, StreamHub(container, log, server, guest), report)
            guest = None
            policy = policy.now(spec.load(container.bundle).get("annotations", {}).get(spec.RESTART, "no"))
            if ending is None or not policy.again(ending, stopped=asked_to_stop(container)):
                break
            container.record.write(restarting=True, restarts=policy.count)
            if not pause_before_restart(container, signals, policy.delay()):
                break
            container = renewed(container)
    except BaseException as error:
        lifecycle.abandon(container, error)
        report.tell_error(error)
        raise
    finally:
        log.close()
        server.close()
        if container.record.state.get("restarting"):
            container.record.write(restarting=False)
        lifecycle.close(container)


def live_once(container: Container, signals: Signals, desk: StreamHub, report: SyncPipes) -> Ending | None:
    """Create, start, watch and stop; None when it could not be started, which is written down and reported."""
    try:
        desk.open()
        lifecycle.create(container)
        health.prepare(container)
        lifecycle.start(container)
    except TinyboxError as error:
        container.runner.undo()
        desk.close(error.status)
        container.record.write(status=state.STOPPED, exitCode=error.status, error=str(error), finishedAt=state.now())
        report.tell_error(error)
        return None
    desk.started()
    report.tell(STARTED)
    report.close()
    ending = wait_loop.watch(container, signals, desk.watch)
    lifecycle.stop(container, ending)
    desk.close(ending.status)
    return ending


class StreamHub:
    """Where a container's streams come together: its log, those attached, and what is typed."""

    def __init__(self, container: Container, log: Log, server: _socket.socket, guest: _socket.socket | None) -> None:
        self.container, self.log, self.server, self.guest = container, log, server, guest
        self.outputs: dict[int, bytes] = {}
        self.stdin = -1
        self.childs: list[int] = []
        self.board: attach_protocol.AttachServer | None = None

    def open(self) -> None:
        """Make the pipes for stdin, stdout and stderr, of which a container with a terminal needs none; see pipe(2)."""
        out, out_in = os.pipe()
        err, err_in = os.pipe()
        stdin, self.stdin = os.pipe()
        self.outputs, self.childs = {out: attach_protocol.OUT, err: attach_protocol.ERR}, [stdin, out_in, err_in]
        if not self.container.annotations.get(spec.INTERACTIVE):
            os.close(stdin)
            self.childs[0] = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            os.close(self.stdin)
            self.stdin = -1
        else:
            os.set_blocking(self.stdin, False)
        self.container.handles.streams = (self.childs[0], out_in, err_in)

    def started(self) -> None:
        """Close the program's ends of the pipes; with a terminal, it takes the place of them all."""
        for fd in self.childs:
            os.close(fd)
        self.childs = []
        master = self.container.handles.master
        if master >= 0:
            for fd in [*self.outputs, *([self.stdin] if self.stdin >= 0 else [])]:
                os.close(fd)
            os.set_blocking(master, False)
            self.outputs, self.stdin = {master: attach_protocol.OUT}, master

    def watch(self, watching: WaitLoop) -> None:
        """Carry everything to where it belongs until the container ends; then what is still in the pipes."""
        board = self.board = attach_protocol.AttachServer(watching, self.log.write, self.outputs, self.stdin)
        board.resize = self._resize
        if self.guest is not None:
            board.admit(self.guest)
        watching.listen(self.server.fileno(), lambda: board.welcome(self.server))
        check = health.Check.of(self.container)
        if check is not None:
            check.attend(watching)
        watching.until_the_end()
        board.drain()
        if check is not None:
            check.close()

    def _resize(self, rows: int, columns: int) -> None:
        if self.container.handles.master >= 0:
            terminal.set_size(self.container.handles.master, rows, columns)

    def close(self, status: int) -> None:
        """Say goodbye to those attached, and close what is open."""
        if self.board is not None:
            self.board.goodbye(status)
            self.stdin = self.board.stdin
        elif self.guest is not None:
            self.guest.close()
        for fd in [*self.childs, *self.outputs, *({self.stdin} - {-1} - set(self.outputs))]:
            if fd != self.container.handles.master:
                wait_loop.close_quietly(fd)
        self.outputs, self.childs, self.stdin = {}, [], -1


def asked_to_stop(container: Container) -> bool:
    """Tell whether somebody wanted this end, and forget it: see control.forbid_restart."""
    try:
        os.unlink(os.path.join(container.paths.run_directory(container.id), state.NO_RESTART))
    except FileNotFoundError:
        return False
    return True


def pause_before_restart(container: Container, signals: Signals, seconds: float) -> bool:
    """Wait before the next start; False when it is stopped or removed meanwhile, or we are told to end."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        select.select([signals.fd], [], [], min(left, 0.1))
        if asked_to_stop(container) or set(signals.pending()) & {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}:
            return False
    return True


def renewed(container: Container) -> Container:
    """Return the container planned anew, from its config.json as it is now, in the hands of the same owner.

    What is left of its former life goes in one sweep, now that no PID 1 shares the pages that a collection touches.
    """
    gc.collect()
    handles = Handles()
    again = lifecycle.Container(container.paths, container.id, spec.load(container.bundle), container.host, handles)
    again.record = container.record
    again.record.write(restarting=False)
    return again
