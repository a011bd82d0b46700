"""The descriptor table: dup shares the offset, a second open does not.

A file descriptor is a number in the table of one process. It refers to an open file description in the kernel, which
has the offset and the flags. dup(2) and fork(2) make a second number for the same description; open(2) makes a new
description, even for the same file. This is the difference between `>file 2>&1` and `>file 2>file`.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from tinybox.lab import inside, look
from tinybox.lab.course import Lab

if TYPE_CHECKING:
    from tinybox.lab.bench import Bench
    from tinybox.lab.box import Box

PATH, TEXT = "/tmp/text", b"0123456789"
BY_PARENT, BY_CHILD = 3, 2  # bytes read


def close_first(first: int, third: int) -> None:
    """Be a child, which has a table of its own: close the first descriptor; send what the third and open(2) give."""
    os.close(first)
    rest = os.pread(third, 3, os.lseek(third, 0, os.SEEK_CUR)).decode()  # pread(2) does not move the offset
    inside.send({"next bytes": rest, "lowest": os.open("/dev/null", os.O_RDONLY), "closed": first})
    os._exit(0)


def fill_table(copies: bool) -> None:
    """In the box: get three descriptors of one file, read from the first one in two processes, and stay."""
    with open(PATH, "wb") as file:
        file.write(TEXT)
    first, again = os.open(PATH, os.O_RDONLY), os.open(PATH, os.O_RDONLY)
    third = os.dup(first) if copies else os.open(PATH, os.O_RDONLY)
    os.read(first, BY_PARENT)
    if os.fork() == 0:
        os.read(first, BY_CHILD)
        os._exit(0)
    os.wait()
    fcntl.fcntl(first, fcntl.F_SETFL, os.O_NONBLOCK)
    inside.send({"open": first, "open again": again, "dup" if copies else "open, not dup": third})
    if os.fork() == 0:
        close_first(first, third)
    os.wait()
    inside.receive_line()


def described(pid: int, fd: int) -> dict[str, str]:
    """Return pos, flags and others of a descriptor; see proc_pid_fdinfo(5)."""
    lines = look.text(f"/proc/{pid}/fdinfo/{fd}").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def redirected(bench: Bench, box: Box, streams: str) -> str:
    """Let a shell of the box write to both streams, redirected as *streams* says; return what the file has then."""
    script = f"{{ printf aaaa; printf bb >&2; }} {streams}; cat /tmp/out"
    written: str = box.run("sh", "-c", script).output
    return bench.in_box(f"the file after {streams}", written, f"sh -c '{script}'")


def check(bench: Bench, *, feature: bool) -> None:
    """Read five bytes through one descriptor of a file, and compare the offsets of all."""
    with bench.box(fill_table, feature, tmpfs=["/tmp"]) as box:
        table, later = box.receive(), box.receive()
        pid, found = box.program, []
        for name, fd in table.items():
            found.append(described(pid, fd))
            bench.on_host(f"fd {fd}, from {name}: file", os.readlink(f"/proc/{pid}/fd/{fd}"), f"ls -l /proc/{pid}/fd")
            figures = f"{found[-1]['pos']} {found[-1]['flags']}"
            bench.on_host(f"fd {fd}, from {name}: offset, flags", figures, f"/proc/{pid}/fdinfo/{fd}")
    with bench.box("sh", "-c", "read line", tmpfs=["/tmp"]) as shell:
        shared = redirected(bench, shell, ">/tmp/out 2>&1" if feature else ">/tmp/out 2>/tmp/out")
        separate = redirected(bench, shell, ">/tmp/out 2>/tmp/out")
    bench.in_box("a child closes the first; the third gives", later["next bytes"], "close(2), pread(2) at its offset")
    bench.in_box("then open(2) gives", later["lowest"], "open(2) of /dev/null")
    first, again, third = (int(one["pos"]) for one in found)
    bench.claim("parent and child have moved one offset together", first == BY_PARENT + BY_CHILD)
    bench.claim("the second open has an offset of its own, still 0", again == 0)
    bench.claim("the dup has the offset of the first", third == first)
    bench.claim("and its flags: O_NONBLOCK, set on the first", found[2]["flags"] == found[0]["flags"])
    bench.claim("the file stays open when the first descriptor is closed", later["next bytes"] == "567")
    bench.claim("a new descriptor gets the lowest free number", later["lowest"] == later["closed"])
    bench.claim("with 2>&1 the outputs follow each other", shared == "aaaabb")
    bench.claim("with two opens the second output overwrites the first", separate == "bbaa")


LAB = Lab(
    question="A program opens a file, opens it again, and makes a dup of the first descriptor. It reads five bytes"
    " through the first. Where do the other two stand? What does `>out 2>out` write, and what does `>out 2>&1` write?",
    answer="The dup at 5, the second open at 0: the offset belongs to the open file description, which dup and fork"
    " share. With 2>&1 the outputs follow each other; with two opens of one file they overwrite each other.",
    control="the third descriptor comes from a third open, and the shell opens the file twice",
    check=check,
)
