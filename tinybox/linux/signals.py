"""Python's signal module by its C half alone: plain numbers, without the enumerations, which are 3 ms of each start.

from tinybox.linux.signals import signal
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

__all__ = ["signal"]
