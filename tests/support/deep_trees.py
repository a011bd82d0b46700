"""Trees deeper than a path can be long: made, measured and removed without any of the code under test."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEEP = 20_000  # nested directories: far more than Python's stack, the open file descriptors and PATH_MAX allow

# The same by a shell, whose `cd` cannot go deeper than PATH_MAX: ten chains, each moved to the end of the next one.
LINK = "i=0; while [ $i -lt 2000 ]; do mkdir d; cd d; i=$((i+1)); done"
DIG = f"""set -e
mkdir -p $TOP; cd $TOP; {LINK}
for n in 1 2 3 4 5 6 7 8 9; do
    mkdir /link; cd /link; {LINK}
    mv $TOP/d .; mv /link/d $TOP; rmdir /link
done
"""


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
