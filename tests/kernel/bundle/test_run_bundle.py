"""A box as a plain OCI bundle: other runtimes run it, and the program finds the same things."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import no_trace
from tests.support.boxes import new_name, one_line, output
from tests.support.slowness import SLOWNESS
from tinybox.container.storage import plain_bundle

if TYPE_CHECKING:
    from tests.conftest import Command, Host

pytestmark = pytest.mark.root

LOOK = """
id; pwd; hostname; echo $COLOUR; ulimit -n; cat /data/file; grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status
ls /dev | grep -v core; ls /sys/class/net; touch /new && echo written; echo x > /proc/sys/kernel/panic; echo end
stat -c '%n %a %u:%g' /bin/busybox /etc/passwd /tmp; cat /proc/self/oom_score_adj
"""


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_another_runtime_runs_the_bundle(tinybox: Command, host: Host, tmp_path: Path, runtime: str) -> None:
    """`runc run` and `crun run` of the bundle print the same as `tinybox run` with the same options."""
    program = shutil.which(runtime) or shutil.which(runtime, path="/usr/sbin")
    if program is None:
        pytest.skip(f"{runtime} is not installed")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("shared\n")
    bundle = tmp_path / "bundle"
    options = (
        "-h same -e COLOUR=red -w /etc --ulimit nofile=99 --security-opt no-new-privileges --cap-add NET_ADMIN".split()
    )
    options += ["-v", f"{tmp_path}/data:/data:ro"]
    words = ("busybox", "sh", "-c", f"({LOOK}) 2>&1")
    ours = output(tinybox, *options, *words)
    assert tinybox("run", *options, "--bundle", str(bundle), *words).returncode == 0
    config = json.loads((bundle / "config.json").read_text())
    config["linux"]["cgroupsPath"] = f"/{no_trace.room()}-test-{os.getpid()}"
    (bundle / "config.json").write_text(json.dumps(config))
    command = [program, "--root", str(tmp_path / "state"), "run", "--bundle", str(bundle), new_name()]
    if host.cgroups == "hybrid" and runtime == "crun":  # crun refuses such hosts; so it does not see the cgroup2 mount
        command = ["unshare", "-m", "sh", "-c", 'umount /sys/fs/cgroup/unified && exec "$@"', "sh", *command]
    theirs = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60 * SLOWNESS, stdin=subprocess.DEVNULL
    )
    assert theirs.returncode == 0, theirs.stderr
    assert theirs.stdout == ours


def test_a_bundle_follows_the_specification(tinybox: Command, tmp_path: Path) -> None:
    """A config.json of OCI's version 1.x and a root file system with the image's files, owners and modes."""
    done = tinybox("run", "--bundle", str(tmp_path / "b"), "alpine", "cat", "/etc/alpine-release")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    config = json.loads((tmp_path / "b" / "config.json").read_text())
    assert config["ociVersion"].startswith("1.")
    assert config["process"]["args"] == ["cat", "/etc/alpine-release"]
    assert config["root"] == {"path": "rootfs", "readonly": False}
    assert {entry["type"] for entry in config["linux"]["namespaces"]} == {
        "mount", "pid", "network", "ipc", "uts", "cgroup",
    }  # fmt: skip
    root = tmp_path / "b" / "rootfs"
    assert (root / "etc/alpine-release").read_text().startswith("3.")
    assert ((root / "etc/shadow").stat().st_gid, (root / "etc/shadow").stat().st_mode & 0o777) == (42, 0o640)
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root / "bin/sh").is_symlink()


def test_a_copied_file_takes_the_place_of_a_link(tmp_path: Path) -> None:
    """A file is copied to where a link is, which names a file of the host: the link goes, and the host's file stays.

    So the files of alpine over those of busybox do not write /bin/busybox of the host: ssl_client is a link to it.
    """
    (tmp_path / "host").write_text("the host's")
    for name in ("layer", "target"):
        (tmp_path / name / "usr/bin").mkdir(parents=True)
    (tmp_path / "layer/usr/bin/ssl_client").write_text("the image's")
    copy = tmp_path / "target/usr/bin/ssl_client"
    copy.symlink_to(tmp_path / "host")
    plain_bundle.copy_merged([str(tmp_path / "layer")], str(tmp_path / "target"))
    assert (copy.is_symlink(), copy.read_text()) == (False, "the image's")
    assert (tmp_path / "host").read_text() == "the host's"


def test_bundle_starts_nothing_and_overwrites_nothing(tinybox: Command, tmp_path: Path) -> None:
    """No box is made; a directory with a bundle is refused and does not change."""
    (tmp_path / "b" / "rootfs").mkdir(parents=True)
    (tmp_path / "b" / "rootfs" / "precious").touch()
    one_line(tinybox("run", "--bundle", str(tmp_path / "b"), "busybox", "true"), 125, "--bundle", "already")
    assert os.listdir(tmp_path / "b") == ["rootfs"]
    assert os.listdir(tmp_path / "b" / "rootfs") == ["precious"]
    assert os.listdir(Path(tinybox.root, "containers")) == []
