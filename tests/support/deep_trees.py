"""Trees deeper than a path can be long: dug, measured and removed without a line of what is tested."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEEP = 20_000  # directories in one another, far beyond Python's stack, our descriptors, and PATH_MAX

# The same by a shell, which cannot go deeper than PATH_MAX with `cd`: ten chains, each moved to the end of the next.
LINK = "i=0; while [ $i -lt 2000 ]; do mkdir d; cd d; i=$((i+1)); done"
DIG = f"""set -e
mkdir -p $TOP; cd $TOP; {LINK}
for n in 1 2 3 4 5 6 7 8 9; do
    mkdir /link; cd /link; {LINK}
    mv $TOP/d .; mv /link/d $TOP; rmdir /link
done
"""


def dig(path: Path, depth: int = DEEP, *, content: bytes = b"deep") -> None:
    """Make *depth* directories ``d`` in one another in the directory *path*, and a file ``end`` in the last one."""
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
    """Return how many directories ``d`` are in one another in *path*."""
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
    """Lend *path* to a test, and remove what is left there by rm(1), for pytest cannot."""
    yield path
    subprocess.run(["rm", "-rf", path], check=True)
