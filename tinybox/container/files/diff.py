"""diff: the files that a container has added (A), changed (C) or deleted (D), read from its upper directory."""

from __future__ import annotations

from tinybox.container.files import mount_placeholders, upper
from tinybox.container.records import naming, spec
from tinybox.isolation import overlay, overlay_changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinybox.container.records.paths import Paths


def changes(paths: Paths, word: str) -> Iterator[tuple[str, str]]:
    """Yield ``A``, ``C`` or ``D`` with the path of each change in the container that *word* names; see docker-diff(1).

    Empty files and directories that only are mount points are left out. The path may contain anything.
    """
    container = naming.find(paths, word)
    config = spec.load(paths.bundle(container))
    layers = config.get("annotations", {}).get(spec.LAYERS, "").split(":")
    mark = overlay.opaque_mark(userns=spec.has_other_users(config))
    with upper.of(paths, container, config) as changed:
        placeholders = mount_placeholders.made(changed, layers, mark)
        for kind, path in overlay_changes.changes(changed, layers, mark):
            if path not in placeholders:
                yield kind, path
