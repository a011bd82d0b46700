"""What happened, told to whoever listens: the one seam between the engine and everything that shows it.

The engine tells; it never formats and never prints. With nobody listening the cost is one ``if`` a call.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Listener = Callable[[str, tuple[object, ...], object], None]

listeners: list[Listener] = []


def tell(name: str, arguments: tuple[object, ...], result: object) -> None:
    """Tell every listener that the call or step *name* has happened, with its *arguments* and its *result*.

    System calls are told under their own names (``clone3``); steps of a plan as ``step:NAME``.
    """
    for listener in listeners:
        listener(name, arguments, result)
