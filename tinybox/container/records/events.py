"""Events of containers, networks and volumes, as docker-events(1) has them; filesystem/event_log.py writes them.

The attributes of a container's event are its labels, its image, its name, and what belongs to the event.
"""

from __future__ import annotations

from tinybox.container.records import naming, spec, state
from tinybox.linux import quick_json as json
from tinybox.linux.filesystem import event_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, TypeAlias

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Spec
    from tinybox.linux.filesystem.event_log import Event

    Networks: TypeAlias = Iterable[tuple[str, str]]  # the id and the name of each


def emit(
    paths: Paths, container: str, action: str, annotations: dict[str, str] | None = None, **attributes: object
) -> None:
    """Append the event *action* (create, start, die, oom, kill, pause, rename, destroy ...) of a container.

    The container's *annotations* have its image, its labels and its first name; if None, they are read from its state.
    An event that cannot be written (a full disk) is lost; the command goes on.
    """
    write(paths, of_container(paths, container, action, annotations, **attributes))


def write(paths: Paths, *events: Event) -> None:
    """Append *events*, all at once."""
    event_log.append(paths.events, *events)


def emit_start(paths: Paths, container: str, config: Spec, networks: Networks, *, attached: bool) -> None:
    """Append that a container runs: attach, if it has a user's streams, connect of *networks*, mount of volumes, start.

    All are one write(2).
    """
    annotations = config.get("annotations", {})
    before = [of_container(paths, container, "attach", annotations)] if attached else []
    before += [of_network(network, name, "connect", container) for network, name in networks]
    before += _of_volumes(paths, container, config, "mount")
    write(paths, *before, of_container(paths, container, "start", annotations))


def emit_end(
    paths: Paths, container: str, config: Spec, networks: Networks, now: Mapping[str, Any], status: object
) -> None:
    """Append that a container has ended: oom, die with its *status*, disconnect of *networks*, unmount of volumes.

    All are one write(2). *now* is its state, which tells how long it ran, and if its memory was too little.
    """
    annotations = config.get("annotations", {})
    before = [of_container(paths, container, "oom", annotations)] if now.get("oomKilled") else []
    after = [of_network(network, name, "disconnect", container) for network, name in networks]
    after += _of_volumes(paths, container, config, "unmount")
    lasted = max(now.get("finishedAt", 0) - now.get("startedAt", 0), 0) // 10**9
    die = of_container(paths, container, "die", annotations, execDuration=lasted, exitCode=status)
    write(paths, *before, die, *after)


def exit_status(paths: Paths, container: str) -> int | None:
    """Return the exit status in the last event ``die`` of a container, which may be removed; None if it is unknown."""
    for line in event_log.newest_first(paths.events):
        if container.encode() in line and b'"die"' in line:
            try:
                event = json.loads(line.decode())
                if (event["id"], event["Action"]) == (container, "die"):
                    return int(event["Attributes"]["exitCode"])
            except (ValueError, LookupError, TypeError):  # a damaged line, or a container whose end no process has seen
                return None
    return None


def of_container(
    paths: Paths, container: str, action: str, annotations: dict[str, str] | None = None, **attributes: object
) -> Event:
    """Return an event of a container; see `emit`."""
    if annotations is None:
        annotations = state.last(paths, container).get("annotations", {})
    known = annotations.get(spec.NAME, "")
    try:
        name = next(iter(naming.of(paths, container, hint=known)), known)
    except OSError:  # no free descriptor
        name = known
    more = {key: str(value) for key, value in attributes.items()}
    own = {"image": annotations.get(spec.IMAGE_NAME, ""), "name": name}
    return event_log.event("container", action, container, {**spec.labels(annotations), **own, **more})


def of_network(network: str, name: str, action: str, container: str = "") -> Event:
    """Return the event create, connect, disconnect or destroy of a network; *network* is its id, *name* its name."""
    member = {"container": container} if container else {}
    return event_log.event("network", action, network, {**member, "name": name, "type": "bridge"})


def of_volume(name: str, action: str, **attributes: str) -> Event:
    """Return the event create, mount, unmount or destroy of a volume."""
    return event_log.event("volume", action, name, {"driver": "local", **attributes})


def _of_volumes(paths: Paths, container: str, config: Spec, action: str) -> list[Event]:
    found = []
    for entry in spec.mounts_of_volumes(config, paths):
        name, options = entry["source"].split("/")[-2], entry.get("options", [])
        more = {"destination": entry["destination"], "propagation": "", "read/write": str("ro" not in options).lower()}
        found.append(of_volume(name, action, container=container, **(more if action == "mount" else {})))
    return found


def of_prune(kind: str, freed: int) -> Event:
    """Return the event that `prune` has freed so many bytes of things of this *kind*."""
    return event_log.event(kind, "prune", "", {"reclaimed": str(freed)})
