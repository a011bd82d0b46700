"""Run a container in a process that kills itself, or stops, at a chosen point: for the tests of faults.

    python -m tests.support.plan_faults kill-at EVENT|COUNT  # kill -9 of this process, at an event or the COUNT-th one
    python -m tests.support.plan_faults stop-child-at STEP    # the child prints HERE on stderr and goes no further
    python -m tests.support.plan_faults kill-link-maker-at COUNT  # kill -9 of the link maker at its COUNT-th event
    python -m tests.support.plan_faults kill-link-remover-at COUNT  # kill -9 of the link remover at its COUNT-th event
    python -m tests.support.plan_faults kill-child-at NUMBER:COUNT  # kill -9 of the first or second child of an exec
    python -m tests.support.plan_faults kill-child-with-child clone  # kill -9 of a child when clone() has made another
    python -m tests.support.plan_faults fail-at STEP          # the step raises OSError after it was done

The hooks are explain.listeners of tinybox, or sys.addaudithook of the interpreter: no code of the engine is changed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

WATCHED = ("os.", "open", "fcntl.", "ctypes.call", "socket.")


def kill_at_event(event: str) -> None:
    """Kill this process at the named step or state."""
    from tinybox import explain

    parent = os.getpid()

    def listen(name: str, arguments: tuple[object, ...], result: object, begun: int) -> None:
        if name == event and os.getpid() == parent:
            os.kill(parent, signal.SIGKILL)

    explain.listeners.append(listen)


def kill_at_count(count: int) -> None:
    """Kill this process at its *count*-th call to the operating system, whichever call that is."""
    parent, seen = os.getpid(), 0

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event.startswith(WATCHED) and os.getpid() == parent:
            seen += 1
            if seen == count:
                os.kill(parent, signal.SIGKILL)

    sys.addaudithook(audit)


def kill_child_at(where: str) -> None:
    """Kill the child with this NUMBER, 1 or 2 in the order of their births, at its COUNT-th call."""
    number, _, count = where.partition(":")
    parent, calls = os.getpid(), dict[int, int]()  # a child has its parent's entries, too

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        pid = os.getpid()
        if pid != parent and event.startswith(WATCHED):
            calls[pid] = calls.get(pid, 0) + 1
            if (len(calls), calls[pid]) == (int(number), int(count)):
                os.kill(pid, signal.SIGKILL)

    sys.addaudithook(audit)


def kill_child_with_child(function: str) -> None:
    """Kill a child when *function* has returned the pid of another process to it, before it can do anything more."""
    parent = os.getpid()

    def profile(frame: FrameType, event: str, result: object) -> None:
        if event == "return" and frame.f_code.co_name == function and result and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)


def kill_helper_at(count: str, *, remover: bool) -> None:
    """Kill a helper, which is neither this process nor a PID 1, at its *count*-th call.

    It is the link remover, which begins after its parent has written a note, or before that the link maker.
    """
    from tinybox.container.network import pools

    parent, noted, seen = os.getpid(), False, 0

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal noted, seen
        if os.getpid() == parent:
            noted = noted or (event == "os.rename" and str(arguments[1]).endswith(pools.LEAVING))
        elif os.getpid() != 1 and noted == remover and event.startswith(WATCHED):
            seen += 1
            if seen == int(count):
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)


def kill_link_maker_at(count: str) -> None:
    """Kill the link maker at its *count*-th call."""
    kill_helper_at(count, remover=False)


def kill_link_remover_at(count: str) -> None:
    """Kill the link remover at its *count*-th call."""
    kill_helper_at(count, remover=True)


def stop_child_at(step: str) -> None:
    """Make the child print HERE and wait at the end of *step*, so that the test can kill the parent."""
    from tinybox import explain

    parent = os.getpid()

    def listen(name: str, arguments: tuple[object, ...], result: object, begun: int) -> None:
        if name == f"step:{step}" and os.getpid() != parent:
            os.write(2, b"HERE\n")
            while True:
                time.sleep(1)

    explain.listeners.append(listen)


def fail_at(step: str) -> None:
    """Make *step* fail after it has been done."""
    from tinybox import explain

    def listen(name: str, arguments: tuple[object, ...], result: object, begun: int) -> None:
        if name == f"step:{step}":
            raise OSError(5, "a fault of the test")

    explain.listeners.append(listen)


def main() -> None:
    """Install the fault and run the command line that follows it."""
    import tinybox.cli

    what, where, *words = sys.argv[1:]
    sys.argv[1:] = words
    if what == "kill-at" and where.isdecimal():
        import tinybox.cli.run

        kill_at_count(int(where))
    else:
        faults = {"kill-at": kill_at_event, "stop-child-at": stop_child_at, "fail-at": fail_at}
        faults |= {"kill-child-at": kill_child_at, "kill-child-with-child": kill_child_with_child}
        faults |= {"kill-link-maker-at": kill_link_maker_at, "kill-link-remover-at": kill_link_remover_at}
        faults[what](where)
    tinybox.cli.main()


if __name__ == "__main__":
    main()
