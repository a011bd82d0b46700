"""The numbers of signals by their names, as docker, runc and kill(1) write them; see signal(7)."""

from __future__ import annotations

from tinybox.linux.signals import signal
from tinybox.text_values import is_whole


def signal_named(text: str) -> int:
    """Return the number of the signal *text*, or 0 if there is no such signal; see signal(7).

    A real-time signal has a name from either end: RTMIN+3 asks systemd to stop, and so does SIGRTMAX-27.
    """
    if is_whole(text):
        return int(text) if int(text) <= signal.SIGRTMAX else 0
    name = text.upper().removeprefix("SIG")
    for first, sign in (("RTMIN+", 1), ("RTMAX-", -1)):
        if name.startswith(first):
            distance = name.removeprefix(first)
            most = signal.SIGRTMAX - signal.SIGRTMIN
            known = is_whole(distance) and int(distance) <= most
            return int(getattr(signal, f"SIG{first[:-1]}")) + sign * int(distance) if known else 0
    if name.startswith("_") or not isinstance(getattr(signal, f"SIG{name}", None), int):
        return 0  # among them SIG_IGN, which is not a signal
    return int(getattr(signal, f"SIG{name}"))
