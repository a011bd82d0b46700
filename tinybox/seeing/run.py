"""`tinybox run` with `--explain`, `--step` or `--omit`: an ordinary run whose steps are reported to an observer."""

from __future__ import annotations

import os
import signal
import sys

from tinybox.container import launch, lifecycle
from tinybox.container.process import wait_loop
from tinybox.errors import UsageError, report
from tinybox.linux import process
from tinybox.linux.filesystem import descriptors
from tinybox.seeing import audience, stepping
from tinybox.seeing.interpreter import Interpreter
from tinybox.seeing.reporter import LeftError, Reporter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tinybox.container.lifecycle import Container
    from tinybox.container.process.handles import Handles
    from tinybox.container.process.plan import Step
    from tinybox.container.process.wait_loop import Ending, Signals


def foreground(
    image: str,
    command: Sequence[str],
    options: dict[str, Any],
    handles: Handles,
    *,
    before_start: Callable[[Container], None],
    carry_out: Callable[[Container, Signals], Ending] = lifecycle.run,
) -> Ending:
    """Run one container in the foreground, reported to an observer process; see launch.foreground."""
    seeing = audience.SeeingOptions(options)
    reporter = Reporter()
    watching = _fork_observer(reporter, seeing)
    try:
        with wait_loop.Signals() as signals, Interpreter():
            container = launch.register(image, command, options, handles, passing=bool(options.get("rm")))
            before_start(container)
            _check(container, seeing)
            ending = _run(container, signals, reporter, carry_out)
            wait_loop.write_rest(container.handles, signals)
            return ending
    finally:
        reporter.close()
        os.waitpid(watching, 0)


def _fork_observer(reporter: Reporter, seeing: audience.SeeingOptions) -> int:
    """Fork the observer process and return its pid; it ends when both lanes are closed."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent, pid = os.getpid(), os.fork()
    if pid:
        seeing.close()
        return pid
    status = 1
    try:
        process.set_name(b"tinybox:explain")
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ends = reporter.observer_side()
        descriptors.close_all_but(
            [seeing.fd, *(end.fileno() for end in ends.values())]
        )  # if the observer kept the write end of a pipe, its reader would never get end of file
        audience.observe(seeing, ends, parent)
        status = 0
    except Exception as error:  # noqa: BLE001  the run goes on without the observer, and this line states why
        report(f"--explain has failed: {type(error).__name__}: {error}")
    finally:
        os._exit(status)


def _check(container: Container, seeing: audience.SeeingOptions) -> None:
    """Discard the container and raise UsageError if its plan lacks a step to stop at."""
    try:
        stepping.check(seeing.stops, container.plan)
    except UsageError:
        container.handles.close()
        lifecycle.discard(container)
        raise


def _run(
    container: Container, signals: Signals, reporter: Reporter, carry_out: Callable[[Container, Signals], Ending]
) -> Ending:
    reporter.start()
    reporter.send("trace", **_introduction(container))
    try:
        ending = carry_out(container, signals)
    except BaseException as error:
        reporter.send("end", status=None, error=str(error), left=getattr(error, "status", 0) == LeftError.status)
        raise
    reporter.send("end", status=ending.status, error=None, left=False)
    return ending


def _introduction(container: Container) -> dict[str, Any]:
    """Return the contents of the event `begin`: command, container, kernel and plan."""
    system = os.uname()
    return {
        "trace": 1,
        "command": ["tinybox", *sys.argv[1:]],
        "container": container.id,
        "name": container.name,
        "kernel": system.release,
        "machine": system.machine,
        "plan": {lane: [_described(step) for step in steps] for lane, steps in
                 (("parent", container.plan.parent), ("child", container.plan.child))},
    }  # fmt: skip


def _described(step: Step) -> dict[str, Any]:
    return {"name": step.name, "says": step.says, "manual": step.manual, "undo": step.undo_says}
