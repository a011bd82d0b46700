"""The steps of volumes with options (`volume create -o`): mount their file systems before a copy is made of them."""

from __future__ import annotations

import os

from tinybox.container.process.plan import Step
from tinybox.container.records import spec
from tinybox.container.storage import mounted_volumes
from tinybox.linux import quick_json as json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container.planning.task import Task


def steps(task: Task) -> list[Step]:
    """Plan one step for each of the volumes that the annotation lists."""
    return [_step(task, folder) for folder in json.loads(task.annotations[spec.OPTION_VOLUMES])]


def _step(task: Task, folder: str) -> Step:
    name = os.path.basename(folder)
    says = f"Mount the file system of the volume {name}, if no other box has done so"
    step = Step(f"volume/{name}", says, "mount(2)", mounted_volumes.attach, task.run_directory, folder)
    undo = "umount2(2), if no other box uses the volume"
    return step.undone_by(undo, lambda: mounted_volumes.release(task.run_directory))
