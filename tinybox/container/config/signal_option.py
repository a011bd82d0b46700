"""The value of an option that names a signal, such as --stop-signal; see signal(7)."""

from __future__ import annotations

from tinybox.errors import UnfitValueError
from tinybox.linux.signals.names import signal_named


def signal_number(option: str, text: str) -> int:
    """Return the number of ``TERM``, ``SIGTERM``, ``15`` or ``RTMAX-3``; UsageError for any other text; signal(7)."""
    known = signal_named(text)
    if not known:
        raise UnfitValueError(f"--{option} {text}", "is not a signal", "kill -l lists them")
    return known
