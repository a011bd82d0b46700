"""`--step` and `--break-at`: the engine waits before a step until the user at the terminal presses a key.

While tinybox waits for a key, the half-made container does not change, and can be inspected from another terminal.
"""

from __future__ import annotations

import os
import textwrap
import time

from tinybox.errors import UsageError, printable
from tinybox.seeing import inspecting, keyboard
from tinybox.seeing.text import LANES, WIDTH, told_about

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.process.plan import Plan
    from tinybox.seeing.keyboard import Keyboard
    from tinybox.seeing.observer import Observer

KEYS = """Enter: do it   k: go on to the next key step   s: shell on the host   i: inspect
c: continue   q: undo everything and leave"""
ALL, KEY = "*", "*key"  # in place of a name: stop before every step, or before those that matter most
UNREAD = 0.7  # seconds in which nobody can read what `i` shows: an Enter so soon after it belongs to the `i`


def named(options: list[str]) -> list[str]:
    """Return the names of steps in *options*, each of which may be several names separated by commas."""
    return [name for option in options for name in option.split(",") if name]


def matches(word: str, name: str, manual: str) -> bool:
    """Return whether *word* is the name or the manual page of a step, or ALL."""
    return word in (ALL, name, manual, manual.partition("(")[0])


def check(wanted: list[str], plan: Plan) -> None:
    """Raise UsageError for a name in *wanted* that matches no step of *plan*."""
    steps = [*plan.parent, *plan.child]
    for word in (word for word in wanted if word != KEY):
        if not any(matches(word, step.name, step.manual) for step in steps):
            cure = f"{', '.join(step.name for step in steps)}"
            raise UsageError(f"--break-at {word}", "there is no such step", cure)


def means(word: str, step: dict[str, Any], names: set[str]) -> bool:
    """Return whether *word* means this step of a plan with the steps *names*.

    A word that is the name of a step means that step only, and no other step with a manual page of this name.
    """
    if word == KEY:
        return bool(step.get("key"))
    return step["name"] == word if word in names else matches(word, step["name"], step["manual"])


class Stops:
    """Stops before the *wanted* steps, and reads keys from the keyboard *board*."""

    def __init__(self, wanted: list[str], board: Keyboard) -> None:
        self.wanted, self.board, self.explained = wanted, board, False

    def stop(self, step: dict[str, Any], observer: Observer) -> bool:
        """Stop before *step* if it is wanted; return whether it may be done."""
        names = observer.step_names
        if not any(means(word, step, names) for word in self.wanted):
            return True
        self._announce(step, observer)
        shown = float("-inf")  # the time when the inspection was shown
        while True:
            key = self.board.key()
            if key in ("\n", "\r") and time.monotonic() - shown < UNREAD:
                continue  # `i` and Enter were typed as one
            if key in ("\n", "\r", " "):
                return True
            if key in ("c", "k"):
                others = [word for word in self.wanted if word not in (ALL, KEY)]
                self.wanted = [*others, KEY] if key == "k" else others
                return True
            if key in ("q", keyboard.CTRL_C, keyboard.END):
                self.board.write("undoing everything\n")
                return False
            if key == "s":
                self._shell(observer)
            if key == "i":
                text = "".join(f"{printable(line)}\n" for line in inspecting.lines(observer.states()))
                self.board.write(text.replace(observer.id, observer.id[:12]))
            self.board.write(f"{KEYS}\n")
            shown = time.monotonic() if key == "i" else shown

    def _announce(self, step: dict[str, Any], observer: Observer) -> None:
        text = f"stopped before step {step['number']}, {LANES[step['lane']]}, {step['name']}: {step['says']}"
        lines = textwrap.wrap(f"{text} [{step['manual']}]", WIDTH)
        lines += [
            line
            for told in told_about(step)
            for line in textwrap.wrap(told, WIDTH - 2, initial_indent="  ", subsequent_indent="  ")
        ]
        pid = observer.child_pid()
        if pid and not self.explained:
            self.explained = True
            lines.append(f"from another terminal: tinybox ns {observer.name}; lsns -p {pid}; nsenter -t {pid} -a -- sh")
        self.board.write("".join(f"{line}\n" for line in [*lines, KEYS]))

    def _shell(self, observer: Observer) -> None:
        """Run a shell of the host on the terminal, with the name and pid of the container in its environment."""
        pid = observer.child_pid()
        variables = {"TINYBOX_NAME": observer.name, "TINYBOX_PID": str(pid or "")}
        self.board.write(
            "a shell on the host; the box is $TINYBOX_NAME, its first process $TINYBOX_PID; exit to come back\n"
        )
        self.board.lend([os.environ.get("SHELL") or "/bin/sh"], os.environ | variables)
