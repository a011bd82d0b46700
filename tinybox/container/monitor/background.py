"""The monitor: the process that owns one background container (``run -d``), keeps its log and restarts it.

There is one monitor for each container, and no daemon above the monitors. The monitor is the parent of PID 1 and holds
the container's lock. It writes BUNDLE/container.log, serves attached clients at attach.sock in the run directory, waits
for the end, starts the container again where its restart policy says so, and records each change in state.json.

If the monitor is killed, the kernel kills PID 1 (PR_SET_PDEATHSIG), and all other processes of the container with it.
The next command that gets the lock removes the rest and records that the exit status is unknown. The container is not
restarted then, whatever its policy says.
"""

from __future__ import annotations

import gc
import os
import select
import time

from tinybox.container import lifecycle
from tinybox.container.config import joined
from tinybox.container.config.restart_policy import Policy
from tinybox.container.monitor import attach_protocol, health, resting
from tinybox.container.monitor.log import opened, target_of
from tinybox.container.monitor.stream_hub import StreamHub
from tinybox.container.process import wait_loop
from tinybox.container.process.handles import Handles
from tinybox.container.process.sync_pipe import SyncPipes
from tinybox.container.records import spec, state
from tinybox.errors import StateError, TinyboxError
from tinybox.linux import own_memory, user_namespaces
from tinybox.linux.filesystem import descriptors
from tinybox.linux.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from contextvars import ContextVar
    from typing import NoReturn

    from tinybox.container.lifecycle import Container
    from tinybox.container.process.wait_loop import Ending, Signals, WaitLoop
else:
    from _contextvars import ContextVar  # the C module alone, as in linux/signals

STARTED = b"started"
# The descriptors of the Python program that uses tinybox as a library (descriptors.open_now), in the thread that starts
# a container: its monitor closes them. A socket of the program would otherwise stay open as long as the container runs.
STRANGERS: ContextVar[dict[int, tuple[int, int]]] = ContextVar("strangers", default={})


def launch(container: Container, client: _socket.socket | None = None) -> None:
    """Hand a registered container over to a new monitor; return when its program runs, or raise what prevented that.

    *client*, if given, is the monitor's end of a socket pair: a client that is attached before the program starts has
    the other end, and so gets all of its output.
    """
    try:
        if (target := target_of(container)) is not None:  # an error is the command's, before there is a monitor
            target.close()
        report = SyncPipes()
        middle = os.fork()
    except BaseException:
        container.handles.close()
        container.record.close()
        raise
    if middle == 0:
        _fork_monitor(container, report, client)
    os.waitpid(middle, 0)
    container.record.hand_over()
    container.handles.close()  # the monitor has copies; a pipe ends only when all writers have closed it
    report.keep_parent_side()
    try:
        if report.receive() != [STARTED]:
            raise TinyboxError(f"container {container.id[:12]}", "its monitor ended before the program ran")
    finally:
        report.close()


def _fork_monitor(container: Container, report: SyncPipes, client: _socket.socket | None) -> NoReturn:
    """Be the process between the command and the monitor, which leads a session of its own; see daemon(7).

    So the command is not the parent of the monitor. An error, such as EAGAIN of fork(2), is reported: this process must
    not go on with what its parent does.
    """
    try:
        os.setsid()
        if os.fork() == 0:
            be_monitor(container, report, client)
    except BaseException as error:  # noqa: BLE001  any error must be reported to the command
        report.send_error(error)
    finally:
        os._exit(0)


def be_monitor(container: Container, report: SyncPipes, client: _socket.socket | None) -> NoReturn:
    """Be the monitor of *container*; exit when the container has ended and is not started again."""
    try:
        own_memory.set_title(b"tinybox:monitor", container.host.arguments)
        user_namespaces.hold_home()
        devnull = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(devnull, fd)
        close_inherited()
        descriptors.close_those(STRANGERS.get())
        os.chdir("/")
        gc.freeze()  # no later collection reads the objects that exist now, so their memory pages remain shared
        with wait_loop.Signals() as signals:
            guard(container, signals, report, client)
    except BaseException as error:  # noqa: BLE001  any error must be reported to the command, if that waits yet
        report.send_error(error)
    finally:
        os._exit(0)


