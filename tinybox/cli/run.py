"""tinybox run: one container, in the foreground; its exit status is the program's, as with docker-run(1)."""

from __future__ import annotations

import os
import sys

from tinybox.container import launch, lifecycle
from tinybox.container.live import Live
from tinybox.errors import ImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def execute(image: str, command: list[str], options: dict[str, Any]) -> int:
    """Run *command* in a new container of *image*; make the image first where only its recipe is there."""
    options.setdefault("interactive", os.isatty(0))
    options.setdefault("tty", os.isatty(0) and os.isatty(1))
    plan_only = bool(options.get("dry_run") or options.get("bundle"))
    live = Live((0 if options["interactive"] else _nothing(), 1, 2), interactive=options["interactive"])
    try:
        container = launch.prepare(image, command, options, live, check=not plan_only)
    except ImageError:
        if plan_only or not _make_image(image):
            raise
        container = launch.prepare(image, command, options, live)
    if options.get("dry_run"):
        print("\n".join(container.plan.lines()))
        return 0
    if options.get("bundle"):
        launch.write_bundle(container, options["bundle"])
        return 0
    ending = lifecycle.run(container)
    if ending.out_of_memory:
        limit = options.get("memory", "?")
        print(f"tinybox: {container.name}: killed: out of memory, limit {limit.upper()}", file=sys.stderr)
    return ending.status


def _nothing() -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


def _make_image(image: str) -> bool:
    """Make *image* by its recipe, if it has one and is not there; as docker pulls what it does not have."""
    from tinybox.cli import images

    return images.make_missing(image)
