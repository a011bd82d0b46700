"""The C part of Python's signal module, with plain numbers: importing signal.py and its enumerations would take 3 ms.

Use: from tinybox.linux.signals import signal
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

__all__ = ["signal"]
