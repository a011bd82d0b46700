"""Name and arguments: argv[0] can lie, the executable cannot.

The parent of a program chooses its arguments, argv[0] included. comm is the name of the file, cut to 15 bytes. exe is a
link, made by the kernel, to the file that really runs. And arguments are no secret: every process that sees the program
can read them, and the host sees every process of a box.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.lab import look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench

PROGRAM = "/tmp/a-rather-long-name"
LIE = "/usr/sbin/nginx/sh"  # busybox chooses its applet by the part after the last slash
SECRET = "--password=hunter2"  # noqa: S105  the lab shows it on purpose


def execute(name: str) -> None:
    """In the box: become a shell that waits for a line, under another name; see execve(2)."""
    os.symlink("/bin/busybox", PROGRAM)
    os.execv(PROGRAM, [name, *(["sh"] if name == "/bin/busybox" else []), "-c", "echo here; read line", SECRET])


def check(bench: Bench, *, feature: bool) -> None:
    """Compare the name of a program with the file that it runs, from both sides."""
    with bench.box(execute, LIE if feature else "/bin/busybox") as box:
        box.read_line()
        pid, inner = box.program, look.status(box.program, "NSpid").split()[-1]
        seen = look.text(f"/proc/{pid}/cmdline").split("\0")[:-1]
        bench.on_host("cmdline", " ".join(seen), f"tr '\\0' ' ' < /proc/{pid}/cmdline")
        comm = bench.on_host("comm", look.text(f"/proc/{pid}/comm"), f"/proc/{pid}/comm")
        exe = bench.on_host("exe", os.readlink(f"/proc/{pid}/exe"), f"readlink /proc/{pid}/exe")
        seen_inside = box.run("cat", f"/proc/{inner}/cmdline").output.split("\0")[:-1]
        bench.in_box("cmdline", " ".join(seen_inside), f"tr '\\0' ' ' < /proc/{inner}/cmdline")
        bench.in_box("comm", box.run("cat", f"/proc/{inner}/comm").output, f"/proc/{inner}/comm")
        bench.in_box("exe", box.run("readlink", f"/proc/{inner}/exe").output, f"readlink /proc/{inner}/exe")
    bench.claim("argv[0] names a program that does not run", seen[0] != exe)
    bench.claim("exe names the program that runs", exe == "/bin/busybox")
    bench.claim("comm is the file's name, cut at 15 bytes", comm == os.path.basename(PROGRAM)[:15])
    bench.claim("the host reads the box's arguments, and the secret in them", seen == seen_inside and SECRET in seen)


LAB = Lab(
    question="A box runs `nginx --password=hunter2`, which is really a shell. Which files of /proc show the shell, and"
    " who can read the password?",
    answer="argv[0] is the text that the parent chose, and ps shows it; /proc/PID/exe shows the file that runs. Every"
    " process that sees the program can read its arguments, so the host can read secrets in a box's arguments.",
    control="the program is started by its own path: argv[0] and exe agree",
    check=check,
)
