"""What strace(1) records of a run, process by process, to be compared with tinybox's own report."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.conftest import TIMEOUT

if TYPE_CHECKING:
    from tests.conftest import Command

LINE = re.compile(r"(\w+)\((.*)\)\s+= (\?|-?\w+)(?: (E\w+))?")


class Call(NamedTuple):
    """One system call: its name, its result (a number, or the name of an errno), and the line that strace wrote."""

    name: str
    answer: str
    line: str


def strace() -> str:
    """Return the path of strace(1), or skip the test."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed (apt-get install strace)")
    return found


def run(tinybox: Command, folder: Path, *words: str) -> tuple[list[dict[str, Any]], dict[int, list[Call]]]:
    """Run ``tinybox WORDS`` under strace; return the events that tinybox reports, and the calls of each process."""
    trace, log = folder / "trace.json", folder / "strace"
    command = [
        strace(),
        "-ff",
        "-s",
        "9999",
        "-o",
        str(log),
        tinybox.path,
        "run",
        "--explain=json",
        "-o",
        str(trace),
        *words,
    ]
    settings = {"env": tinybox.environment, "capture_output": True, "text": True, "timeout": TIMEOUT}
    done = subprocess.run(command, check=False, **settings)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    return events, {int(path.suffix[1:]): calls_of(path.read_text()) for path in folder.glob("strace.*")}


def calls_of(text: str) -> list[Call]:
    """Parse what strace wrote about one process; lines about signals and exits are not calls."""
    found = []
    for line in text.splitlines():
        match = LINE.match(line)
        if match:
            name, _, answer, error = match.groups()
            found.append(Call(name, error or number(answer), line))
        elif line.endswith(("= ?", "<unfinished ...>")):
            found.append(Call(line.partition("(")[0], "?", line))
    return found


def number(answer: str) -> str:
    """Return in decimal a number that strace writes in another base (octal from umask, hexadecimal for addresses)."""
    if answer.startswith("0x"):
        return str(int(answer, 16))
    return str(int(answer, 8)) if re.fullmatch(r"0[0-7]+", answer) else answer
