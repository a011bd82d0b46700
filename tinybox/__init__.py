"""tinybox: a Linux container runtime that can be read aloud.

    import tinybox
    ending = tinybox.run("alpine", "echo", "hello", memory="32m", rm=True)
    assert ending.status == 0

    with tinybox.Container.run("busybox", "sleep", "60") as box:
        print(box.exec("hostname").stdout)

The packages, from the bottom up: linux (system calls and other kernel interfaces), isolation (kernel mechanisms, one
file each), images (content on disk), container (the life of a container), api (these objects) and cli. Begin to read at
container/lifecycle.py. The library is described in docs/api.md.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox import errors as errors
    from tinybox.api.containers import Container as Container
    from tinybox.api.images import Image as Image
    from tinybox.api.networks import Network as Network
    from tinybox.api.projects import Project as Project
    from tinybox.api.running import run as run
    from tinybox.api.volumes import Volume as Volume
    from tinybox.container.process.wait_loop import Ending as Ending
    from tinybox.version import __version__ as __version__

_HOMES = {  # the public names, and the module that each one is loaded from at its first use
    "Container": "tinybox.api.containers",
    "Ending": "tinybox.container.process.wait_loop",
    "Image": "tinybox.api.images",
    "Network": "tinybox.api.networks",
    "Project": "tinybox.api.projects",
    "Volume": "tinybox.api.volumes",
    "__version__": "tinybox.version",
    "errors": "tinybox",
    "run": "tinybox.api.running",
}


def __getattr__(name: str) -> object:
    """Import ``tinybox.run`` or another public name at its first use, so that the import is cheap: PEP 562."""
    if name not in _HOMES:
        message = f"module 'tinybox' has no attribute {name!r}"
        raise AttributeError(message)
    if name == "errors":  # a module, and so an attribute of this one from its import on
        return __import__("tinybox.errors", fromlist=["TinyboxError"])
    _resume()
    found = globals()[name] = getattr(__import__(_HOMES[name], fromlist=[name]), name)
    return found


def _resume() -> None:
    """Go on in the home of a user without root, if `tinybox unshare` has started this program; see docs/rootless.md."""
    import os

    if "_TINYBOX_HOME" in os.environ:
        from tinybox.container.records import own_paths

        own_paths.resume()


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *_HOMES})
