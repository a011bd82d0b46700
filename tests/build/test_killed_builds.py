"""Builds that are killed at any moment, builds at the same time as other commands, and builds on a full disk."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.boxes import one_line, until
from tests.support.mount_namespaces import alone
from tinybox.build import cache
from tinybox.images import build_cache
from tinybox.images.store import Store
from tinybox.linux import mount

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

KILLS = 300 if os.environ.get("TINYBOX_SOAK") else 12
LONGEST = 1.2  # seconds; a whole build takes about so long
TEXT = """\
FROM busybox AS a
RUN head -c 3000000 /dev/urandom > /random
COPY file /file
WORKDIR /w
FROM busybox AS b
RUN --mount=type=cache,target=/c echo 1 >> /c/x
FROM busybox
COPY --from=a /random /random
RUN --mount=type=bind,from=b,source=/bin,target=/m ls /m > /list
"""


def context(folder: Path) -> str:
    """Write TEXT and its file, and return the directory."""
    (folder / "Containerfile").write_text(TEXT)
    (folder / "file").write_text("x" * 100_000)
    return str(folder)


def left(tinybox: Command) -> list[str]:
    """Return what a build has left in the store, and its mounts."""
    root = Path(tinybox.root)
    files = [str(path) for name in ("tmp", "containers", "container-names", "run") for path in (root / name).glob("*")]
    return files + [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if tinybox.root in line]


def is_whole(tinybox: Command, folder: Path) -> None:
    """Fail unless every image can be saved: its layers are complete, and their archives are the original ones."""
    for image in Store(tinybox.root).images():
        done = tinybox("save", "-o", str(folder / "saved.tar"), image.reference or image.id)
        assert done.returncode == 0, done.stderr
        (folder / "saved.tar").unlink()


def test_the_store_is_whole_after_any_kill(built: Command, tmp_path: Path) -> None:
    """After SIGKILL at a random moment the next command leaves nothing, and a next try succeeds; see TINYBOX_SOAK."""
    folder, seed = context(tmp_path), time.time_ns()
    moments = random.Random(seed)  # noqa: S311  the error names the seed, so that the moments can be had again
    for number in range(KILLS):
        with built.start("build", "-q", "--no-cache", "-t", "case", folder, stderr=subprocess.DEVNULL) as process:
            time.sleep(moments.random() * LONGEST)
            process.send_signal(signal.SIGKILL)
        listed = built("ps", "-aq")
        assert (listed.stdout, listed.stderr) == ("", ""), f"kill {number} of seed {seed}"
        until(lambda: left(built) == [])
    assert built("build", "-q", "-t", "case", folder).returncode == 0
    assert built("run", "--rm", "case", "wc", "-c", "/random").stdout == "3000000 /random\n"
    is_whole(built, tmp_path)


def test_a_build_beside_other_commands(built: Command, tmp_path: Path) -> None:
    """Its layers stay while other commands clear the cache, remove images and sweep; two builds at once succeed."""
    folder = context(tmp_path)
    names = ("case", "other")
    running = [built.start("build", "-q", "--no-cache", "-t", name, folder) for name in names]
    rounds = 0
    while any(process.poll() is None for process in running):
        cache.clear(Store(built.root))
        built("rmi", "other")
        rounds += 1
    assert rounds > 1
    ended = [(*process.communicate(), process.returncode) for process in running]
    assert [(error, status) for _, error, status in ended] == [("", 0)] * 2
    assert built("run", "--rm", "case", "wc", "-c", "/random").stdout == "3000000 /random\n"
    is_whole(built, tmp_path)


def test_a_cache_mount_in_use_is_not_cleared(built: Command, tmp_path: Path) -> None:
    """The RUN goes on with it; when it has ended, the cache mount can be removed."""
    program = "echo begun; until test -e /c/go; do sleep 0.05; done; touch /c/done"
    (tmp_path / "Containerfile").write_text(f"FROM busybox\nRUN --mount=type=cache,target=/c {program}\n")
    store = Store(built.root)
    with built.start("build", str(tmp_path)) as process:
        assert process.stderr is not None
        while not process.stderr.readline().endswith(" begun\n"):
            assert process.poll() is None
        cache.clear(store)
        [place] = build_cache.mounts(store.root)
        Path(place, "files", "go").touch()
        assert process.wait(60) == 0
    assert Path(place, "files", "done").exists()
    cache.clear(store)
    assert build_cache.mounts(store.root) == []


def with_little_room(tinybox: Command, place: Path, act: Callable[[Command], None]) -> None:
    """Call *act* with a store on a file system of 16 MiB that has the image busybox."""

    def inside() -> None:
        mount.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, b"size=16m,mode=0755")
        small = Command(place)
        archive = place / "busybox.tar"
        assert tinybox("save", "-o", str(archive), "busybox").returncode == 0
        assert small("load", "-i", str(archive)).returncode == 0
        archive.unlink()
        act(small)

    alone(inside)


def test_a_full_disk_is_one_line(tinybox: Command, tmp_path: Path) -> None:
    """A RUN or a COPY that does not fit fails the build; nothing is left, and a smaller build succeeds."""
    place, folder = tmp_path / "store", tmp_path / "context"
    place.mkdir()
    folder.mkdir()

    def act(small: Command) -> None:
        (folder / "Containerfile").write_text("FROM busybox\nRUN echo small > /x\n")
        before = small("build", "-q", "-t", "case", str(folder)).stdout
        free = shutil.disk_usage(place).free
        (folder / "large").write_bytes(os.urandom(30 << 20))
        for text in ("COPY large /", "RUN head -c 30000000 /dev/urandom > /y"):
            (folder / "Containerfile").write_text(f"FROM busybox\nRUN echo small > /x\n{text}\n")
            one_line(small("build", "-q", "-t", "case", str(folder)), 1, f"Containerfile:3: {text.split()[0]}: ")
            assert left(small)[:-1] == [], text  # the last one is the mount of the store itself
            assert shutil.disk_usage(place).free > free - (1 << 19)
        (folder / "Containerfile").write_text("FROM busybox\nRUN echo small > /x\n")
        assert small("build", "-q", "-t", "case", str(folder)).stdout == before

    with_little_room(tinybox, place, act)
