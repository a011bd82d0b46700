"""docker's values of options, in real boxes: mounts, namespaces of boxes at rest, and small files and addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import facts, new_name, output

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root


def test_one_box_with_many_values(tinybox: Command, tmp_path: Path) -> None:
    """No /dev/shm, an image at /image, a made directory, a part of a volume, open paths, /.dockerenv, /name.

    Control: a box without the options has /dev/shm, and its /proc has masked paths.
    """
    name, made = new_name(), tmp_path / "new" / "directory"
    output(tinybox, "-v", "parts:/p", "busybox", "sh", "-c", "mkdir -p /p/a/b; touch /p/a/b/c; ln -s /a /p/out")
    words = ["--ipc", "none", "--mount", "type=image,src=busybox,dst=/image", "-v", f"{made}:/made:cached"]
    words += ["--mount", "type=volume,src=parts,dst=/part,volume-subpath=a/b"]
    words += ["--mount", "type=volume,src=parts,dst=/link,volume-subpath=out"]
    words += ["--security-opt", "systempaths=unconfined", "--security-opt", "label=disable"]
    look = {
        "shm": "ls -d /dev/shm", "mounted": "ls /image/bin/busybox; touch /image/x", "made": "touch /made/file",
        "part": "ls /part /link", "masked": "grep -c ' /proc/' /proc/mounts", "marked": "wc -c /.dockerenv",
    }  # fmt: skip
    seen = facts(tinybox, "--name", f"/{name}", *words, **look)
    plain = facts(tinybox, **look)
    tinybox("volume", "rm", "parts")
    assert "No such file" in seen["shm"]
    assert "/image/bin/busybox" in seen["mounted"]
    assert "Read-only" in seen["mounted"]
    assert (made / "file").exists()
    assert made.stat().st_mode & 0o777 == 0o755
    assert seen["part"].split() == ["/link:", "b", "/part:", "c"]
    assert (seen["masked"], seen["marked"]) == ("0", "0 /.dockerenv")
    assert plain["shm"] == "/dev/shm"
    assert int(plain["masked"]) > 3


def test_an_image_that_is_mounted_stays(tinybox: Command) -> None:
    """`rmi` refuses while a container has it mounted, `inspect` shows it, and `diff` shows no /.dockerenv."""
    names = [new_name(), new_name()]
    tinybox("create", "--name", names[0], "busybox", "touch", "/new")
    assert tinybox("start", "-a", names[0]).returncode == 0
    assert tinybox("diff", names[0]).stdout == "A /new\n"
    tinybox("commit", names[0], "mounted:1")
    tinybox("create", "--name", names[1], "--mount", "type=image,src=mounted:1,dst=/x", "busybox", "ls", "/x/new")
    shown = json.loads(tinybox("inspect", "--format", "{{json .Mounts}}", names[1]).stdout)
    assert [(row["Type"], row["Source"], row["Destination"], row["RW"]) for row in shown] == [
        ("image", "mounted:1", "/x", False)
    ]
    refused = tinybox("rmi", "mounted:1")
    assert (refused.returncode, "used by" in refused.stderr) == (1, True)
    assert tinybox("start", "-a", names[1]).stdout == "/x/new\n"
    tinybox("rm", *names)
    assert tinybox("rmi", "mounted:1").returncode == 0


def test_a_namespace_of_a_box_at_rest(tinybox: Command) -> None:
    """`create` takes it; the start needs it running, and finds it again after it was started again.

    Control: `run` refuses at once.
    """
    other, box = new_name(), new_name()
    share = ["--network", f"container:{other}", "--pid", f"container:{other}", "--ipc", f"container:{other}"]
    tinybox("create", "--name", other, "-h", "donor", "busybox", "sleep", "60")
    assert tinybox("run", *share, "busybox", "true").returncode == 125
    script = "cat /etc/hostname; ls -d /dev/shm; ps | grep -c '[s]leep 60'"
    made = tinybox("create", "--name", box, *share, "busybox", "sh", "-c", script)
    assert made.returncode == 0, made
    refused = tinybox("start", "-a", box)
    assert refused.returncode != 0
    assert "is not running" in refused.stderr
    for _ in range(2):
        assert tinybox("start", other).returncode == 0
        assert tinybox("start", "-a", box).stdout == "donor\n/dev/shm\n1\n"
        tinybox("kill", other)
        tinybox("wait", other)
    tinybox("rm", "-f", other, box)


def test_ports_and_the_hosts_network(tinybox: Command) -> None:
    """-p with the host's network is docker's warning, and no port is taken. Control: without -p there is none."""
    warned = tinybox("run", "--rm", "--network", "host", "-p", "1:1", "busybox", "true")
    assert (warned.returncode, warned.stderr) == (
        0, "WARNING: Published ports are discarded when using host network mode\n",
    )  # fmt: skip
    assert tinybox("run", "--rm", "--network", "host", "busybox", "true").stderr == ""


def test_a_parent_of_control_groups(tinybox: Command) -> None:
    """The box's group is in it; pause, ps, stats, exec and kill find it there; the parent's name begins as ours.

    Control: a box without the option is in the usual group.
    """
    names, parent = [new_name(), new_name()], "tinybox-docker-values/inner"

    def groups() -> list[str]:
        return sorted(str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{parent}/*/cgroup.procs"))

    for name, words in zip(names, (["--cgroup-parent", f"/{parent}/"], []), strict=True):
        assert tinybox("run", "-d", "--name", name, *words, "busybox", "sleep", "60").returncode == 0
    number = tinybox("inspect", "--format", "{{.Id}} {{.HostConfig.CgroupParent}}", *names).stdout.split()
    assert number[1] == parent
    assert len(number) == 3
    assert all(number[0] in path for path in groups())
    assert groups()
    for verb, state in (("pause", "paused"), ("unpause", "running")):
        assert tinybox(verb, names[0]).returncode == 0
        assert tinybox("inspect", "--format", "{{.State.Status}}", *names).stdout.split() == [state, "running"]
    assert tinybox("exec", names[0], "true").returncode == 0
    assert int(tinybox("stats", "--no-stream", "--format", "{{.PIDs}}", names[0]).stdout) >= 1
    assert tinybox("rm", "-f", *names).returncode == 0
    assert groups() == []
