"""ps: list the containers of a store with their state, image, command, ports and health, from their state.json files.

Only the small state.json of each container is read, not the config.json, which is ten times as long; of a container at
rest, a copy may be read in its place: records/resting_states.py. Whether a container is paused is read from its control
group.
"""

from __future__ import annotations

import os

from tinybox.container.network import published_ports as ports
from tinybox.container.records import naming, spec, state
from tinybox.container.records.resting_states import RestingStates
from tinybox.container.storage import requested_mounts
from tinybox.errors import DamagedError, StateError, UsageError, report
from tinybox.isolation.cgroups.group import Cgroup, place
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.container.network.published_ports import Port
    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Mount
    from tinybox.container.records.state_file import State
    from tinybox.isolation.cgroups.hierarchies import Hierarchies

STATES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")  # as in docker
_PROPAGATIONS = ("private", "rprivate", "slave", "rslave", "shared", "rshared")


class Listed:
    """One container as recorded on disk, with values derived from its record and from its control group."""

    def __init__(self, paths: Paths, container: str, name: str, now: State, where: Hierarchies | None = None) -> None:
        self.paths, self.id, self.name, self.state, self._where = paths, container, name, now, where
        self.annotations = now.get("annotations", {})
        self._paused: bool | None = None  # not read yet

    @property
    def image(self) -> str:
        """The name of the image as the user gave it; for an image without a name, the beginning of its id."""
        return self.annotations.get(spec.IMAGE_NAME) or self.annotations.get(spec.IMAGE, "")[:12]

    @property
    def image_id(self) -> str:
        """The image's id."""
        return self.annotations.get(spec.IMAGE, "")

    @property
    def command(self) -> str:
        """The program and its arguments; an argument with blanks is in quotes."""
        return " ".join([f"'{word}'" if " " in word else word for word in self.state.get("command", ())])

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the image and of the container."""
        return spec.labels(self.annotations)

    @property
    def word(self) -> str:
        """The status as docker names it: created, running, paused, restarting, exited.

        A container that never started, because its program does not exist, is still ``created``.
        """
        status = self.state["status"]
        if self.state.get("restarting"):
            return "restarting"
        if status == state.CREATING:
            return "creating"  # not a status of docker's: `run --break-at` has stopped it there for inspection
        if status == state.RUNNING:
            return "paused" if self.is_paused() else "running"
        return "exited" if status == state.STOPPED and self.state.get("startedAt") else "created"

    @property
    def is_alive(self) -> bool:
        """Whether the container runs; a paused one runs, too."""
        return self.state["status"] == state.RUNNING

    @property
    def has_process(self) -> bool:
        """Whether the container has a first process: it runs, or is being created."""
        return self.is_alive or (
            self.state["status"] in (state.CREATING, state.CREATED) and self.state.get("pid", 0) > 0
        )

    @property
    def health(self) -> str:
        """``healthy``, ``unhealthy``, ``starting``, or ``none`` if it has no health check."""
        return str((self.state.get("health") or {}).get("Status") or "none")

    @property
    def finished_at(self) -> int:
        """When it ended (ns since 1970), or 0 if that is unknown: its owner was killed, or the host was rebooted."""
        finished = self.state.get("finishedAt", 0)
        return finished if finished >= self.state.get("startedAt", 0) else 0

    @property
    def ports(self) -> list[Port]:
        """Its published ports; while it runs, with the chosen host ports."""
        return ports.chosen(self.paths.run_directory(self.id), self.annotations)

    @property
    def group(self) -> Cgroup:
        """Its control group, which exists while it runs."""
        where = self._where or hierarchies()
        return Cgroup(place(self.id, self.annotations.get(spec.CGROUP_PARENT, "")), where, where.v1)

    def processes(self) -> list[int]:
        """Return the pids of its processes: those in its control group, or without one those in its pid namespace."""
        group = self.group
        if group.hierarchies.roots():
            return group.processes()
        from tinybox.isolation import pid_members

        return pid_members.members(self.state["pid"])

    def is_paused(self) -> bool:
        """Return whether its processes are frozen, or were when this was asked for the first time."""
        if self._paused is None:
            self._paused = self.group.frozen()
        return self._paused

    def mounts(self) -> list[dict[str, Any]]:
        """Return the mounts that the user requested (volumes, directories), with docker's keys; from config.json."""
        try:
            config = spec.load(self.paths.bundle(self.id))
        except (UsageError, DamagedError):  # the container was removed during this call, or `inspect` names the damage
            return []
        asked = json.loads(self.annotations.get(spec.ASKED) or "{}").get("HostConfig", {})
        modes = dict(_place_and_mode(text) for text in asked.get("Binds", []))
        memory = set(map(os.path.normpath, asked.get("Tmpfs", {})))  # docker does not list --tmpfs here
        named = {*modes, *(os.path.normpath(entry["Target"]) for entry in asked.get("Mounts") or ())}
        entries = [
            entry for entry in requested_mounts.requested(config, also=named) if entry["destination"] not in memory
        ]
        mounts = [_mount(self.paths, entry, modes.get(entry["destination"], "")) for entry in entries]
        images = {os.path.normpath(entry["Target"]): entry["Source"] for entry in asked.get("Mounts") or ()
                  if entry["Type"] == "image"}  # fmt: skip
        for row in mounts:
            if row["Destination"] in images:
                row |= {"Type": "image", "Source": images[row["Destination"]], "Propagation": ""}
        return mounts


