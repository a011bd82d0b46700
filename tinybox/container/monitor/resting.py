"""Resting: a monitor, which has nothing to do most of the time, waits for the next event without its memory.

The memory is in a file in the bundle meanwhile, see machine_code/own_swap.py. The file has no name: when the monitor
ends, in whatever way, it is gone.
"""

from __future__ import annotations

from tinybox.linux.machine_code import own_swap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.process.wait_loop import WaitLoop

QUIET = 1.0  # seconds after the start; a container that ends before costs no write to the disk
LONGER, MOST = 8, 5  # how many times as long as before the next pause is, and after how many rests it stays so


def plan(watching: WaitLoop, folder: str, before: int = 0) -> None:
    """Rest after a pause, with the memory in a file in *folder*, and again after longer and longer pauses.

    With the first event the memory is in use again. So a container with many events, or many starts, costs few writes:
    *before* is how many there were.
    """

    def rest() -> None:
        if own_swap.wait(folder, watching.masks.items(), watching.timeout()):
            plan(watching, folder, before + 1)

    watching.after(QUIET * LONGER ** min(before, MOST), rest)
