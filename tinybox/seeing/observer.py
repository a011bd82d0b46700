"""The observer (`tinybox:explain`): a process that receives the engine's reports, reads /proc, and makes events.

It is a separate process so that it stays in the host's namespaces, whatever tinybox does to itself, and so that its own
system calls are not among those of the engine. Functions that show the events are passed to it; `replay` uses the same
functions. If the observer dies, the engine goes on without it.
"""

from __future__ import annotations

import marshal
import os
import select
import time

from tinybox.seeing import decoding, ideas, snapshot, syscall_format
from tinybox.seeing.reporter import CHILD, CLONE, GO, LEAVE, LINKS, PARENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from tinybox.seeing.omitted import Omitted
    from tinybox.seeing.snapshot import Snapshot

    Event: TypeAlias = dict[str, Any]
    Show: TypeAlias = Callable[[Event], None]
    Stop: TypeAlias = Callable[[Event, "Observer"], bool]  # before a step: False leaves and undoes all

READY = "ready"  # the step at which the box is complete and waits
# Steps of the parent that change the child's state, and the sections of the state that they change.
OF_CHILD = {
    "network": ("links",),
    "net-devices": ("links",),
    "inherited": ("limits",),
}
_PACKET = 1 << 18


class Lane:
    """One of the two processes, parent or child: its plan, its current step, and its last state."""

    def __init__(self, name: str, end: _socket.socket) -> None:
        self.name, self.end = name, end
        self.plan: list[dict[str, Any]] = []
        self.step: dict[str, Any] | None = None
        self.pid = 0
        self.ended = False
        self.state: Snapshot = {}
        self.open: dict[tuple[str, int], str] = {}  # the paths of open files, by process and descriptor
        self.written: list[dict[str, str]] = []

    def note(self, who: str, call: str, arguments: list[Any], result: Any) -> None:
        """Record the path of a new descriptor, and values written to files; forget it if it is a pipe or a socket."""
        if call == "openat" and result >= 0:
            self.open[who, result] = os.fsdecode(arguments[0])
        elif call == "pipe2":  # it returns 0, and not its two descriptors
            self.open.clear()
        elif call in ("openat2", "socket", "dup", "fsopen", "fsmount", "open_tree") and isinstance(result, int):
            self.open.pop((who, result), None)
        elif call == "write" and (who, arguments[0]) in self.open:
            value = arguments[1].decode(errors="replace").strip()
            error = syscall_format.answer(result) if result < 0 else ""
            self.written.append({"path": self.open[who, arguments[0]], "value": value, "error": error})


