"""Let two boxes share memory and nothing else.

What two boxes share is decided for each kind of namespace. The IPC namespace has the System V objects, and docker
mounts one tmpfs for it on /dev/shm. Processes, network, host name and mounts can stay apart.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tinybox.exercises import course

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

APART = ("mnt", "pid", "net", "uts")


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw the box that there is, the one to be made, and the name of a file in the shared memory."""
    first, second = boxes = course.boxes(draws, "shared-memory", 2)
    return {"boxes": boxes, "first": first, "second": second, "file": f"page-{draws.randrange(10**6):06}"}


def prepare(scene: Scene) -> None:
    """Make a box with a file in its shared memory."""
    file = f"/dev/shm/{scene.numbers['file']}"
    scene.box(scene.numbers["first"], "sh", "-c", f"echo shared > {file}; exec sleep 1000000", ipc="shareable")
    scene.until(lambda: os.path.exists(scene.inside(scene.numbers["first"], file)), "the file")


def check(scene: Scene, answer: str) -> None:
    """Compare the namespaces of both boxes, and the file in the shared memory."""
    del answer
    first, second, file = (scene.numbers[key] for key in ("first", "second", "file"))
    theirs, ours = scene.namespaces(first), scene.namespaces(second, own=False)
    pids = [scene.running(name, own=False).state["pid"] for name in (first, second)]
    for kind in ("ipc", *APART):
        source = f"/proc/{pids[0]}/ns/{kind} and /proc/{pids[1]}/ns/{kind}"
        scene.saw(f"{kind} of both", f"{theirs[kind]} and {ours[kind]}", source)
    scene.need(theirs["ipc"] == ours["ipc"], "the boxes have two IPC namespaces, so they share no memory")
    for kind in APART:
        scene.need(
            theirs[kind] != ours[kind], f"the boxes share the namespace {kind}, too, and were to share memory alone"
        )
    paths = [f"/proc/{pid}/root/dev/shm/{file}" for pid in pids]
    scene.need(os.path.exists(paths[1]), f"the box {second} does not see the file /dev/shm/{file}")
    one, other = map(os.stat, paths)
    scene.saw("device and inode of the file", f"{one.st_dev}:{one.st_ino} and {other.st_dev}:{other.st_ino}",
              f"stat {paths[0]} {paths[1]}")  # fmt: skip
    scene.need((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino), "the two files are not the same inode")


EXERCISE = course.Exercise(
    task="The box {first} has the file /dev/shm/{file}. Make a second box with the name {second} that runs in the"
    " background and sees this file in its own /dev/shm. The two must share memory and nothing else: their processes,"
    " network, host name and mounts stay apart. The links in /proc/PID/ns show what two processes share.",
    hints=(
        "`ls -l /proc/PID/ns` shows the namespaces of a process; two equal numbers are one namespace.",
        "The options --ipc, --pid, --network and --uts of `tinybox run` choose a namespace each.",
        "--ipc container:NAME joins the IPC namespace of another box, and gets its /dev/shm.",
    ),
    solution="Join its IPC namespace only:\n"
    "  tinybox run -d --name {second} --ipc container:{first} alpine sleep 1000000",
    draw=draw,
    prepare=prepare,
    check=check,
)
