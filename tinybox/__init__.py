"""tinybox: a Linux container runtime that can be read aloud.

    import tinybox
    ending = tinybox.run("alpine", "echo", "hello", memory="32m", rm=True)
    assert ending.status == 0

The packages, from the bottom up: linux (system calls and other kernel interfaces), isolation (kernel mechanisms, one
file each), images (content on disk), container (the life of a container), and cli. Begin to read at
container/lifecycle.py.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.monitor.foreground import run as run

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import ``tinybox.run`` at its first use, so that ``import tinybox`` stays cheap; see PEP 562."""
    if name != "run":
        raise AttributeError(name)
    from tinybox.container.monitor.foreground import run

    return run