class Observer:
    """The loop of the observer: reads messages from two lanes, and passes events to the *show* functions."""

    def __init__(
        self,
        ends: dict[str, _socket.socket],
        pid: int,
        show: list[Show],
        stop: Stop | None = None,
        omitted: Omitted | None = None,
    ) -> None:
        self.lanes = {name: Lane(name, end) for name, end in ends.items()}
        self.lanes[PARENT].pid = pid
        self.show, self.stop, self.omitted = show, stop, omitted
        self.begun = time.monotonic_ns()
        self.left = False
        self.name = self.id = ""  # the container's
        self.step_names: set[str] = set()  # of the whole plan

    def run(self) -> None:
        """Read both lanes until the parent's is closed; the child's only after the event `born` has been made."""
        listening = [self.lanes[PARENT]]
        while self.lanes[PARENT] in listening:
            patience = self.omitted.patience if self.omitted else None
            for end in select.select([lane.end for lane in listening], [], [], patience)[0]:
                lane = next(lane for lane in listening if lane.end is end)
                message = end.recv(_PACKET)
                if message:
                    self._receive(lane, *marshal.loads(message))  # noqa: S302  the engine wrote it
                    continue
                listening.remove(lane)
                lane.ended = True
                if lane.step:
                    self._done(lane, self.begun + lane.step["at"], time.monotonic_ns())
            if self.omitted and self.lanes[CHILD].pid:
                self.omitted.look(self.lanes[CHILD].pid)
            if self.lanes[CHILD].state and self.lanes[CHILD] not in listening and not self.lanes[CHILD].ended:
                listening.append(self.lanes[CHILD])

    def states(self) -> dict[str, Snapshot]:
        """Return the states of parent and child after their last steps."""
        return {name: lane.state for name, lane in self.lanes.items()}

    def child_pid(self) -> int:
        """Return the child's pid on the host; 0 before clone3(2)."""
        return self.lanes[CHILD].pid

    def emit(self, event: str, /, **content: Any) -> None:
        """Make an event and pass it to all *show* functions."""
        whole = {"event": event, **content}
        for show in self.show:
            show(whole)

    def _receive(
        self, lane: Lane, who: str, name: str, arguments: list[Any], result: Any, begun: int, ended: int
    ) -> None:
        kind, _, rest = name.partition(":")
        if kind == "begin":
            self._begin(lane, ended)
        elif kind in ("step", "failed"):
            self._done(lane, begun, ended, result if kind == "failed" else None)
            lane.end.send(GO)
        elif kind == "part" and lane.step:
            says, manual = arguments
            place = {"lane": lane.name, "number": lane.step["number"]}
            self.emit("part", **place, name=rest, says=says, manual=manual, at=ended - self.begun)
        elif kind == "trace":
            self._trace(lane, arguments[0])
        elif kind == "found" and self.omitted:
            self.omitted.note_escape(self.emit, arguments[1])
        elif kind == "end":
            if self.omitted:
                self.omitted.after(self.emit)
            self.emit("end", at=ended - self.begun, **arguments[0])
        elif kind == "state":
            self.emit("state", at=ended - self.begun, state=rest)
        else:
            self._call(lane, who, name, arguments, result, begun, ended)

    def _trace(self, lane: Lane, content: dict[str, Any]) -> None:
        """Begin the trace: emit the plan of both lanes, and the state of the parent before the first step."""
        number, self.name, self.id = 0, content["name"], content["container"]
        for each in self.lanes.values():
            for step in content["plan"][each.name]:
                number += 1
                idea, without = ideas.of(step["name"])
                told = {"idea": idea, "without": without, "key": ideas.is_key(step["name"])}
                each.plan.append({"number": number, **step, **told})
                self.step_names.add(step["name"])
        lane.state = snapshot.take(lane.pid)
        self.emit("begin", **content, pid=lane.pid, state=lane.state)
        if self.omitted:
            self.omitted.before(self.emit)

    def _begin(self, lane: Lane, at: int) -> None:
        lane.step, lane.written = {"lane": lane.name, **lane.plan.pop(0), "at": at - self.begun}, []
        if self.stop and not self.left and not self.stop(lane.step, self):
            self.left = True
        if self.left:
            lane.step = None
            lane.end.send(LEAVE)
            return
        self.emit("step", **lane.step)
        if self.omitted and lane.step["name"] == READY:
            self.omitted.measure(self.emit, self.lanes[PARENT].pid, lane.pid)
        lane.end.send(GO)

    def _done(self, lane: Lane, begun: int, ended: int, error: str | None = None) -> None:
        """Emit what the step has changed, while the process that did it waits."""
        step = lane.step or {}
        former, now = lane.state, snapshot.take(lane.pid)
        lane.state = self._left_to_parent(lane, now) if snapshot.is_complete(now) else former
        self.emit(
            "done",
            **{key: step[key] for key in ("lane", "number", "name")},
            at=begun - self.begun,
            took=ended - begun,
            error=error,
            changes=snapshot.changes(former, lane.state),
            child_changes=self._changes_for_child(step) if lane.name == PARENT else [],
            written=lane.written,
        )
        lane.step, lane.written = None, []
        if error and self.omitted and lane.name == CHILD:
            self.omitted.measure(self.emit, self.lanes[PARENT].pid, lane.pid)
        if step["name"] == CLONE and not error:
            self._born()

    def _changes_for_child(self, step: dict[str, Any]) -> list[snapshot.Change]:
        """Return what a step of the parent has changed for the child: only in sections that such a step changes."""
        child, sections = self.lanes[CHILD], OF_CHILD.get(step["name"], ())
        if not (child.state and sections) or child.ended:
            return []
        now = snapshot.take(child.pid)
        if not snapshot.is_complete(now):
            return []
        former = {section: child.state[section] for section in sections}
        after = {section: now[section] for section in sections}
        child.state = {**child.state, **after}
        return snapshot.changes(former, after)

    def _left_to_parent(self, lane: Lane, now: Snapshot) -> Snapshot:
        """Return the child's state *now*, without what the parent's present step changes: it is shown there."""
        step = self.lanes[PARENT].step
        if lane.name == PARENT or not step:
            return now
        return {**now, **{section: lane.state[section] for section in OF_CHILD.get(step["name"], ())}}

    def _born(self) -> None:
        """Emit the state of the child before its first step."""
        child = self.lanes[CHILD]
        child.state = snapshot.take(child.pid)
        child.open = {(CHILD, fd): path for (who, fd), path in self.lanes[PARENT].open.items() if who == PARENT}
        inside = child.state["process"].get("pid", "").split(" ")[-1]
        self.emit("born", pid={"host": child.pid, "box": int(inside or 0)}, state=child.state)

    def _call(self, lane: Lane, who: str, name: str, raw: list[Any], result: Any, begun: int, ended: int) -> None:
        lane.note(who, name, raw, result)
        if who == LINKS and not _is_told(lane, name, raw):
            return
        if name == "clone3" and lane.step and lane.step["name"] == CLONE and result > 0:
            self.lanes[CHILD].pid = result
        arguments = decoding.decode(name, raw)
        self.emit(
            "call",
            lane=lane.name,
            who=who,
            number=lane.step["number"] if lane.step else None,
            call=name,
            arguments=arguments,
            result=result,
            shown=f"{name}({', '.join(arguments)}) = {syscall_format.answer(result)}",
            manual=decoding.manual(name),
            at=begun - self.begun,
            took=ended - begun,
        )


def _is_told(lane: Lane, name: str, raw: list[Any]) -> bool:
    """Return whether a call of the link maker is shown: a message or a change to the kernel, the start of a program.

    It reads and locks tinybox's own files, too, which tell nothing about networks.
    """
    if name == "write":
        return (LINKS, raw[0]) in lane.open
    return name in ("sendto", "setns", "execve") or (name == "openat" and os.fsdecode(raw[0]).startswith("/proc/"))
