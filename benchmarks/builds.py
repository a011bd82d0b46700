"""Measure how long a build of ten steps takes, compared with buildah: without a cache, and from the cache.

    python -m benchmarks.builds [-n ROUNDS] [--files COUNT] [--folder DIR]      (as root)

Both build the same Containerfile from the same context, in turns, from the busybox of the recipe, without network.
buildah runs its steps in a chroot, without namespaces: its cheapest isolation. It makes one layer for all steps by
default, and one for each step with --layers, as docker and tinybox do; only then does it have a cache. The project's
limits are 0.6 of `buildah build` without a cache, and 0.3 from the cache.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import leavings
from tests.build.conftest import with_history

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

TINYBOX = Path(sys.executable).with_name("tinybox")
CONTAINERFILE = """\
FROM busybox
ENV MODE=production
WORKDIR /app
COPY settings /etc/app/settings
RUN echo app:x:1000:1000::/:/bin/sh >> /etc/passwd && mkdir /data && chown app /data
RUN seq 100000 > /data/numbers
COPY --chown=app . .
RUN find . -type f | sort | xargs sha256sum > /data/sums
RUN rm /data/numbers
USER app
CMD ["sh"]
"""


class Builders:
    """tinybox and buildah, each with its own store below *folder*, and a context of *count* files."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self.context = folder / "context"
        fill(self.context, count)
        self._settings = {**os.environ, "TINYBOX_ROOT": str(folder / "store"), "TINYBOX_NETWORK": "none"}
        self._buildah = ["buildah", "--root", f"{folder}/root", "--runroot", f"{folder}/run"]
        self._buildah += ["--storage-driver", "overlay"]
        self._run([str(TINYBOX), "pull", "busybox"])
        self._run([str(TINYBOX), "save", "-o", f"{folder}/image.tar", "busybox"])
        with_history(folder / "image.tar", folder / "base.tar")
        place = f"containers-storage:[overlay@{folder}/root+{folder}/run]localhost/busybox:latest"
        self._run(["skopeo", "copy", "-q", f"docker-archive:{folder}/base.tar", place])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount the directory that buildah leaves mounted on itself."""
        subprocess.run(["umount", f"{self._folder}/root/overlay"], capture_output=True, check=False)

    def tinybox(self, *options: str) -> float:
        """Build by tinybox; return the seconds."""
        return self._run([str(TINYBOX), "build", "-q", "-t", "built", *options, str(self.context)])

    def buildah(self, *options: str) -> float:
        """Build by buildah; return the seconds."""
        return self._run(
            [*self._buildah, "build", "-q", "--isolation", "chroot", "-t", "built", *options, str(self.context)]
        )

    def _run(self, words: list[str]) -> float:
        start = time.perf_counter()
        done = subprocess.run(words, env=self._settings, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return time.perf_counter() - start


def fill(context: Path, count: int) -> None:
    """Make a context of *count* files of this Python's library, at most 200 kB each, and a Containerfile."""
    context.mkdir()
    (context / "Containerfile").write_text(CONTAINERFILE)
    (context / "settings").write_text("level=1\n")
    library = Path(os.__file__).parent
    for path in sorted(library.rglob("*.py")):
        if not count:
            break
        if path.stat().st_size < 200_000:
            target = context / "library" / path.relative_to(library)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            count -= 1


def compare(rounds: int, **ways: Callable[[], float]) -> None:
    """Run each of *ways* in turns, and print a line for each: the median, and its relation to the first."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):  # the first round warms up
        for name, way in ways.items():
            seconds = way()
            taken[name] += [seconds] * bool(number)
    first = statistics.median(next(iter(taken.values())))
    for name, seconds_of in taken.items():
        median = statistics.median(seconds_of)
        print(f"    {name:24} {median:8.3f} s   tinybox takes {first / median:5.2f} of it", flush=True)


def main() -> None:
    """Make the context and the stores, and compare."""
    parser = argparse.ArgumentParser(description="how long a build of ten steps takes")
    parser.add_argument("-n", type=int, default=5, metavar="ROUNDS")
    parser.add_argument("--files", type=int, default=1000, metavar="COUNT")
    parser.add_argument("--folder", default="/var/tmp", metavar="DIR", help="where all files go")
    chosen = parser.parse_args()
    leavings.leave_nothing_if_ended()
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="tb-", dir=chosen.folder))
        builders = stack.enter_context(Builders(Path(name), chosen.files))
        print(f"a build of ten steps, {chosen.files} files in the context, median of {chosen.n} rounds")
        print("without a cache")
        compare(
            chosen.n,
            tinybox=lambda: builders.tinybox("--no-cache"),
            buildah=lambda: builders.buildah("--no-cache"),
            **{"buildah --layers": lambda: builders.buildah("--no-cache", "--layers")},
        )
        print("from the cache")
        compare(chosen.n, tinybox=builders.tinybox, **{"buildah --layers": lambda: builders.buildah("--layers")})


if __name__ == "__main__":
    main()
