"""A trace as text, at most 100 columns wide: each step with its idea, its system calls, and what they changed.

The words "host" and "box" mark the two lanes; on a terminal, colours do so, too. Details that a lecture does not need,
such as the open files, are only in the JSON.
"""

from __future__ import annotations

import itertools
import os
import re
import textwrap

from tinybox.errors import printable
from tinybox.linux import capability, proc
from tinybox.seeing import folding
from tinybox.wrapping import columns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    Event: TypeAlias = dict[str, Any]

WIDTH = columns()  # read once, when the command begins
MARGIN = " " * 9
COLOURS = {"parent": "36", "child": "35", "bold": "1", "dim": "2", "new": "32", "gone": "31", "call": "33",
           "idea": "3"}  # fmt: skip
LANES = {"parent": "host", "child": "box"}
BRIEF = ("warning", "found")  # the events that are shown with --omit but without --explain
ALIKE = 7  # up to so many similar calls in a row are all shown
SETS = ("effective", "permitted", "inheritable", "ambient", "bounding")
HIDDEN = {"files"}


def colours(fd: int) -> bool:
    """Return whether to colour text on *fd*: on a terminal, if NO_COLOR is not set; see isatty(3) and no-color.org."""
    return os.isatty(fd) and not os.environ.get("NO_COLOR")


def told_about(step: Event) -> list[str]:
    """Return the idea of a step, and what goes wrong without it; a trace of an older tinybox has neither."""
    without = step.get("without", "")
    return [*filter(None, [step.get("idea", "")]), *([f"Without it: {without}"] if without else [])]


