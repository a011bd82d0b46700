"""tinybox: a Linux container runtime that can be read aloud.

    import tinybox
    ending = tinybox.run("alpine", "echo", "hello", memory="32m", rm=True)
    assert ending.status == 0

The house has rooms, from the ground up: linux (what the kernel offers), isolation (its mechanisms, one file each),
images (content on disk), container (one container's life), and cli. Begin to read at container/lifecycle.py.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.launch import run as run

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load the engine when it is first asked for; see PEP 562."""
    if name != "run":
        raise AttributeError(name)
    from tinybox.container.launch import run

    return run
