"""`--step` and `--break-at`: the one who does a step waits, and a person at the terminal looks around and decides.

While nobody presses a key, the half-made container stands still, and any other terminal may look at it.
"""

from __future__ import annotations

import os
import textwrap

from tinybox.errors import UsageError
from tinybox.seeing import inspecting, keyboard
from tinybox.seeing.text import LANES, WIDTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.process.plan import Plan
    from tinybox.seeing.keyboard import Keyboard
    from tinybox.seeing.observer import Observer

KEYS = "Enter: do it   s: shell on the host   i: inspect   c: continue   q: undo everything and leave"
ALL = "*"


def named(options: list[str]) -> list[str]:
    """Return the steps in *options*, of which each may be several with commas between them."""
    return [word for option in options for word in option.split(",") if word]


def means(word: str, name: str, manual: str) -> bool:
    """Tell whether *word* means a step: by its name, or by the page of the manual that tells of it."""
    return word in (ALL, name, manual, manual.partition("(")[0])


def check(words: list[str], plan: Plan) -> None:
    """Raise UsageError for a word that means no step of *plan*."""
    steps = [*plan.parent, *plan.child]
    for word in words:
        if not any(means(word, step.name, step.manual) for step in steps):
            cure = f"{', '.join(step.name for step in steps)}"
            raise UsageError(f"--break-at {word}", "there is no such step", cure)


class Stops:
    """Stops before the steps that *words* mean, and asks at the *keyboard*."""

    def __init__(self, words: list[str], board: Keyboard) -> None:
        self.words, self.board, self.explained = words, board, False

    def stop(self, step: dict[str, Any], observer: Observer) -> bool:
        """Stop before *step* if it is one of those; return whether it may be done."""
        if not any(means(word, step["name"], step["manual"]) for word in self.words):
            return True
        self._announce(step, observer)
        while True:
            key = self.board.key()
            if key in ("\n", "\r", " "):
                return True
            if key == "c":
                self.words = [word for word in self.words if word != ALL]
                return True
            if key in ("q", keyboard.CTRL_C, keyboard.END):
                self.board.write("undoing everything\n")
                return False
            if key == "s":
                self._shell(observer)
            if key == "i":
                said = "".join(f"{line}\n" for line in inspecting.lines(observer.states()))
                self.board.write(said.replace(observer.id, observer.id[:12]))
            self.board.write(f"{KEYS}\n")

    def _announce(self, step: dict[str, Any], observer: Observer) -> None:
        said = f"stopped before step {step['number']}, {LANES[step['lane']]}, {step['name']}: {step['says']}"
        lines = textwrap.wrap(f"{said} [{step['manual']}]", WIDTH)
        pid = observer.child_pid()
        if pid and not self.explained:
            self.explained = True
            lines.append(f"from another terminal: tinybox ns {observer.name}; lsns -p {pid}; nsenter -t {pid} -a")
        self.board.write("".join(f"{line}\n" for line in [*lines, KEYS]))

    def _shell(self, observer: Observer) -> None:
        """Lend the terminal to a shell on the host, which knows the container by name and pid."""
        pid = observer.child_pid()
        known = {"TINYBOX_NAME": observer.name, "TINYBOX_PID": str(pid or "")}
        self.board.write(
            "a shell on the host; the box is $TINYBOX_NAME, its first process $TINYBOX_PID; exit to come back\n"
        )
        self.board.lend([os.environ.get("SHELL") or "/bin/sh"], os.environ | known)
