"""What `run`, `create` and `start` in Python have in common: the store, docker's options, the image, and the umask."""

from __future__ import annotations

import os

from tinybox.container import bringing, launch
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from tinybox.container.process.handles import Handles
    from tinybox.container.records.host import Host

    Result = TypeVar("Result")

UMASK = 0o022  # files in a box get the modes that are asked for, whatever the caller's umask is


def options_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return *given*, Python keywords, as the command line gives them; UsageError if one is unknown or for it alone.

    An object, such as a Network, stands for its name.
    """
    normalized = launch.normal({key: _name(value) for key, value in given.items()})
    for key in filter(normalized.get, launch.AT_A_TERMINAL):
        raise UsageError(f"option {key}", "is for the command line only", f"tinybox run --{launch.KEYS[key].name}")
    return normalized


def _name(value: Any) -> Any:
    return str(value) if type(value).__module__.startswith("tinybox.") else value


def with_image(paths: Paths, image: str, options: dict[str, Any], act: Callable[[], Result]) -> Result:
    """Return the result of *act*, which needs *image*; bring the image first if the options ``pull``, ``platform`` say.

    It comes from its recipe or its registry, without a word.
    """
    policy = bringing.checked(options.get("pull", bringing.MISSING))
    return bringing.with_image(image, act, policy, options.get("platform", ""), lambda: bringer(paths))


def bringer(paths: Paths) -> bringing.Bringer:
    """Return what brings images into the store."""
    from tinybox.images.store import Store

    return bringing.Bringer(Store(paths.root))


def changing(root: str) -> tuple[Paths, Host]:
    """Return the paths of a store and the facts about this host; HostError: it cannot be changed by this process."""
    paths = Paths(root)
    here = host.read(paths.cache)
    here.check()
    return paths, here


class Closing:
    """A ``with`` block that closes *handles* after an error: unlike a command, this process goes on."""

    def __init__(self, handles: Handles) -> None:
        self._handles = handles

    def __enter__(self) -> Handles:
        return self._handles

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            self._handles.close()


class UsualUmask:
    """A ``with`` block in which this process has the umask 022; see umask(2). It is that of all threads."""

    def __enter__(self) -> None:
        self._former = os.umask(UMASK)

    def __exit__(self, *_: object) -> None:
        os.umask(self._former)
