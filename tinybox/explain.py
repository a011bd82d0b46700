"""What happens, told to whoever listens: the one seam between the engine and everything that shows it.

The engine tells; it never formats and never prints. With nobody listening the cost is one ``if`` a call.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Listener = Callable[[str, tuple[object, ...], object, int], None]

listeners: list[Listener] = []
kept: list[int] = []  # file descriptors that listeners need: the child keeps them until execve(2)


def tell(name: str, arguments: tuple[object, ...], result: object, begun: int = 0) -> None:
    """Tell every listener what has happened: *name*, its *arguments*, its *result*, and when it had *begun*.

    System calls are told under their own names (``clone3``), with the kernel's answer: a negative one is an errno(3).
    Steps of a plan are told as ``begin:NAME``, then as ``step:NAME`` or, with the error, as ``failed:NAME``. Times are
    nanoseconds of CLOCK_MONOTONIC, see clock_gettime(2). A listener may wait, and may refuse a step by an exception.
    """
    for listener in listeners:
        listener(name, arguments, result, begun)
