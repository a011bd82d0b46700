"""`tinybox run` before an audience: the same life of the same container, told to a process that looks and shows."""

from __future__ import annotations

import os
import signal
import sys

from tinybox.container import launch, lifecycle
from tinybox.container.process import wait_loop
from tinybox.errors import UsageError
from tinybox.linux import files, process
from tinybox.seeing import audience, stepping
from tinybox.seeing.interpreter import Interpreter
from tinybox.seeing.teller import LeftError, Teller

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
) -> Ending:
    """Live one container here and now, while an audience of the wanted kind looks; see launch.foreground."""
    wanted = audience.SeeingOptions(options)
    teller = Teller()
    watching = _fork_audience(teller, wanted)
    try:
        with wait_loop.Signals() as signals, Interpreter():
            container = launch.register(image, command, options, handles, passing=bool(options.get("rm")))
            before_start(container)
            _check(container, wanted)
            return _live(container, signals, teller)
    finally:
        teller.close()
        os.waitpid(watching, 0)


def _fork_audience(teller: Teller, wanted: audience.SeeingOptions) -> int:
    """Make the process that looks; it ends when both lanes do."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent, pid = os.getpid(), os.fork()
    if pid:
        wanted.close()
        return pid
    status = 1
    try:
        process.set_name(b"tinybox:explain")
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ends = teller.audience_side()
        files.close_all_but(
            [wanted.fd, *(end.fileno() for end in ends.values())]
        )  # a pipe that we held would have no end
        audience.look(wanted, ends, parent)
        status = 0
    except Exception as error:  # noqa: BLE001  the run goes on without its audience, and says why
        sys.stderr.write(f"tinybox: --explain has failed: {type(error).__name__}: {error}\n")
    finally:
        os._exit(status)


def _check(container: Container, wanted: audience.SeeingOptions) -> None:
    """Take a container back whose plan has not the steps to stop at."""
    try:
        stepping.check(wanted.stops, container.plan)
    except UsageError:
        container.handles.close()
        lifecycle.discard(container)
        raise


def _live(container: Container, signals: Signals, teller: Teller) -> Ending:
    teller.listen()
    teller.say("trace", **_introduction(container))
    try:
        ending = lifecycle.run(container, signals)
    except BaseException as error:
        teller.say("end", status=None, error=str(error), left=getattr(error, "status", 0) == LeftError.status)
        raise
    teller.say("end", status=ending.status, error=None, left=False)
    return ending


def _introduction(container: Container) -> dict[str, Any]:
    """Return what is known before the first step: what was asked for, where, and the plan."""
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
