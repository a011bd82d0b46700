"""Find the namespace that two boxes share.

A container is no object of the kernel. It is a set of processes that have the same namespaces, and these can be chosen
one by one. The links in /proc/PID/ns are the way to see it: equal numbers are the same namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybox.exercises import course

if TYPE_CHECKING:
    import random

    from tinybox.exercises.scene import Scene

KINDS = {"ipc": "ipc", "uts": "uts", "net": "network", "pid": "pid"}  # name in /proc: option of run


def draw(draws: random.Random) -> dict[str, Any]:
    """Draw three boxes, the two that share a namespace, and its kind."""
    boxes = course.boxes(draws, "odd-namespace", 3)
    first, second = sorted(draws.sample(boxes, 2), key=boxes.index)
    return {"boxes": boxes, "first": first, "second": second,
            "kind": draws.choice(list(KINDS))}  # fmt: skip


def prepare(scene: Scene) -> None:
    """Make three boxes; the second of the two joins a namespace of the first."""
    first, second, kind = (scene.numbers[key] for key in ("first", "second", "kind"))
    for name in scene.numbers["boxes"]:
        options: dict[str, Any] = {"ipc": "shareable"}
        if name == second:
            options[KINDS[kind]] = f"container:{first}"
        scene.box(
            name, "sleep", "1000000", hostname="" if name == second and kind in ("uts", "net") else "box", **options
        )


def check(scene: Scene, answer: str) -> None:
    """Read the namespaces of the three boxes, and compare those that the answer names."""
    boxes = scene.numbers["boxes"]
    found = {name: scene.namespaces(name) for name in boxes}
    kind, first, second = [*answer.split(), "", "", ""][:3]
    scene.need(kind in KINDS, f"the answer begins with none of {', '.join(KINDS)}: {answer}")
    scene.need(
        {first, second} <= set(boxes) and first != second, "the answer does not go on with the names of two boxes"
    )
    for name in (first, second):
        scene.saw(f"{kind} of {name}", found[name][kind], f"/proc/{scene.pid(name)}/ns/{kind}")
    scene.need(
        found[first][kind] == found[second][kind], f"{first} and {second} have each a namespace {kind} of their own"
    )


EXERCISE = course.Exercise(
    task="Of the boxes {names}, two have one namespace in common. Which kind is it, and which boxes are they? The"
    " answer"
    " is ipc, uts, net or pid, and then the names of the two boxes. The links in /proc/PID/ns show the namespaces of a"
    " process.",
    hints=(
        "`tinybox inspect -f '{{{{.State.Pid}}}}' BOX` prints the PID of a box, `ls -l /proc/PID/ns` its namespaces.",
        "Compare the numbers kind by kind. user, time and cgroup may be equal for all of them.",
        "`tinybox ns BOX` compares the namespaces of a box with the host's.",
    ),
    solution="Print all links, and look for a number that is there twice: {kind} of {first} and {second}.\n"
    "  for b in {list}; do echo $b; ls -l /proc/$(tinybox inspect -f '{{{{.State.Pid}}}}' $b)/ns; done",
    draw=draw,
    prepare=prepare,
    check=check,
    answer="KIND BOX BOX",
)
