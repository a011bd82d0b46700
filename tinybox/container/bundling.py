"""`tinybox run --bundle DIR`: write a container as a plain OCI bundle, and do not run it."""

from __future__ import annotations

import os

from tinybox.container.records import spec
from tinybox.container.storage import etc, plain_bundle
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tinybox.container import lifecycle


def write_bundle(container: lifecycle.Container, folder: str) -> None:
    """Write *container* to *folder* as a plain OCI bundle with its root file system, which runc and crun also run."""
    if spec.ID_MAPS in container.annotations:
        cause = "in a user namespace inside the user's own, the files would need other owners than those of the image"
        raise UsageError(f"--bundle {folder} with --userns", cause, "leave one of them out")
    rootfs = os.path.join(folder, "rootfs")
    try:
        os.makedirs(folder, exist_ok=True)
        os.mkdir(rootfs)
    except FileExistsError as error:
        raise UsageError(f"--bundle {folder}", "has a rootfs already", "name an empty directory") from error
    plain_bundle.copy_merged(container.annotations.pop(spec.LAYERS).split(":"), rootfs)
    # The runtime that runs the bundle chooses the cgroup path: from `tinybox/ID`, runc would leave an empty directory
    # `tinybox` behind in every hierarchy.
    container.config["linux"].pop("cgroupsPath", None)
    for entry in container.config["mounts"]:
        parts = [option for option in entry.get("options", []) if option.startswith("subpath=")]
        for part in parts:  # a word that only tinybox knows
            entry["options"].remove(part)
            entry["source"] = os.path.join(entry["source"], part.removeprefix("subpath="))
    etc.write(folder, container.config)
    spec.save(container.config, folder)
