"""tinybox-oci checkpoint and restore: runc's options, and what becomes of the container."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.checkpoints import numbers, working_criu
from tests.support.oci_bundles import bundle

if TYPE_CHECKING:
    from tests.support.oci_bundles import Bundle
__all__ = ["bundle", "working_criu"]
pytestmark = pytest.mark.root

COUNT = "n=0; while :; do n=$((n+1)); echo $n >> /tmp/count; sleep 0.2; done"


@pytest.fixture
def counting(bundle: Bundle) -> Bundle:
    """Give a bundle whose container counts in a file."""
    bundle.create(COUNT)
    assert bundle.oci("start", bundle.name).returncode == 0
    bundle.until(lambda: count(bundle))
    return bundle


def count(bundle: Bundle) -> list[int]:
    """Return the numbers that the container has written."""
    file = bundle.root / "tmp/count"
    return numbers(file.read_text()) if file.exists() else []


@pytest.mark.usefixtures("working_criu")
def test_the_container_is_deleted_and_goes_on_under_another_id(counting: Bundle) -> None:
    """As with runc: a container that ends with its checkpoint is deleted; `restore` makes it again from the bundle."""
    images, pid_file = str(counting.path / "images"), counting.path / "pid"
    done = counting.oci("checkpoint", "--image-path", images, "--work-path", str(counting.path / "work"), counting.name)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert (counting.path / "work/dump.log").exists()
    assert "does not exist" in counting.oci("state", counting.name).stderr
    before = count(counting)
    words = ["restore", "--detach", "--bundle", str(counting.path), "--image-path", images, "--pid-file", str(pid_file)]
    done = counting.oci(*words, counting.name)
    assert (done.returncode, done.stderr) == (0, ""), done
    counting.until(lambda: len(count(counting)) > len(before) + 1)
    after = count(counting)
    assert after == list(range(1, len(after) + 1))
    assert counting.status() == "running"
    assert os.readlink(f"/proc/{pid_file.read_text()}/root") == "/"
    assert counting.oci("exec", counting.name, "cat", "/proc/1/comm").stdout == "sh\n"


@pytest.mark.usefixtures("working_criu")
def test_it_may_go_on_running_and_be_dumped_in_two_parts(counting: Bundle) -> None:
    """--leave-running and --pre-dump leave it running; a dump with --parent-path needs both parts."""
    for options in (["--leave-running", "--image-path", "one"], ["--pre-dump", "--image-path", "two"]):
        words = [str(counting.path / word) if word in ("one", "two") else word for word in options]
        assert counting.oci("checkpoint", *words, counting.name).returncode == 0
        assert counting.status() == "running"
    three = str(counting.path / "three")
    assert counting.oci("checkpoint", "--image-path", three, "--parent-path", "../two", counting.name).returncode == 0
    restore = ["restore", "--detach", "--bundle", str(counting.path), "--image-path", three, counting.name]
    (counting.path / "two").rename(counting.path / "moved")
    assert counting.oci(*restore).returncode == 125
    (counting.path / "moved").rename(counting.path / "two")
    assert counting.oci(*restore).returncode == 0
    assert counting.status() == "running"


def test_what_is_refused(counting: Bundle) -> None:
    """A paused, created or missing container, unknown options and missing images: an error, and nothing is changed."""
    said = {
        ("checkpoint", "nix"): "container does not exist",
        ("checkpoint", "--lazy-pages", counting.name): "no such option",
        ("checkpoint", "--manage-cgroups-mode", "x", counting.name): "is no mode",
        ("checkpoint", "--parent-path", "/x", counting.name): "is not relative",
        ("restore", "--bundle", str(counting.path), "--image-path", "/nowhere", "new"): "there is none",
    }
    for words, part in said.items():
        done = counting.oci(*words)
        assert (done.returncode, part in done.stderr) == (125, True), done
    counting.oci("pause", counting.name)
    assert "is paused" in counting.oci("checkpoint", counting.name).stderr
    counting.oci("resume", counting.name)
    assert counting.status() == "running"
    assert not Path("/nowhere").exists()
