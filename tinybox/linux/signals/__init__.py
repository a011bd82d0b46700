"""Signals: their numbers and names, an fd that reads them, and SIGCONT for processes that block others; signal(7).

`signal` here is the C part of Python's module, with plain numbers: signal.py and its enumerations take 3 ms to import.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

__all__ = ["signal"]
