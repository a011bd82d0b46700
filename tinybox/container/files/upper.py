"""The upper directory of a container: all that it has changed; diff and commit read it.

A box whose root is a copy of the layers has none. There a directory of hard links is made of what differs from the
layers; see isolation/copied_layers.py.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager

from tinybox.container.records import spec
from tinybox.errors import TinyboxError
from tinybox.linux.filesystem import files
from tinybox.linux.filesystem.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinybox.container.records.paths import Paths
    from tinybox.container.records.spec_types import Spec


@contextmanager
def of(paths: Paths, container: str, config: Spec) -> Iterator[str]:
    """Yield the path of the container's upper directory. TinyboxError: a path in the copy is longer than PATH_MAX."""
    bundle, annotations = paths.bundle(container), config.get("annotations", {})
    if spec.COPIED not in annotations:
        yield f"{bundle}/upper"
        return
    from tinybox.isolation import copied_layers

    # In tmp, which a later command sweeps if this one is killed: so it is locked.
    folder = f"{paths.root}/tmp/upper-{os.urandom(8).hex()}"
    os.mkdir(folder, 0o700)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lock_file(lock)
        os.mkdir(f"{folder}/upper")
        copied_layers.upper(
            annotations[spec.LAYERS].split(":"), f"{bundle}/{config['root']['path']}", f"{folder}/upper"
        )
        yield f"{folder}/upper"
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG or isinstance(error, TinyboxError):
            raise
        cause = f"a path in it is longer than {files.LONGEST_PATH} bytes"
        raise TinyboxError(f"container {container[:12]}", cause, "remove it, or move it further up") from error
    finally:
        files.remove_tree(folder)
        os.close(lock)
