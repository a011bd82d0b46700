"""containerd with tinybox as its runtime, through containerd's own shim: `ctr` uses it as Kubernetes does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.containerd_engines import IMAGE, SETTINGS, WITHOUT_CRI, Containerd, started, write_image
from tests.support.engine_directories import RUNTIME, quarters
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def containerd(store_root: Path) -> Iterator[Containerd]:
    """Start a containerd in namespaces of its own, and end it."""
    with quarters("containerd", "ctr", "runc") as place:
        settings = WITHOUT_CRI + SETTINGS.format(folder=place.folder)
        with started(place, settings) as engine:
            image = write_image(place, Store(str(store_root)).image("busybox").layers)
            for snapshotter in ("native", "overlayfs"):
                engine.says("images", "import", f"--snapshotter={snapshotter}", str(image))
            yield engine


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("snapshotter", ["native", "overlayfs"])
@pytest.mark.parametrize("runtime", ["runc", RUNTIME], ids=["runc", "tinybox"])
def test_containerd_runs_on_it(containerd: Containerd, runtime: str, snapshotter: str) -> None:
    """`ctr`: run, its status, a task that stays; exec, pause, resume, ps, metrics, kill and delete."""
    group = containerd.place.group
    run = ["run", f"--snapshotter={snapshotter}", f"--runc-binary={runtime}", f"--cgroup={group}/box"]
    assert containerd(*run, "--rm", IMAGE, "first", "echo", "hello").stdout == "hello\n"
    assert containerd(*run, "--rm", IMAGE, "second", "sh", "-c", "exit 5").returncode == 5

    containerd.says(*run, "-d", IMAGE, "stays", "sleep", "1000")
    assert containerd("task", "exec", "--exec-id=one", "stays", "sh", "-c", "exit 9").returncode == 9
    assert containerd("task", "exec", "--exec-id=two", "stays", "nosuch").returncode
    containerd.says("task", "pause", "stays")
    assert containerd.status("stays") == "PAUSED"
    containerd.says("task", "resume", "stays")
    assert containerd.status("stays") == "RUNNING"
    assert len(containerd.says("task", "ps", "stays").splitlines()) == 2
    assert "pids.current" in containerd.says("task", "metrics", "stays")
    containerd.says("task", "kill", "--signal=SIGKILL", "stays")
    containerd.await_end("stays")
    assert "exit with non-zero exit code 137" in containerd("task", "delete", "stays").stderr
    containerd.says("container", "delete", "stays")
    assert containerd.says("container", "ls", "-q") == ""