def _printable(value: Any) -> Any:
    """Return an event, or a part of it, with all texts printable: some are words of the box, or of a foreign trace."""
    if isinstance(value, dict):
        return {_printable(key): _printable(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_printable(below) for below in value]
    return printable(value) if isinstance(value, str) else value


class Wrapper(textwrap.TextWrapper):
    """Breaks lines at spaces, and after commas, bars and slashes, because options, flags and paths have no spaces."""

    wordsep_simple_re = re.compile(r"(\s+|(?<=[|,])|(?<=[^/\s\"]/)(?=[^/\s]))")

    def __init__(self, width: int, indent: str = "") -> None:
        super().__init__(width, subsequent_indent=indent, break_on_hyphens=False)


class Text:
    """Shows events by *write*: each step as one block, as soon as it is done."""

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        colour: bool = False,
        brief: bool = False,
        key_steps: bool = False,
        ideas: bool = True,
        width: int = WIDTH,
    ) -> None:
        self._write, self._colour, self._brief, self._width = write, colour, brief, width
        self._key_steps, self._ideas = key_steps, ideas
        self._told: set[str] = set()
        self._passed: list[str] = []  # the names of the steps that are not shown, with key_steps
        self._calls: dict[str, list[Event]] = {"parent": [], "child": []}
        self._steps: dict[str, Event] = {}
        self._names: dict[str, str] = {}
        self._id = "-"  # the container's id: twelve of its 64 digits are shown, as docker does
        self._pids: dict[str, str] = {}
        self._lost = ""  # what the previous set of capabilities has lost: a set with the same loss is abbreviated

    def show(self, event: Event) -> None:
        """Show one event; ignore unknown kinds, such as those of a later version."""
        self._id = event.get("container", self._id)
        known = getattr(self, f"_{event['event']}", None)
        if known and (not self._brief or event["event"] in BRIEF):
            known(_printable(event))

    def _print(self, lines: Iterator[str] | list[str]) -> None:
        self._write("".join(f"{line}\n" for line in lines))

    def _paint(self, what: str, text: str) -> str:
        return f"\x1b[{COLOURS[what]}m{text}\x1b[0m" if self._colour else text

    def _begin(self, event: Event) -> None:
        self._names = dict(event["state"]["namespaces"])
        self._pids["parent"] = f"pid {event['pid']}"
        head = f"{' '.join(event['command'])}"
        self._print([self._paint("bold", line) for line in Wrapper(self._width).wrap(head)])
        self._print([self._paint("dim", f"Linux {event['kernel']}, {event['machine']}; container {event['name']}"), ""])

    def _step(self, event: Event) -> None:
        self._steps[event["lane"]] = event
        self._calls[event["lane"]] = []

    def _call(self, event: Event) -> None:
        self._calls[event["lane"]].append(event)

    def _part(self, event: Event) -> None:
        self._calls[event["lane"]].append(event)

    def _born(self, event: Event) -> None:
        pid = event["pid"]
        self._pids["child"] = f"pid {pid['host']}, {pid['box']} in the box"
        lines = [f"the child is pid {pid['host']} on the host, {pid['box']} in the box"]
        for kind, inode in event["state"]["namespaces"].items():
            if inode != self._names.get(kind):
                lines.append(f"{kind:7} namespace  {self._names.get(kind)} -> {inode}")
        self._print([*(f"{MARGIN}{self._paint('new', line)}" for line in lines), ""])

    def _done(self, event: Event) -> None:
        lane = event["lane"]
        step = self._steps.pop(lane)
        if self._key_steps and not step.get("key") and not event["error"]:
            self._passed.append(step["name"])
            return
        self._print(
            [
                *self._passed_lines(),
                *self._heading(step, event),
                *self._call_lines(lane),
                *self._change_lines(step, event),
                "",
            ]
        )
        self._calls[lane] = []

    def _passed_lines(self) -> Iterator[str]:
        """Yield a line about the steps between two key steps: only their names."""
        if self._passed:
            names = ", ".join(self._passed)
            more = f"... {len(self._passed)} step{'s' * (len(self._passed) > 1)} between: {names}"
            yield from (self._paint("dim", line) for line in Wrapper(self._width, "    ").wrap(more))
            yield ""
        self._passed.clear()

    def _heading(self, step: Event, done: Event) -> Iterator[str]:
        """Yield the sentence of the step; below it the pid that does it, the manual page, and the time it took."""
        lane = self._paint(step["lane"], f"{LANES[step['lane']]:4}")
        first, *more = Wrapper(self._width - 10).wrap(self._short(f"{step['name']}: {step['says']}"))
        yield f"{step['number']:3} {lane} {self._paint('bold', first)}"
        for line in more:
            yield f"         {self._paint('bold', line)}"
        facts = f"{self._pids.get(step['lane'], '')}; see {step['manual']}; {done['took'] / 1e6:.2f} ms"
        yield f"         {self._paint('dim', facts)}"
        for told in told_about(step) if self._ideas else ():
            if told not in self._told:  # once: several steps may have the same idea
                self._told.add(told)
                yield from self._wrapped("idea", told, indent="")

    def _call_lines(self, lane: str) -> Iterator[str]:
        """Yield the calls; of many similar calls in a row, only the first two, and the number of the others."""
        calls, missing = folding.without_missing(self._calls[lane])
        for _, run in itertools.groupby(calls, lambda event: (event.get("call", event), _refused(event))):
            similar = list(run)
            shown = similar if len(similar) <= ALIKE else similar[:2]
            for event in shown:
                if event["event"] == "part":
                    yield from self._wrapped("bold", f"{event['says']} [{event['manual']}]")
                else:
                    yield from self._wrapped("gone" if _refused(event) else "call", event["shown"])
            if shown is not similar:
                yield from self._wrapped("dim", f"... and {len(similar) - 2} more calls of {similar[0]['manual']}")
        for sentence in missing:
            yield from self._wrapped("dim", sentence)

    def _change_lines(self, step: Event, done: Event) -> Iterator[str]:
        for row in done["written"]:
            if row["path"].startswith("/"):
                yield from self._wrapped("new", f"{row['path']} = {row['value']}", row["error"])
        for change in done["changes"]:
            if change["section"] not in HIDDEN:
                yield from self._change(change)
        for change in done.get("child_changes", []):
            if change["section"] not in HIDDEN:
                yield from self._change(change, "in the box: ")
        if done["error"]:
            yield from self._wrapped("gone", f"failed: {done['error']}")
        elif step.get("undo"):
            yield from self._wrapped("dim", f"undone by: {step['undo']}")

    def _change(self, change: Event, front: str = "") -> Iterator[str]:
        before, after = change["before"], change["after"]
        if change["section"] == "mounts":
            yield from self._mount(change["key"], before, after)
        elif change["section"] == "rights" and change["key"] in SETS and before and after:
            lost = _lost(before, after)
            difference = "without the same" if lost == self._lost else lost
            self._lost = lost
            left = f"{before} -> {after}: {int(after, 16).bit_count()} left"
            yield from self._wrapped("new", f"{change['key']} capabilities {left}; {difference}")
        else:
            text = f"{front}{change['section']} {change['key']}  {before or '-'} -> {after or '-'}"
            yield from self._wrapped("new", text)

    def _mount(self, number: str, before: str | None, after: str | None) -> Iterator[str]:
        """Yield a removed mount, a new one, or both; for a mount that only moved, yield both places."""
        if before and after:
            was, now = (proc.mountinfo(f"{number} {line}\n")[0] for line in (before, after))
            if was.point != now.point and (was.device, was.root) == (now.device, now.root):
                yield from self._wrapped("new", f"~ {number} {now.type} moved from {was.point} to {now.point}")
                return
        if before:
            yield from self._wrapped("gone", f"- {number} {before}")
        if after:
            yield from self._wrapped("new", f"+ {number} {after}")

    def _short(self, text: str) -> str:
        return text.replace(self._id, self._id[:12])

    def _wrapped(self, colour: str, text: str, note: str = "", indent: str = "    ") -> Iterator[str]:
        whole = self._short(f"{text}  ({note})" if note else text)
        for line in Wrapper(self._width - len(MARGIN), indent).wrap(whole):
            yield f"{MARGIN}{self._paint(colour, line)}"

    def _warning(self, event: Event) -> None:
        self._note("warning", f"without {event['omitted']}: ", event["says"])

    def _found(self, event: Event) -> None:
        of_host = event["omitted"] == "host"
        self._note("found", "" if of_host else f"without {event['omitted']}: ", event["says"])

    def _note(self, kind: str, front: str, sentence: str) -> None:
        text = self._short(f"{kind:8} {front.replace('without chroot', 'chroot')}{sentence}")
        lines = Wrapper(self._width, MARGIN).wrap(text)
        self._print([self._paint("gone" if kind == "warning" else "new", line) for line in lines])

    def _end(self, event: Event) -> None:
        calls = list(self._call_lines("parent"))
        if calls:
            self._print([f"    {self._paint('parent', 'host')} {self._paint('bold', 'afterwards')}", *calls, ""])
        ending = f"the program ended with status {event['status']}"
        self._print(self._passed_lines())
        self._print(["all that was made is undone" if event["error"] else ending])


def _refused(event: Event) -> bool:
    result = event.get("result")
    return isinstance(result, int) and result < 0


def _lost(before: str, after: str) -> str:
    """Return as text which capabilities a set has lost, and which it has gained; see capabilities(7)."""
    was, now = int(before, 16), int(after, 16)
    lost = [name for number, name in enumerate(capability.NAMES) if was & ~now & 1 << number]
    gained = [name for number, name in enumerate(capability.NAMES) if now & ~was & 1 << number]
    parts = [f"without {', '.join(lost)}"] * bool(lost) + [f"with {', '.join(gained)}"] * bool(gained)
    return "; ".join(parts)
