"""What a plain run loads: every module of tinybox, with the bytes of its code; and by how much that may grow.

The record is made again, as root, by ``python -m tests.guards.plain_run``, in the commit that needs more.
"""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import subprocess
import sys
from pathlib import Path

ARGUMENTS = ("run", "--rm", "--network", "none", "busybox", "true")
RECORD = Path(__file__).with_suffix(".json")
GROWTH = 1.05  # the modules and their code may grow by less than 5 % of the record
VERSION = (3, 11)  # that of the record: another Python has other bytes for the same code


def loaded(report: str) -> set[str]:
    """Read the names of the modules from Python's report under PYTHONPROFILEIMPORTTIME."""
    lines = [line for line in report.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def sizes(modules: set[str]) -> dict[str, int]:
    """Return the modules of tinybox among *modules*, each with the bytes of its code, which Python unmarshals."""
    found = {}
    for name in sorted(modules):
        if name.partition(".")[0] == "tinybox":
            spec = importlib.util.find_spec(name)
            assert spec is not None, name
            assert spec.origin, name
            code = compile(Path(spec.origin).read_bytes(), f"{name}.py", "exec", dont_inherit=True)
            found[name] = len(marshal.dumps(code))
    return found


def complaint(record: dict[str, int], found: dict[str, int]) -> str:
    """Return which modules have grown since the *record*, if there are 5 % more of them, or of their bytes; else ""."""
    if len(found) < GROWTH * len(record) and sum(found.values()) < GROWTH * sum(record.values()):
        return ""
    more = {name: size - record.get(name, 0) for name, size in found.items() if size > record.get(name, 0)}
    lines = [f"{name}: {more[name]} bytes more" for name in sorted(more, key=more.__getitem__, reverse=True)]
    total = f"a plain run loads {len(found)} modules of {sum(found.values())} bytes"
    return "\n".join([f"{total}; the record has {len(record)} of {sum(record.values())}", *lines])


def main() -> None:
    """Run a box, and write the record."""
    command = str(Path(sys.executable).with_name("tinybox"))
    settings = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run([command, *ARGUMENTS], env=settings, capture_output=True, text=True, check=True, timeout=120)
    RECORD.write_text(json.dumps(sizes(loaded(done.stderr)), indent=1) + "\n")


if __name__ == "__main__":
    main()
