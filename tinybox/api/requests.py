"""What `run`, `create` and `start` in Python have in common: the store, docker's options, the image, and the umask."""

from __future__ import annotations

import os

from tinybox.container import bringing, pull_policy, python_options
from tinybox.container.config import defaults
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from tinybox.build.asking import Asked
    from tinybox.container.records.host import Host

    Result = TypeVar("Result")

UMASK = 0o022  # files in a box get the modes that are asked for, whatever the caller's umask is


def options_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return *given*, Python keywords, as the command line gives them; UsageError if one is unknown or for it alone.

    An object, such as a Network, stands for its name. Missing ones have the defaults of the configuration file.
    """
    normalized = python_options.normal({key: _name(value) for key, value in given.items()})
    for key in filter(normalized.get, python_options.AT_A_TERMINAL):
        option = python_options.KEYS[key].name
        raise UsageError(f"option {key}", "is for the command line only", f"tinybox run --{option}")
    return defaults.applied(normalized)


def words_of(command: tuple[Any, ...]) -> tuple[str, ...]:
    """Return *command*, the arguments of a call; UsageError: one is no text, such as the list that docker-py takes."""
    for word in command:
        if not isinstance(word, str):
            cause = f"is {type(word).__name__}, not str: each word of the command is an argument of its own"
            cure = "run(image, *command)" if isinstance(word, list | tuple) else "str() makes a word of it"
            raise UsageError(f"command {word!r}", cause, cure)
    return command


def _name(value: Any) -> Any:
    return str(value) if type(value).__module__.startswith("tinybox.") else value


def with_image(root: str, image: str, options: dict[str, Any], act: Callable[[], Result]) -> Result:
    """Return the result of *act*, which needs *image*; bring the image first if the options ``pull``, ``platform`` say.

    It comes from its recipe or its registry, without a word, into the store *root*.
    """
    policy = pull_policy.checked(options.get("pull", pull_policy.MISSING))
    return pull_policy.with_image(image, act, policy, options.get("platform", ""), lambda: bringer(Paths(root)))


def bringer(paths: Paths) -> bringing.Bringer:
    """Return what brings images into the store."""
    from tinybox.images.store import Store

    return bringing.Bringer(Store(paths.root))


def built(paths: Paths, context: str, asked: Asked, inline: str = "") -> str:
    """Build the image that *asked* describes from the directory *context*, without a word, and return its id."""
    from contextlib import ExitStack

    from tinybox.build import asking, bases, building, opening
    from tinybox.images.store import Store

    store = Store(paths.root)
    with ExitStack() as stack, UsualUmask():
        stdin = stack.enter_context(open(os.devnull, "rb"))
        wish = asking.wish(stack, store, context, asked, stdin, inline)
        bring = bases.bringing(bringer(paths), pulls=asked.pull)
        return building.build(store, wish, bring, building.Report(), opening.epoch(asked.arguments))


def changing(root: str) -> tuple[Paths, Host]:
    """Return the paths of a store and the facts about this host; HostError: it cannot be changed by this process."""
    paths = Paths(root)
    here = host.read(paths.cache)
    here.check()
    return paths, here


class UsualUmask:
    """A ``with`` block in which this process has the umask 022; see umask(2). It is that of all threads."""

    def __enter__(self) -> None:
        self._former = os.umask(UMASK)

    def __exit__(self, *_: object) -> None:
        os.umask(self._former)


class Starting(UsualUmask):
    """A ``with`` block in which containers are started: their monitors close this program's descriptors."""

    def __enter__(self) -> None:
        from tinybox.container.monitor.background import STRANGERS
        from tinybox.linux.filesystem.descriptors import open_now

        super().__enter__()
        self._token = STRANGERS.set(open_now())

    def __exit__(self, *_: object) -> None:
        from tinybox.container.monitor.background import STRANGERS

        STRANGERS.reset(self._token)
        super().__exit__()