def _place_and_mode(bind: str) -> tuple[str, str]:
    _, place, mode = [*bind.split(":"), "", ""][:3]
    return os.path.normpath(place), mode


def _mount(paths: Paths, entry: Mount, mode: str) -> dict[str, Any]:
    """Return a mount with docker's keys: those of a volume, a bind mount or a tmpfs; *mode* is the text of -v."""
    source, options = entry.get("source", ""), entry.get("options", [])
    is_volume = os.path.dirname(os.path.dirname(source)) == paths.volumes
    kind = "volume" if is_volume else entry.get("type", "bind")
    propagation = next((option for option in reversed(options) if option in _PROPAGATIONS), "")
    known = {
        "Type": kind,
        "Name": os.path.basename(os.path.dirname(source)) if is_volume else "",
        "Source": source if source.startswith("/") else "",
        "Destination": entry["destination"],
        **({"Driver": "local"} if is_volume else {}),
        "Mode": mode,
        "RW": not {"ro", "rro"}.intersection(options),
        "Propagation": propagation if kind == "bind" else "",
    }
    from tinybox.container.views.when_set import WhenSet

    return WhenSet(known, {"Name": "", "Driver": ""})


def find(paths: Paths, word: str) -> Listed:
    """Return the container with the name or id *word*; StateError if there is none."""
    container = naming.find(paths, word)
    return Listed(paths, container, "".join(naming.of(paths, container)), state.read(paths, container))


def containers(
    paths: Paths,
    *,
    at_rest: bool,
    is_wanted: Callable[[Listed], bool] = lambda _: True,
    damaged: Callable[[DamagedError], object] = report,
) -> list[Listed]:
    """Return the containers, the newest first; *at_rest* includes those that have ended or were never started.

    *damaged* is called with the error for each container whose state.json is damaged, and the others are listed.
    """
    living, found = set(paths.with_run_directory()), []
    where = hierarchies() if living else None
    stored = paths.stored() if at_rest else []
    every, resting = living.union(stored), RestingStates(paths, stored)
    names = resting.names() if every else {}
    for container in every:
        try:
            now = state.read(paths, container) if container in living else resting.read(container)
        except DamagedError as error:
            error.thing = f"container {names.get(container) or container[:12]}"
            damaged(error)
            continue
        except StateError:  # the container is being created, or was removed during this call
            continue
        listed = Listed(paths, container, names.get(container, ""), now, where)
        if (at_rest or listed.word in ("running", "paused", "restarting", "creating")) and is_wanted(listed):
            found.append(listed)
    resting.keep()
    return sorted(found, key=lambda listed: listed.state.get("createdAt", 0), reverse=True)
