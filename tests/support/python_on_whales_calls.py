"""python-on-whales, a client in Python that drives the command `docker`: its calls, and a record of those that worked.

The calls are listed by introspection of the client, so that no call is forgotten: each public method once, although
many have a short name, too (`docker.run` is `docker.container.run`).
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from python_on_whales import DockerClient

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPONENTS = "python_on_whales.components"
# Groups for many machines, for daemons and for podman; tinybox says in one line what to use in place of docker's.
OTHER_GROUPS = frozenset("swarm node service stack task secret config plugin trust manifest context pod".split())
_ITSELF = "python-on-whales raises NotImplementedError itself"
LEFT_OUT = {
    "container.top": _ITSELF,
    "compose.top": _ITSELF,
    "image.history": _ITSELF,
    "buildx.disk_usage": _ITSELF,
    "container.init": "docker has no such command; it is podman's",
    "buildx.bake": "a language of its own; compose build builds several images",
    "buildx.create": "there is no daemon that could be another builder",
    "buildx.remove": "there is no daemon that could be another builder",
}


def _methods(place: Any, prefix: str = "") -> Iterator[tuple[Any, str]]:
    """Yield each public method of *place* and of its components, as the function and its full name."""
    members = {name: getattr(place, name) for name in dir(place) if not name.startswith("_")}
    for name, member in members.items():
        if type(member).__module__.startswith(COMPONENTS):
            yield from _methods(member, f"{prefix}{name}.")
    for name, member in members.items():
        if inspect.ismethod(member):
            yield member.__func__, f"{prefix}{name}"


def calls() -> dict[Any, str]:
    """Return the full name of each call by its function: the name in its component, not the short one."""
    found: dict[Any, str] = {}
    for function, name in _methods(DockerClient()):
        found.setdefault(function, name)
    return found


class Recorded:
    """A client, or a component of one, that writes down in *seen* the full name of each call that returns."""

    def __init__(self, target: Any, seen: set[str], names: dict[Any, str]) -> None:
        self._target, self._seen, self._names = target, seen, names

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._target, name)
        if type(member).__module__.startswith(COMPONENTS):
            return Recorded(member, self._seen, self._names)
        if not inspect.ismethod(member):
            return member

        def call(*words: Any, **options: Any) -> Any:
            result = member(*words, **options)
            if inspect.isgenerator(result):
                result = iter(list(result))  # the command ends before the call counts
            self._seen.add(self._names[member.__func__])
            return result

        return call
