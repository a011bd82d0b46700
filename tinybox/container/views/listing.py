"""Which containers there are, and what their owners have written down about them: all that `ps` knows.

One small state.json a container is read, and never the config.json, which is ten times as long. Whether a container is
paused is the kernel's knowledge, and asked of its control group.
"""

from __future__ import annotations

import os

from tinybox.container.network import published_ports as ports
from tinybox.container.records import naming, spec, state
from tinybox.container.storage import volumes
from tinybox.errors import StateError, UsageError
from tinybox.isolation.cgroups.group import Cgroup, place
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.container.network.published_ports import Port
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec import Mount
    from tinybox.container.records.state import State
    from tinybox.isolation.cgroups.hierarchies import Hierarchies

STATES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")  # docker's
SHAPE = {  # of a state.json, as far as it is told; see quick_json.misfit
    **dict.fromkeys("pid createdAt startedAt finishedAt exitCode restarts".split(), int),
    "status!": str,
    "restarting": bool,
    "annotations": {"*": str},
    "command": [str],
    "health": {"Status": str},
}
_PROPAGATIONS = ("private", "rprivate", "slave", "rslave", "shared", "rshared")


class Listed:
    """One container as it stands on disk, and what can be told of it without asking anybody else."""

    def __init__(self, paths: Paths, container: str, name: str, now: State, where: Hierarchies | None = None) -> None:
        self.paths, self.id, self.name, self.state, self._where = paths, container, name, now, where
        self.annotations = now.get("annotations", {})

    @property
    def image(self) -> str:
        """The name of the image, as it was given; of a nameless one the id."""
        return self.annotations.get(spec.IMAGE_NAME) or self.annotations.get(spec.IMAGE, "")[:12]

    @property
    def image_id(self) -> str:
        """The image's id."""
        return self.annotations.get(spec.IMAGE, "")

    @property
    def command(self) -> str:
        """The program and its arguments; those with blanks stand in quotes."""
        return " ".join(f"'{word}'" if " " in word else word for word in self.state.get("command", []))

    @property
    def labels(self) -> dict[str, str]:
        """The labels, of the image and its own."""
        return spec.labels(self.annotations)

    @property
    def word(self) -> str:
        """The state in docker's words: created, running, paused, restarting, exited.

        One that never began, because its program is not there, is still ``created``.
        """
        status = self.state["status"]
        if self.state.get("restarting"):
            return "restarting"
        if status == state.CREATING:
            return "creating"  # not docker's: somebody has stopped it there, to look at it
        if status == state.RUNNING:
            return "paused" if self.is_paused() else "running"
        return "exited" if status == state.STOPPED and self.state.get("startedAt") else "created"

    @property
    def is_alive(self) -> bool:
        """Whether it runs, paused or not."""
        return self.state["status"] == state.RUNNING

    @property
    def has_process(self) -> bool:
        """Whether it has a first process to be looked at: it runs, or is half-made."""
        return self.is_alive or (
            self.state["status"] in (state.CREATING, state.CREATED) and self.state.get("pid", 0) > 0
        )

    @property
    def health(self) -> str:
        """``healthy``, ``unhealthy``, ``starting``, or ``none`` where nobody asks after it."""
        return str((self.state.get("health") or {}).get("Status") or "none")

    @property
    def finished_at(self) -> int:
        """When it ended, or 0: that it ended while nobody saw it, as in a reboot, leaves no time."""
        finished = self.state.get("finishedAt", 0)
        return finished if finished >= self.state.get("startedAt", 0) else 0

    @property
    def ports(self) -> list[Port]:
        """Its published ports; while it is alive with those of the host that were chosen."""
        return ports.chosen(self.paths.run_directory(self.id), self.annotations)

    @property
    def group(self) -> Cgroup:
        """Its control group, which is there while it is alive."""
        where = self._where or hierarchies()
        return Cgroup(place(self.id), where, where.v1)

    def is_paused(self) -> bool:
        """Tell whether its processes are frozen."""
        return self.group.frozen()

    def mounts(self) -> list[dict[str, Any]]:
        """Return the volumes and directories that were mounted by a user, in docker's words; from config.json."""
        try:
            config = spec.load(self.paths.bundle(self.id))
        except UsageError:  # removed while we were reading
            return []
        return [_mount(self.paths, entry) for entry in volumes.asked(config)]


def _mount(paths: Paths, entry: Mount) -> dict[str, Any]:
    source, options = entry.get("source", ""), entry.get("options", [])
    is_volume = os.path.dirname(os.path.dirname(source)) == paths.volumes
    propagation = next((option for option in options if option in _PROPAGATIONS), "")
    mode = [option for option in options if option not in ("rbind", "bind", propagation)]
    return {
        "Type": "volume" if is_volume else entry.get("type", "bind"),
        "Name": os.path.basename(os.path.dirname(source)) if is_volume else "",
        "Source": source if source.startswith("/") else "",
        "Destination": entry["destination"],
        "Mode": ",".join(mode),
        "RW": not {"ro", "rro"}.intersection(options),
        "Propagation": propagation,
    }


def find(paths: Paths, word: str) -> Listed:
    """Return the container that *word* means; StateError if there is none."""
    container = naming.find(paths, word)
    return Listed(paths, container, "".join(naming.of(paths, container)), state.read(paths, container))


def containers(
    paths: Paths,
    *,
    at_rest: bool,
    is_wanted: Callable[[Listed], bool] = lambda _: True,
    damaged: Callable[[StateError], object] = lambda _: None,
) -> list[Listed]:
    """Return the containers, the newest first; those that have ended or never began only if asked for *at_rest*.

    One whose state.json is of another shape is told to *damaged*, and does not keep the others from being listed.
    """
    names, where = naming.every(paths), hierarchies()
    found = []
    for container in {*paths.stored(), *paths.with_run_directory()} if at_rest else paths.with_run_directory():
        try:
            now = state.read(paths, container)
        except StateError:  # half-made, or removed while we were reading
            continue
        if wrong := json.misfit(now, SHAPE):
            thing = f"container {names.get(container) or container[:12]}"
            damaged(StateError(thing, f"its state.json is damaged: {wrong}", f"tinybox rm {container[:12]}"))
            continue
        listed = Listed(paths, container, names.get(container, ""), now, where)
        if (at_rest or listed.word in ("running", "paused", "restarting", "creating")) and is_wanted(listed):
            found.append(listed)
    return sorted(found, key=lambda listed: listed.state.get("createdAt", 0), reverse=True)
