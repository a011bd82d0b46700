"""Trees deeper than a path can be long: made, measured and removed without any of the code under test."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEEP = 6_000  # nested directories: far more than Python's stack, PATH_MAX, and DESCRIPTORS allow
DESCRIPTORS = 3_000

# The same by a shell, whose `cd` cannot go deeper than PATH_MAX: three chains, each moved to the end of the next one.
LINK = "i=0; while [ $i -lt 2000 ]; do mkdir d; cd d; i=$((i+1)); done"
DIG = f"""set -e
mkdir -p $TOP; cd $TOP; {LINK}
for n in 1 2; do
    mkdir /link; cd /link; {LINK}
    mv $TOP/d .; mv /link/d $TOP; rmdir /link
done
"""


@contextlib.contextmanager
def few_descriptors() -> Iterator[None]:
    """Allow this process and its children fewer open file descriptors than a tree has levels; see getrlimit(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, DESCRIPTORS), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def dig(path: Path, depth: int = DEEP, *, content: bytes = b"deep") -> None:
    """Make *depth* nested directories ``d`` in the directory *path*, and a file ``end`` in the last one."""
    here = os.open(path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with open(os.open("end", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=here), "wb") as file:
        file.write(content)
    os.close(here)


def depth(path: Path) -> int:
    """Return how many directories ``d`` are nested in *path*."""
    here, found = os.open(path, os.O_RDONLY), 0
    try:
        while "d" in os.listdir(here):
            below = os.open("d", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here, found = below, found + 1
    finally:
        os.close(here)
    return found


def removed(path: Path) -> Iterator[Path]:
    """Give *path* to a test, and remove what is left there by rm(1): pytest cannot remove such a tree."""
    yield path
    subprocess.run(["rm", "-rf", path], check=True)
