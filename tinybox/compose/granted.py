"""Copy a service's secrets and configs that are no files of the host into its new container, before it starts.

Their content is in the container's own layer and nowhere else; when the container is removed, it is gone.
"""

from __future__ import annotations

import io
import os
import tarfile
import time

from tinybox.container.files import copy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tinybox.compose.reading.service import GrantedFile
    from tinybox.container.records.paths import Paths


def put(paths: Paths, container: str, files: Iterable[GrantedFile]) -> None:
    """Write *files* into a container that this process owns, and that does not run; see memfd_create(2)."""
    with open(os.memfd_create("granted"), "w+b") as archive:
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for file in files:
                member = tarfile.TarInfo(file.target.lstrip("/"))
                member.size, member.mode = len(file.content), file.mode
                member.uid, member.gid = file.owner
                member.mtime = int(time.time())
                tar.addfile(member, io.BytesIO(file.content))
        archive.seek(0)
        copy.copy_into_new(paths, container, archive.fileno())
