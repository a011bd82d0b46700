"""ps --filter KEY=VALUE: docker's filter keys for containers."""

from __future__ import annotations

import re

from tinybox.container.network import definitions
from tinybox.container.records import spec
from tinybox.container.views import listing
from tinybox.container.views.filter_values import Filter, truth
from tinybox.errors import TinyboxError, UsageError
from tinybox.images import mapped_layers, reference
from tinybox.images.store import Store
from tinybox.linux import quick_json as json
from tinybox.text_values import is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed

    Test = Callable[[Listed], bool]

HEALTH = ("starting", "healthy", "unhealthy", "none")
KEYS = "ancestor before exited expose health id is-task label name network publish since status volume".split()
AT_REST_TOO = ("status", "before", "since")  # with one of these keys, containers that have ended are listed, too


class ContainerFilter(Filter):
    """The combined test of several --filter options for containers; UsageError names the option that is wrong."""

    def __init__(self, paths: Paths, words: Sequence[str]) -> None:
        self._paths = paths
        super().__init__(words, KEYS)
        self.at_rest = any(key in self.values for key in AT_REST_TOO)
        published, exposed = self._by_key.get("publish"), self._by_key.get("expose")
        if published and exposed:  # in docker these two keys are alternatives
            others = [each for each in self._alternatives if each not in (published, exposed)]
            self._alternatives = [*others, [*published, *exposed]]

    def _id(self, value: str) -> Test:
        pattern = _pattern("id", value)
        return lambda listed: bool(pattern.search(listed.id))

    def _name(self, value: str) -> Test:
        pattern = _pattern("name", value.removeprefix("/"))
        return lambda listed: bool(pattern.search(listed.name))

    def _is_task(self, value: str) -> Test:
        wanted = truth("is-task", value)  # a task is a container of a swarm, and there is none
        return lambda _: not wanted

    def _exited(self, value: str) -> Test:
        if value != "unknown" and not is_whole(value):
            raise UsageError(f"--filter exited={value}", "is not an exit status", "write a number, or unknown")
        wanted = None if value == "unknown" else int(value)
        return lambda listed: listed.word == "exited" and listed.state.get("exitCode") == wanted

    def _status(self, value: str) -> Test:
        _one_of("status", value, listing.STATES)
        return lambda listed: listed.word == value

    def _health(self, value: str) -> Test:
        _one_of("health", value, HEALTH)
        return lambda listed: listed.health == value

    def _ancestor(self, value: str) -> Test:
        """Match containers of the image *value* (name or id), and of images made from it, which contain its layers."""
        try:
            wanted = Store(self._paths.root).image(value)
        except TinyboxError:  # the image may have been removed, while its containers still exist
            return lambda listed: (
                listed.image.rpartition(":")[0] == value
                or _full_name(listed.image) == _full_name(value)
                or (len(value) >= 12 and listed.image_id.startswith(value.removeprefix("sha256:")))
            )
        layers = ":".join(wanted.layers)
        return lambda listed: listed.image_id == wanted.id or f"{_layers(listed.annotations)}:".startswith(f"{layers}:")

    def _before(self, value: str) -> Test:
        made = listing.find(self._paths, value).state.get("createdAt", 0)
        return lambda listed: listed.state.get("createdAt", 0) < made

    def _since(self, value: str) -> Test:
        made = listing.find(self._paths, value).state.get("createdAt", 0)
        return lambda listed: listed.state.get("createdAt", 0) > made

    def _network(self, value: str) -> Test:
        from tinybox.container.views import network_inspection

        known = [network.name for network in definitions.every(self._paths) if network.id.startswith(value)]
        return lambda listed: not {value, *known}.isdisjoint(network_inspection.names(listed))

    def _volume(self, value: str) -> Test:
        """Match a mount by its volume's name, its directory in the container, or, of a bind mount, the host's."""
        value = value.rstrip("/") or value
        return lambda listed: any(
            value in (mount["Name"] or mount["Source"], mount["Destination"]) for mount in listed.mounts()
        )

    def _publish(self, value: str) -> Test:
        wanted = set(_ports("publish", value))
        return lambda listed: any(
            f"{port['hostPort']}/{port['protocol']}" in wanted for port in (listed.ports if listed.is_alive else ())
        )

    def _expose(self, value: str) -> Test:
        wanted = set(_ports("expose", value))
        return lambda listed: not wanted.isdisjoint(_inner_ports(listed))


def _ports(key: str, value: str) -> list[str]:
    """Return the ports of ``80``, ``80/udp`` or ``8000-8080/tcp``, each with its protocol."""
    from tinybox.container.config import port_option

    try:
        return port_option.exposed([value])
    except UsageError as error:
        raise UsageError(f"--filter {key}={value}", error.cause, "PORT, PORT/udp or FIRST-LAST") from error


def _inner_ports(listed: Listed) -> set[str]:
    """Return the ports on which the program of a container listens: published or exposed ones."""
    opened: list[str] = json.loads(listed.annotations.get(spec.EXPOSED) or "[]")
    return {*opened, *(f"{port['containerPort']}/{port['protocol']}" for port in listed.ports)}


def _pattern(key: str, value: str) -> re.Pattern[str]:
    try:
        return re.compile(value)
    except re.error as error:
        raise UsageError(f"--filter {key}={value}", f"is not a regular expression: {error}") from error


def _full_name(image: str) -> str:
    """Return the name of an *image* with its tag; an id, or a text that is no name, as it is."""
    try:
        return str(reference.parse(image))
    except TinyboxError:
        return image


def _one_of(key: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise UsageError(f"--filter {key}={value}", "is unknown", ", ".join(allowed))


def _layers(annotations: dict[str, str]) -> str:
    """Return the layers of a container as its image has them, also if it uses copies with other owners."""
    return ":".join(map(mapped_layers.original, annotations.get(spec.LAYERS, "").split(":")))
