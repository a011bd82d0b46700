"""The child's side of a container's birth: it walks its steps and turns into the program. No import, no return.

From clone3(2) on, this process is the container. Whatever it needs has been loaded and decided by the parent; it tells
the parent how it went in words over a pipe, never on the user's terminal.
"""

from __future__ import annotations

import os

from tinybox import explain
from tinybox.container import handshake
from tinybox.linux import files, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tinybox.container.live import Live
    from tinybox.container.plan import Step

PROGRAM_FAILED = 125


def become(steps: list[Step], live: Live) -> NoReturn:
    """Carry out the child's *steps*, which end in the program, or report why not and exit with 125."""
    try:
        process.set_name(b"tinybox:child")
        for step in steps:
            step.run()
    except BaseException as error:  # noqa: BLE001  whatever it is, the parent must hear of it
        live.handshake.tell_error(error)
    os._exit(PROGRAM_FAILED)


def wait_for_parent(live: Live) -> None:
    """Wait until the parent has put this process into its control groups and written its id maps."""
    live.handshake.wait(handshake.GO)


def report_ready(live: Live) -> None:
    """Tell the parent that everything but the program is there, and wait for its word to start."""
    live.handshake.tell(handshake.READY, str(live.master).encode())
    live.handshake.wait(handshake.START)


def close_foreign(live: Live) -> None:
    """Close every inherited file descriptor that is not for this child; see close_range(2).

    Among them is the lock of the container, which flock(2) ties to the open file and not to a process: held here, it
    would outlive a parent that was killed.
    """
    close_all_but([*live.streams, *live.kept, *explain.kept, live.handshake.gate, live.handshake.report,
                   *live.handed_over()])  # fmt: skip


def close_inherited(live: Live) -> None:
    """Close every fd but 0, 1, 2, those to be kept, and the report, which execve(2) will close; see close_range(2)."""
    close_all_but([*live.kept, *explain.kept, live.handshake.report])


def close_all_but(keep: list[int]) -> None:
    """Close every file descriptor above 2 that is not in *keep*; see close_range(2)."""
    first = 3
    for fd in sorted(set(keep)):
        if fd > first:
            files.close_range(first, fd - 1)
        first = max(first, fd + 1)
    files.close_range(first)


def hide() -> None:
    """Let nobody in the container look into this process: its memory and /proc/1/exe are the host's Python's.

    See PR_SET_DUMPABLE in prctl(2), and CVE-2019-5736 for what happens otherwise. A change of user sets it anew, and
    execve(2) of a program that may be read ends it.
    """
    process.set_dumpable(False)


def die_with_parent(signal: int) -> None:
    """End with *signal* when tinybox ends, however that happens; see PR_SET_PDEATHSIG in prctl(2)."""
    process.set_parent_death_signal(signal)


def live_on() -> None:
    """Outlive tinybox, from now on: what has been made belongs to whoever adopts it; see prctl(2)."""
    process.set_parent_death_signal(0)
