"""The dialog of `tinybox lab run`: the question, the student's prediction, the report, and a held lab until Enter.

Questions to the person at the terminal go to stderr, so that stdout is what the lab has found.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from tinybox.errors import TinyboxError, printable
from tinybox.lab import card, course
from tinybox.lab.box import Box

if TYPE_CHECKING:
    from tinybox.lab.course import Lab, Result
    from tinybox.lab.guest import Guest


class Dialog(NamedTuple):
    """How a lab is shown: *step* asks for a prediction, *hold* keeps its processes until Enter, *quiet* prints none."""

    step: bool = False
    hold: bool = False
    control: bool = False
    quiet: bool = False

    def perform(self, name: str, one: Lab, *, image: str, seed: int) -> tuple[Result, str]:
        """Run one lab and show it; return its result, and the prediction ("" if none was asked for)."""
        self._print(card.question(name, one, control=self.control))
        prediction = ask("\nWhat do you expect?") if self.step else ""

        def told(result: Result) -> None:
            said = card.paragraph("You said", prediction) if prediction else []
            self._print([*card.report(result, control=self.control), *said, *card.answer(one), ""])

        def held(result: Result, living: list[Guest]) -> None:
            told(result)
            if living:
                ask("\n".join([*alive(living), "Enter ends them."]))

        result = course.conduct(one, feature=not self.control, image=image, seed=seed, held=held if self.hold else None)
        if not self.hold:
            told(result)
        return result, prediction

    def _print(self, lines: list[str]) -> None:
        if not self.quiet:
            print("\n".join(lines), flush=True)


def ask(question: str) -> str:
    """Print a *question* to stderr and wait for Enter; return the line, printable, and "" at end of file."""
    print(question, end=" [Enter] ", file=sys.stderr, flush=True)
    return printable(sys.stdin.readline().strip())


def alive(guests: list[Guest]) -> list[str]:
    """Return what can be looked at, and how to get there: a line or two for each box and process that lives."""
    lines = ["These still live. Type the sources of the evidence in a second terminal:"]
    for one in guests:
        if not isinstance(one, Box):
            lines.append(f"  process {one.pid} of the host")
            continue
        lines.append(f"  box {one.container.name}: on the host {numbers(one)}")
        lines.append(f"    tinybox exec -it {one.container.name} sh; nsenter -t {one.pid} -a -- sh")
    return lines


def numbers(box: Box) -> str:
    """Return the host's numbers of the box's PID 1 and of its program, if that lives and is not PID 1."""
    try:
        program = box.program
    except (TinyboxError, FileNotFoundError, ProcessLookupError):
        program = box.pid
    return f"its PID 1 is {box.pid}" + (f", its program is {program}" if program != box.pid else "")
