"""The contents of a tar archive of a box's files, in a form in which two archives can be compared."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

from tests.conftest import TIMEOUT

if TYPE_CHECKING:
    from tests.conftest import Command


def stream(tinybox: Command, *words: str) -> bytes:
    """Return the bytes that ``tinybox WORDS`` writes; it must succeed."""
    done = subprocess.run(
        [tinybox.path, *words], env=tinybox.environment, capture_output=True, check=False, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(archive: bytes) -> dict[str, tuple[object, ...]]:
    """Return each member by its name: type, mode, owner, content or link target, attributes."""
    found: dict[str, tuple[object, ...]] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            content = hashlib.sha256(file.read()).hexdigest() if file else member.linkname
            attributes = {key: value for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")}
            owner = (member.uid, member.gid)
            found[member.name] = (member.type, oct(member.mode), owner, content, tuple(sorted(attributes.items())))
    return found
