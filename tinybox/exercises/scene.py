"""The scene of an exercise: its live boxes, made as `tinybox run -d` makes them, and what the kernel shows of them.

Each box has the label ``tinybox.exercise=NAME``, by which `exercise end` finds it again, whatever became of its maker.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tinybox.container import launch, python_options
from tinybox.container.monitor import background
from tinybox.container.process.handles import Handles
from tinybox.container.views import listing
from tinybox.errors import NoSuchError, TinyboxError
from tinybox.exercises import locking
from tinybox.lab import look
from tinybox.lab.bench import Evidence
from tinybox.linux import proc
from tinybox.linux.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from tinybox.container.records.paths import Paths
    from tinybox.container.views.listing import Listed

    T = TypeVar("T")

IMAGE, LABEL = "alpine", "tinybox.exercise"
PATIENCE = 60.0  # seconds that a fact of the preparation may take; an emulated machine is twenty times slower
GONE = (FileNotFoundError, ProcessLookupError)


class MissingError(Exception):
    """Something is not yet as the task wants it; the text of the exception is one sentence about it."""


class Scene:
    """The boxes of the started exercise *name* in one store, its *numbers*, and the evidence that a check notes.

    *folder* is a directory of the host that the boxes may share; *facts* were noted when the boxes were made.
    """

    def __init__(self, paths: Paths, name: str, numbers: dict[str, Any], folder: str, facts: dict[str, Any]) -> None:
        self.paths, self.name, self.numbers, self.folder, self.facts = paths, name, numbers, folder, facts
        self.evidence: list[Evidence] = []

    # Preparation

    def box(self, name: str, *command: str, **options: Any) -> None:
        """Run *command* in a new box of this *name* in the background; *options* are those of ``tinybox run``."""
        given = python_options.normal({"name": name, "network": "none", "label": [f"{LABEL}={self.name}"], **options})
        token = background.STRANGERS.set(locking.lock_descriptors(self.paths))  # the monitor closes them
        try:
            with Handles() as handles:
                made = launch.register(IMAGE, command, given, handles, root=self.paths.root, at_once=True)
                self.facts.setdefault("ids", {})[name] = made.id
                background.launch(made)
        finally:
            background.STRANGERS.reset(token)

    def until(self, fact: Callable[[], T], what: str) -> T:
        """Call *fact* until it returns something true, and return that; TinyboxError after PATIENCE seconds."""

        def tried() -> T | None:
            try:
                return fact()
            except GONE:
                return None

        seen = until(tried, time.monotonic() + PATIENCE, 0.005)
        if not seen:
            raise TinyboxError(f"exercise {self.name}", f"{what}: this has not come in {PATIENCE:.0f} s")
        return seen

    def put(self, name: str, text: str) -> str:
        """Write a file into the directory that the boxes may share, and return its path."""
        path = f"{self.folder}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    # Facts

    def saw(self, figure: str, value: T, source: str) -> T:
        """Note a figure with the file or the call that it was read from, and return its value."""
        self.evidence.append(Evidence("", figure, " ".join(str(value).split()), source))
        return value

    def need(self, holds: object, missing: str) -> None:
        """Raise MissingError with the sentence *missing*, unless *holds* is true."""
        if not holds:
            raise MissingError(missing)

    def listed(self, name: str, *, own: bool = True) -> Listed:
        """Return the box *name*, running or not; MissingError: it is gone, or (*own*) it is not the one we made."""
        try:
            found = listing.find(self.paths, name)
        except NoSuchError as error:
            raise MissingError(f"there is no box {name}{self._again if own else ''}") from error
        if own and found.id != self.facts["ids"][name]:
            raise MissingError(f"the box {name} is not the one that this exercise has made{self._again}")
        return found

    def running(self, name: str, *, own: bool = True) -> Listed:
        """Return the box *name*; MissingError: it does not run, or see listed()."""
        found = self.listed(name, own=own)
        if not found.is_alive:
            status = found.state.get("exitCode")
            raise MissingError(f"the box {name} does not run: its exit status is {status}{self._again if own else ''}")
        return found

    @property
    def _again(self) -> str:
        return f"; tinybox exercise start --again {self.name} makes all of it again"

    def pid(self, name: str) -> int:
        """Return the host's pid of the first process of a running box; MissingError as running()."""
        return self.running(name).state["pid"]

    def program(self, name: str) -> int:
        """Return the host's pid of the program of a running box: the first child of its PID 1."""
        children = look.children(self.pid(name))
        self.need(children, f"the program of the box {name} has ended{self._again}")
        return children[0]

    def processes(self, name: str) -> dict[int, str]:
        """Return the processes of a running box: host's pid to command line; see proc_pid_cmdline(5)."""
        found = {}
        for pid in self.running(name).processes():
            try:
                found[pid] = look.text(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
            except GONE:
                continue
        return found

    def process(self, name: str, command: str) -> int:
        """Return the pid of the one process of a box with this command line; 0: there is none, or more than one."""
        found = [pid for pid, line in self.processes(name).items() if line == command]
        return found[0] if len(found) == 1 else 0

    def inside(self, name: str, path: str) -> str:
        """Return the host's path to the file *path* of a running box; see /proc/PID/root in proc(5)."""
        return f"/proc/{self.pid(name)}/root{path}"

    def overlay(self, name: str) -> tuple[str, list[str]]:
        """Return the upper directory of a running box, and the lower ones, from the top; proc_pid_mountinfo(5)."""
        for mount in proc.mountinfo(look.text(f"/proc/{self.pid(name)}/mountinfo")):
            if mount.point == "/" and mount.type == "overlay":
                options = dict(option.partition("=")[::2] for option in mount.super_options)
                return options["upperdir"], options["lowerdir"].split(":")
        raise TinyboxError(f"box {name}", "its root is no overlay", "tinybox doctor")

    def namespaces(self, name: str, *, own: bool = True) -> dict[str, str]:
        """Return the namespaces of a running box by their names in /proc/PID/ns, such as ``uts:[4026531838]``."""
        pid = self.running(name, own=own).state["pid"]
        return {kind: proc.link(f"/proc/{pid}/ns/{kind}") for kind in ("mnt", "pid", "net", "uts", "ipc")}

    # Identity: a process is the same one if it has the same pid and began at the same tick.

    def note(self, what: str, pid: int) -> None:
        """Note, while the boxes are made, which process *what* is: its pid and its start; field 22 in proc(5)."""
        self.facts[what] = [pid, int(look.stat(pid, 22))]

    def still(self, what: str) -> int:
        """Return the pid of the noted process *what* if it still lives, else 0."""
        pid, ticks = self.facts[what]
        return pid if proc.is_alive(pid, ticks) else 0
