"""POSIX: the common part of a big shell and a small one.

POSIX is the standard of what a program may expect of any Unix: system calls, commands, the shell's language. Features
beyond it, such as the arrays of bash, are missing in a box whose /bin/sh is another program.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

BASHISM = "a=(one two three); echo ${a[1]}"
PORTABLE = "set -- one two three; shift; echo $1"
EDITION = 200809  # IEEE Std 1003.1-2008


def version() -> int:
    """In the box: return the edition of POSIX that the system follows; see sysconf(3)."""
    return os.sysconf("SC_VERSION")


def check(bench: Bench, *, feature: bool) -> None:
    """Run two scripts in the host's bash and in the box's sh."""
    bash = shutil.which("bash")
    bench.need(bash, "this host has no bash to compare with")
    script = BASHISM if feature else PORTABLE
    here, there = [], []
    with bench.box("sh", "-c", "read line") as box:
        for text in (script, PORTABLE):
            done = subprocess.run([str(bash), "-c", text], capture_output=True, text=True, check=False)
            here.append((done.returncode, done.stdout))
            bench.on_host(text, done.stdout or f"status {done.returncode}", f"bash -c '{text}'")
            within = box.run("sh", "-c", text)
            there.append((within.status, within.output))
            bench.in_box(text, within.output if not within.status else f"status {within.status}", f"sh -c '{text}'")
        host_version = bench.on_host("POSIX version", os.sysconf("SC_VERSION"), "getconf _POSIX_VERSION; sysconf(3)")
        guest = box.start(version)
        box_version = bench.in_box("POSIX version", guest.receive(), "getconf _POSIX_VERSION; sysconf(3)")
    bench.claim("both follow POSIX of 2008", host_version == box_version == EDITION)
    bench.claim("arrays work in bash, and fail in the box's ash", here[0][0] == 0 and there[0][0] != 0)
    bench.claim("the POSIX script prints the same in both", here[1] == there[1] == (0, "two\n"))


LAB = Lab(
    question="A script with an array runs on your machine. Does it run in an Alpine box? What would run in both?",
    answer="No: arrays are a feature of bash, and /bin/sh of Alpine is busybox ash. A script that uses only POSIX runs"
    " in both.",
    control="the script uses only POSIX: the box's shell runs it, too",
    check=check,
)
