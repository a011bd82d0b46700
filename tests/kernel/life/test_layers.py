"""`tinybox layers`: what it says of images and boxes is what overlayfs has made on the disk, and shows in a box."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Command
from tests.support.boxes import kept, named, new_name, one_line, output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

BASE = (
    "mkdir -p /app/data /app/old; echo 0123456789 > /app/data/big; echo tool > /app/tool;"
    " echo x > /app/old/x; echo y > /app/y"
)
CHANGES = (
    "echo 9876543210 > /app/data/big; chmod 700 /app/tool; rm /app/y; rm -r /app/old; mkdir /app/old;"
    " echo z > /app/old/z"
)


def committed(tinybox: Command, image: str, script: str, name: str) -> str:
    """Run *script* in a box of *image*, make the image *name* of it, and return that name."""
    box = new_name()
    done = tinybox("run", "--name", box, image, "sh", "-c", script)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert tinybox("commit", "-m", f"step {name}", box, name).returncode == 0
    assert tinybox("rm", box).returncode == 0
    return name


@pytest.fixture(scope="module")
def layered(tinybox_of_module: Command) -> Iterator[str]:
    """Give an image with three layers: busybox, BASE and CHANGES."""
    first = committed(tinybox_of_module, "busybox", BASE, "layered:1")
    yield committed(tinybox_of_module, first, CHANGES, "layered:2")
    assert tinybox_of_module("rmi", "layered:2", "layered:1").returncode == 0


@pytest.fixture(scope="module")
def tinybox_of_module(store_root: Path) -> Command:
    """Give the command to the fixtures of this file."""
    return Command(store_root)


def report(tinybox: Command, name: str) -> dict[str, Any]:
    """Return what `layers --json` says."""
    done = tinybox("layers", "--json", name)
    assert (done.returncode, done.stderr) == (0, ""), done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def changes(layer: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the kinds and paths of a layer's changes."""
    return [(file["Kind"], file["Path"]) for file in layer["Files"]]


def test_each_layer_says_what_it_adds_changes_and_hides(tinybox: Command, layered: str) -> None:
    """The top layer is first; a whiteout and an opaque directory hide; the covered bytes belong to the layer below."""
    top, middle, bottom = report(tinybox, layered)["Layers"]
    assert changes(middle) == [
        ("A", f"/app{path}") for path in ("", "/data", "/data/big", "/old", "/old/x", "/tool", "/y")
    ]
    expected = ["C /app/data/big", "D /app/old", "A /app/old/z", "C /app/tool", "D /app/y"]
    assert [f"{kind} {path}" for kind, path in changes(top)] == expected
    how = {file["Path"]: file.get("How") for file in top["Files"]}
    assert (how["/app/data/big"], how["/app/tool"], how["/app/y"]) == ("content", "metadata", "whiteout")
    assert how["/app/old"] == "opaque"
    assert middle["CoveredBy"] == {"3": 11 + 5 + 2 + 2}
    assert (bottom["Covered"], top["Covered"], middle["CreatedBy"][:6]) == (0, 0, "sh -c ")
    whiteout = os.stat(f"{top['Directory']}/app/y")
    assert stat.S_ISCHR(whiteout.st_mode)
    assert whiteout.st_rdev == 0
    assert output(tinybox, layered, "sh", "-c", "ls /app /app/old").split() == [
        "/app:", "data", "old", "tool", "/app/old:", "z"]  # fmt: skip


def test_a_box_has_its_own_layer_with_the_cost_of_copy_ups(tinybox: Command, layered: str) -> None:
    """A byte appended, and a mode changed, copy the whole file; a file that is replaced is written, not copied."""
    script = "echo >> /app/data/big; chmod 640 /etc/group; echo new > /n; mv /n /app/tool; : > /etc/hosts; touch /q"
    with named(tinybox) as box:
        assert tinybox("run", "--name", box, layered, "sh", "-c", script).returncode == 0
        own, *image = report(tinybox, box)["Layers"]
        size = os.stat(f"{image[-1]['Directory']}/etc/group").st_size
        assert own["Digest"] == "container"
        assert changes(own) == [("C", "/app/data/big"), ("C", "/app/tool"), ("C", "/etc/group"), ("A", "/q")]
        copied = {file["Path"]: file["Former"] for file in own["Files"] if file.get("CopiedUp")}
        assert copied == {"/app/data/big": 11, "/etc/group": size}
        assert own["CopiedUp"] == 11 + size
        marked = [path for path in ("/app/data/big", "/app/tool", "/etc/group", "/q") if has_origin(own, path)]
        assert marked == ["/app/data/big", "/etc/group"]  # the kernel's own mark
        shown = tinybox("layers", box).stdout
        assert f"the container has copied 2 files up: {11 + size}B" in shown
        untouched = report(tinybox, layered)["Layers"]
        assert [layer["Covered"] for layer in untouched] == [0, 20, 0]  # the control: without the box
        assert [layer["Covered"] for layer in image] == [11 + 5, 20, size]
    one_line(tinybox("layers", box), 1, "there is no such container or image")


