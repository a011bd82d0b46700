"""buildah builds with tinybox: each RUN step is a container of tinybox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.engine_directories import RUNTIME, archive_of, quarters
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.engine_directories import Quarters

LIMITS = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]  # by default buildah raises them
CONTAINERFILE = """\
FROM scratch
ADD busybox.tar /
RUN echo made > /file
USER 7
RUN test $(id -u) = 7 && cat /file
"""


@pytest.fixture
def place(store_root: Path) -> Iterator[Quarters]:
    """Give buildah a place to run, and the files of a root file system."""
    with quarters("buildah", "runc") as place:
        archive_of(place.folder, Store(str(store_root)).image("busybox").layers)
        yield place


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["runc", RUNTIME], ids=["runc", "tinybox"])
def test_buildah_runs_on_it(place: Quarters, runtime: str) -> None:
    """`buildah run --isolation oci`: output, status, terminal, host's network, a missing program, a whole build."""
    words = ["buildah", f"--root={place.folder}/root", f"--runroot={place.folder}/run", "--storage-driver=vfs"]
    box = place(*words, "from", *LIMITS, "--isolation=oci", "scratch").stdout.strip()
    assert place(*words, "add", box, f"{place.folder}/busybox.tar", "/").returncode == 0
    run = [*words, "run", "--isolation=oci", f"--runtime={runtime}"]

    assert place(*run, "--network=none", box, "--", "sh", "-c", "echo here; hostname > /made").stdout == "here\n"
    assert place(*run, "--network=host", box, "--", "test", "-s", "/made").returncode == 0
    assert place(*run, "--network=none", box, "--", "sh", "-c", "exit 6").returncode == 6
    assert place(*run, "--network=none", "--terminal", box, "--", "tty").stdout.strip() == "/dev/pts/0"
    missing = place(*run, "--network=none", box, "--", "nosuch")
    assert missing.returncode
    assert "executable file not found in $PATH" in missing.stderr

    (place.folder / "Containerfile").write_text(CONTAINERFILE)
    options = [*LIMITS, "--isolation=oci", f"--runtime={runtime}", "--network=none", "--tag=built"]
    built = place(*words, "build", *options, str(place.folder))
    assert built.returncode == 0, built.stderr
    assert "\nmade\n" in built.stdout
