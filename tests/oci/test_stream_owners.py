"""Streams of `tinybox-oci`: the container's user may open them by name, as under runc and crun."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.engine_directories import RUNTIME

if TYPE_CHECKING:
    from tests.support.oci_runtimes import Runtime

pytestmark = pytest.mark.root

OPEN = "echo out > /dev/stdout && echo err > /dev/stderr && stat -L -c %u /dev/stdout"
MAPS = [{"containerID": 0, "hostID": 100_000, "size": 3}, {"containerID": 3, "hostID": 200_000, "size": 2000}]
FIRST = [{"containerID": 0, "hostID": 100_000, "size": 3}]


def become(runtime: Runtime, uid: int, maps: list[dict[str, int]] | None = None) -> None:
    """Let the bundle's program run as *uid*, in a new user namespace if there are *maps*."""

    def change(config: dict[str, Any]) -> None:
        config["process"].update(user={"uid": uid, "gid": 0})
        if maps:
            config["linux"].update(uidMappings=maps, gidMappings=maps)
            config["linux"]["namespaces"].append({"type": "user"})
            for mount in config["mounts"]:
                mount["options"] = [word for word in mount.get("options", []) if word != "gid=5"]

    runtime.change(change)
    if maps:
        runtime.folder.chmod(0o755)
        runtime.bundle.chmod(0o755)


def on_pipes(runtime: Runtime, *words: str) -> tuple[int, bytes, bytes, list[int]]:
    """Run ``tinybox-oci WORDS``; return its status, all output, and the owners of the pipes before it writes there."""
    command = [RUNTIME, "--root", str(runtime.root), *words]
    (out, out_in), (err, err_in) = os.pipe(), os.pipe()
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out_in, stderr=err_in, check=False)
    finally:
        os.close(out_in)
        os.close(err_in)
    owners = [os.fstat(fd).st_uid for fd in (out, err)]
    with open(out, "rb") as first, open(err, "rb") as second:
        return done.returncode, first.read(), second.read(), owners


@pytest.mark.parametrize(
    ("uid", "maps", "owner"), [(1000, None, 1000), (0, MAPS, 100_000), (1000, MAPS, 200_997), (2, FIRST, 100_002)]
)
def test_the_user_owns_its_pipes(runtime: Runtime, uid: int, maps: list[dict[str, int]] | None, owner: int) -> None:
    """`run` and `exec` copy to the caller's pipes, which stay root's; detached, the process's user gets these."""
    become(runtime, uid, maps)
    runtime.program("sh", "-c", OPEN)
    said = (0, f"out\n{uid}\n".encode(), b"err\n")
    assert on_pipes(runtime, "run", "--bundle", str(runtime.bundle), "one") == (*said, [0, 0])
    runtime.program("sh", "-c", f"{OPEN}; exec sleep 1000 > /dev/null 2>&1")
    assert on_pipes(runtime, "run", "--detach", "--bundle", str(runtime.bundle), "two") == (*said, [owner, owner])
    assert on_pipes(runtime, "exec", "two", "sh", "-c", OPEN) == (*said, [0, 0])
    pid_file = runtime.folder / "pid"
    ran = on_pipes(runtime, "exec", "--detach", f"--pid-file={pid_file}", "two", "sh", "-c", OPEN)
    assert ran == (*said, [owner, owner])
    os.waitpid(int(pid_file.read_text()), 0)


def test_a_joined_user_namespace_has_its_own_ids(runtime: Runtime) -> None:
    """In a user namespace that is joined by its path, the pipes belong to the id of that namespace's map."""
    become(runtime, 1, MAPS)
    pid = runtime.runs("first")["pid"]

    def join(config: dict[str, Any]) -> None:
        config["linux"].pop("uidMappings")
        config["linux"].pop("gidMappings")
        config["linux"]["namespaces"][-1]["path"] = f"/proc/{pid}/ns/user"
        config["process"]["args"] = ["sh", "-c", OPEN]

    runtime.change(join)
    ran = on_pipes(runtime, "run", "--detach", "--bundle", str(runtime.bundle), "second")
    assert ran == (0, b"out\n1\n", b"err\n", [100_001, 100_001])
    runtime.until("second", "stopped")


def test_an_engine_that_leaves_gives_files_away_as_well(runtime: Runtime) -> None:
    """After `create` no process could copy bytes, so a file becomes the user's, as with the peers; devices do not."""
    become(runtime, 1000)
    runtime.program("sh", "-c", OPEN)
    with open("/dev/zero", "rb") as stdin:
        assert runtime.create("box", stdin=stdin).returncode == 0
    streams = runtime.streams()
    assert runtime("start", "box").returncode == 0
    runtime.until("box", "stopped")
    assert [file.stat().st_uid for file in streams] == [1000, 1000]
    assert os.stat("/dev/zero").st_uid == 0


def test_a_terminal_s_group_need_not_be_mapped(runtime: Runtime) -> None:
    """In a user namespace without group 5 (tty), a terminal still belongs to the user."""
    become(runtime, 2, FIRST)
    runtime.change(lambda config: config["process"].update(terminal=True))
    runtime.program("sh", "-c", "stat -L -c %u /dev/stdout; echo out > /dev/stdout")
    done = runtime("run", "--bundle", str(runtime.bundle), "box")
    assert done.stdout.split() == ["2", "out"], done.stderr