def has_origin(layer: dict[str, Any], path: str) -> bool:
    """Return whether overlayfs has marked the file as copied up; see trusted.overlay.origin."""
    return "trusted.overlay.origin" in os.listxattr(f"{layer['Directory']}{path}")


def test_a_box_with_ids_of_its_own(tinybox: Command, layered: str) -> None:
    """In a user namespace overlayfs has other marks (user.overlay): a copy-up and an opaque directory are seen, too."""
    script = "chmod 600 /app/tool; rm -r /app/data; mkdir /app/data"
    with named(tinybox) as box:
        done = tinybox("run", "--name", box, "--userns", "private", layered, "sh", "-c", script)
        assert done.returncode == 0, done
        own = report(tinybox, box)["Layers"][0]
        assert changes(own) == [("D", "/app/data"), ("C", "/app/tool")]
        assert (own["Files"][0]["How"], own["CopiedUp"]) == ("opaque", 5)


def test_a_running_box_is_read_as_it_is(tinybox: Command, layered: str) -> None:
    """The report of a running box has what it has written so far; --which names the versions of a file."""
    script = "echo own > /app/tool; rm /app/data/big; echo READY; sleep 900"
    name = new_name()
    with kept(tinybox, "--rm", "--name", name, layered, "sh", "-c", script):
        assert ("C", "/app/tool") in changes(report(tinybox, name)["Layers"][0])
        rows = [line.split()[:3:2] for line in tinybox("layers", "--which", "/app/tool", name).stdout.splitlines()[1:]]
        assert rows == [["4", "seen"], ["3", "covered"], ["2", "covered"]]
        rows = [line.split()[:3:2] for line in tinybox("layers", "--which", "app/data/big", name).stdout.splitlines()]
        assert ["4", "deleted"] in rows


def test_a_box_that_moves_its_directories(tinybox: Command) -> None:
    """While directories appear, move and vanish, each report is whole, or one line that names the cure."""
    script = """mkdir -p /a/x/y/z/1/2/3 /b; echo READY
    while :; do mv /a/x /b/x; mv /b/x /a/x; mkdir -p /c/d/e; : > /c/d/e/f; rm -r /c; done"""
    name, whole = new_name(), 0
    with kept(tinybox, "--rm", "--name", name, "busybox", "sh", "-c", script):
        for _ in range(15):
            done = tinybox("layers", name)
            whole += done.returncode == 0
            if done.returncode:
                one_line(done, 1, f"tinybox pause {name}")
        assert tinybox("pause", name).returncode == 0
        assert tinybox("layers", name).returncode == 0
        assert tinybox("unpause", name).returncode == 0
    assert whole


def test_which_follows_links_as_a_box_does(tinybox: Command) -> None:
    """A directory of the path may be a link, also to a place in a lower layer; a link at the end is shown."""
    script = "mkdir /real; echo one > /real/file; ln -s real /way; ln -s file /real/also"
    image = committed(tinybox, "busybox", script, "linked:1")
    try:
        image = committed(tinybox, image, "echo two > /real/file", "linked:2")
        shown = tinybox("layers", "--which", "/way/file", image).stdout.splitlines()
        assert shown[0] == "/way/file is /real/file"
        assert [line.split()[2] for line in shown[2:]] == ["seen", "covered"]
        assert "/real/also -> file" in tinybox("layers", "--which", "/way/also", image).stdout
        one_line(tinybox("layers", "--which", "/way/none", image), 1, "no layer has such a file")
    finally:
        assert tinybox("rmi", "linked:2", "linked:1").returncode == 0


def test_wrong_words_are_one_line(tinybox: Command) -> None:
    """A name that nothing has, an unknown type, and options that exclude one another."""
    one_line(tinybox("layers", "nobody"), 1, "there is no such container or image")
    one_line(tinybox("layers", "--type", "volume", "busybox"), 1, "container or image")
    one_line(tinybox("layers", "--type", "container", "busybox"), 1, "no such container")
    one_line(tinybox("layers", "--json", "--files", "busybox"), 1, "exclude")
    one_line(tinybox("layers", "--html", "/nowhere/page.html", "busybox"), 1, "/nowhere/page.html")


def test_names_cannot_command_the_terminal(tinybox: Command) -> None:
    """A file name with an escape sequence, and one that is not UTF-8, are shown escaped, and are in the JSON."""
    name = "/app$(printf '\\033]0;x\\007\\377')"
    with named(tinybox) as box:
        assert tinybox("run", "--name", box, "busybox", "sh", "-c", f'echo > "{name}"; ls /').returncode == 0
        shown = tinybox("layers", "--files", box).stdout
        assert "\x1b" not in shown
        assert "A /app\\x1b]0;x\\x07\\udcff" in shown
        assert changes(report(tinybox, box)["Layers"][0]) == [("A", "/app\x1b]0;x\x07\udcff")]