def close_inherited() -> None:
    """Close the fds inherited from the caller (a lock, a pipe): those without close-on-exec; tinybox's all have it."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                os.close(int(name))
        except OSError:  # the fd with which this directory was read
            continue


def guard(container: Container, signals: Signals, report: SyncPipes, client: _socket.socket | None) -> None:
    """Run the container, and again as often as its restart policy says; only the first start is reported on *report*.

    After an exception the container is abandoned (`lifecycle.abandon`), and the exception is raised again.
    """
    log = opened(container)
    server = attach_protocol.listen(container.paths.run_directory(container.id))
    policy = Policy(container.annotations.get(spec.RESTART, "no"), container.annotations)
    try:
        while True:
            ending = live_once(container, signals, StreamHub(container, log, server, client), report)
            client = None
            policy = policy.now(current_policy(container, policy.text))
            if ending is None or not policy.again(ending, stopped=asked_to_stop(container)):
                break
            note(container, restarting=True, restarts=policy.count)
            if not pause_before_restart(container, signals, policy.delay()):
                break
            container = planned_again(container)
    except BaseException as error:
        lifecycle.abandon(container, error)
        raise
    finally:
        log.close()
        server.close()
        if container.record.state.get("restarting"):
            note(container, restarting=False)
        lifecycle.close(container)


def live_once(container: Container, signals: Signals, streams: StreamHub, report: SyncPipes) -> Ending | None:
    """Create, start, watch and stop the container; return how it ended.

    Return None if it could not be started; the error is then recorded in state.json and reported.
    """
    try:
        streams.open()
        lifecycle.create(container)
        health.prepare(container)
        lifecycle.start(container)
    except TinyboxError as error:
        container.runner.undo()
        streams.close(error.status)
        container.record.write(status=state.STOPPED, exitCode=error.status, error=str(error), finishedAt=state.now())
        report.send_error(error)
        return None
    streams.started()
    report.send(STARTED)
    report.close()
    ending = wait_loop.watch(container, signals, lambda watching: watch(watching, container, streams))
    lifecycle.stop(container, ending)
    streams.close(ending.status)
    return ending


def watch(watching: WaitLoop, container: Container, streams: StreamHub) -> None:
    """Pass data between container, log and clients, and check the container's health, until it ends."""
    check = health.Check.of(container)
    if check is not None:
        check.attend(watching)
    if not STRANGERS.get():  # the memory of a Python program that uses tinybox as a library is not for a disk
        resting.plan(watching, container.bundle, container.record.state.get("restarts", 0))
    streams.watch(watching)
    if check is not None:
        check.close()


def note(container: Container, **changes: object) -> None:
    """Write *changes* to state.json; a full disk is no reason to end the container, or not to start it again."""
    try:
        container.record.write(**changes)
    except StateError:
        return


def current_policy(container: Container, former: str) -> str:
    """Return the restart policy that config.json has now (`tinybox update`), or *former* if it cannot be read."""
    try:
        annotations: dict[str, str] = spec.load(container.bundle).get("annotations", {})
    except (OSError, TinyboxError):
        return former
    return annotations.get(spec.RESTART, "no")


def asked_to_stop(container: Container) -> bool:
    """Return whether a command asked for this end (`control.forbid_restart`), and remove its mark."""
    try:
        os.unlink(os.path.join(container.paths.run_directory(container.id), state.NO_RESTART))
    except FileNotFoundError:
        return False
    return True


def pause_before_restart(container: Container, signals: Signals, seconds: float) -> bool:
    """Wait *seconds* before the next start; return False if a command stops or removes the container during the wait.

    A SIGTERM, SIGINT or SIGHUP to the monitor has the same result.
    """
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        select.select([signals.fd], [], [], min(left, 0.1))
        if asked_to_stop(container) or set(signals.pending()) & {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}:
            return False
    return True


def planned_again(container: Container) -> Container:
    """Return the container planned again, from its current config.json; the monitor remains its owner.

    The objects of its former run are collected now: no PID 1 exists, so none shares the pages that a collection writes.
    """
    gc.collect()
    handles = Handles()
    handles.window = container.handles.window
    config = joined.refresh(container.paths, spec.load(container.bundle))
    again = lifecycle.Container(container.paths, container.id, config, container.host, handles)
    again.record = container.record
    note(again, restarting=False)
    return again
