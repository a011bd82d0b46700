"""Names that `cp` is given, and names inside the archives it reads: each is resolved inside the box, as written."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import image_archives
from tests.support.boxes import kept, new_name, one_line
from tests.support.tar_contents import stream, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root

ODD = ("v1..v2.diff", "...", "..x", "x..", "-f", " a b ", "a:b", "new\nline", ".hidden", ".wh.x", "\udcff")


@pytest.fixture
def box(tinybox: Command) -> Iterator[str]:
    """Give a box at rest with directories and links in /tmp."""
    name = new_name()
    script = "cd /tmp; mkdir -p d/e.. t/in; echo x > t/file; ln -s /tmp/d/e.. /l; ln -s gone dangling"
    assert tinybox("run", "--name", name, "busybox", "sh", "-c", script).returncode == 0
    yield name
    assert tinybox("rm", name).returncode == 0


def names_in(tinybox: Command, name: str, folder: str) -> set[str]:
    """Return the paths of all files below *folder* in box *name*, relative to it."""
    return {path.removeprefix(f"{folder}/") for path in told(stream(tinybox, "export", name)) if f"{folder}/" in path}


def test_odd_names_come_in_and_out_unchanged(tinybox: Command, box: str, tmp_path: Path) -> None:
    """Two dots inside a name, three dots, spaces, a colon, a newline: as a file, in a directory, and in an archive."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name in ODD:
        (tmp_path / "in" / name).write_text(name.strip() + "\n", errors="surrogateescape")
        assert tinybox("cp", f"{tmp_path}/in/{name}", f"{box}:/tmp/d").returncode == 0
        assert tinybox("cp", f"{box}:/tmp/d/{name}", str(tmp_path / "out")).returncode == 0
        assert tinybox("cp", f"{tmp_path}/in/{name}", f"{box}:/tmp/t/in/{name}").returncode == 0
    assert tinybox("cp", str(tmp_path / "in"), f"{box}:/tmp/whole").returncode == 0
    packed = stream(tinybox, "cp", f"{box}:/tmp/whole/.", "-")
    command = [tinybox.path, "cp", "-", f"{box}:/tmp/d/e.."]
    subprocess.run(command, env=tinybox.environment, input=packed, check=True)
    assert sorted(os.listdir(tmp_path / "out")) == sorted(ODD)
    for name in ODD:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "in" / name).read_bytes()
    for folder in ("tmp/d", "tmp/d/e..", "tmp/t/in", "tmp/whole"):
        assert set(ODD) <= names_in(tinybox, box, folder), folder


def test_a_source_with_dots_has_the_name_of_its_directory(tinybox: Command, box: str, tmp_path: Path) -> None:
    """The kernel resolves ``..``, also behind a link: the copy of /l/.. is called d, where the text says nothing."""
    for number, (path, expected) in enumerate(
        (
            ("/tmp/d/e..", "e.."), ("/tmp/d/e../..", "d"), ("/l/..", "d"), ("/l/../", "d"), ("/l/../../t", "t"),
            ("/l/../../t/file", "file"), ("/tmp/t/./in/..", "t"), ("/tmp/t//", "t"), ("/tmp/t/./", "file in"),
        )
    ):  # fmt: skip
        where = tmp_path / f"box{number}"
        where.mkdir()
        assert tinybox("cp", f"{box}:{path}", str(where)).returncode == 0
        assert sorted(os.listdir(where)) == expected.split(), path
    (tmp_path / "s..t" / "in").mkdir(parents=True)
    (tmp_path / "link").symlink_to("s..t/in")
    for path in ("link/..", "s..t/in/..", "s..t"):
        assert tinybox("cp", f"{tmp_path}/{path}", f"{box}:/tmp/d").returncode == 0
        assert "s..t/in" in names_in(tinybox, box, "tmp/d"), path
    for root in ("/", "/.", "/tmp/..", "/l/../../.."):
        names = set(told(stream(tinybox, "cp", f"{box}:{root}", "-")))
        assert "bin/busybox" in names, root  # the content of the root has no other name


def test_a_new_target_is_made_where_its_path_leads(tinybox: Command, box: str, tmp_path: Path) -> None:
    """``LINK/../new`` is beside the link's target; a dangling link's target is made; ``missing/../new`` is nowhere."""
    (tmp_path / "f").write_text("x")
    (tmp_path / "dir").mkdir()
    for source, target in (("f", "/l/../new"), ("f", "/l/../a..b"), ("f", "/l/../..."), ("dir", "/l/../made/"),
                           ("dir", "/tmp/dangling/"), ("f", "/l/../e../")):  # fmt: skip
        assert tinybox("cp", str(tmp_path / source), f"{box}:{target}").returncode == 0, target
    expected = {"d/new", "d/a..b", "d/...", "d/made", "gone", "d/e../f", "dangling"}
    assert expected <= names_in(tinybox, box, "tmp")
    for target in ("/missing/../new", "/missing/..", "/tmp/missing/../../new"):
        one_line(tinybox("cp", str(tmp_path / "f"), f"{box}:{target}"), 1, "no such file or directory")
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "deep").mkdir()
    (tmp_path / "way").symlink_to("host/deep")
    assert tinybox("cp", f"{box}:/tmp/t/file", str(tmp_path / "way/../v1..v2")).returncode == 0
    assert (tmp_path / "host" / "v1..v2").read_text() == "x\n"


@pytest.mark.parametrize("running", [True, False], ids=["running", "at rest"])
def test_links_of_the_box_are_followed_inside_it(tinybox: Command, tmp_path: Path, running: bool) -> None:
    """An archive's ``var/run/act/f`` is /run/act/f where /var/run is a link, absolute, climbing, long or dangling."""
    (tmp_path / "run").mkdir()  # with this name the links lead to a directory of the host as well
    script = (
        "mkdir -p /var /run /tmp/t; rm -rf /var/run; ln -s /run /var/run; ln -s ../../../../run /var/climb; "
        f"ln -s /var/climb/../run /var/chain; ln -s /gone/far /var/dangling; ln -s {tmp_path}/run /var/host; "
        "ln -s /run /tmp/t/run; ln -s loop /var/loop; ln -s /proc/self/root /var/magic; echo READY; sleep 1000"
    )
    name = new_name()
    names = ("run/act", "climb/act2", "chain/act3", "dangling/x", "host/x", "run/a..b")
    for folder in names:
        (tmp_path / "tree" / "var" / folder).mkdir(parents=True)
        (tmp_path / "tree" / "var" / folder / "f").write_text(folder)

    def put(where: str, *files: str) -> subprocess.CompletedProcess[bytes]:
        packed = subprocess.run(["tar", "-C", tmp_path / "tree", "-c", *files], capture_output=True, check=True).stdout
        command = [tinybox.path, "cp", "-", f"{name}:{where}"]
        return subprocess.run(command, env=tinybox.environment, input=packed, capture_output=True, check=False)

    with kept(tinybox, "--name", name, "busybox", "sh", "-c", script):
        if not running:
            assert tinybox("stop", "-t", "0", name).returncode == 0
        for folder in names:
            done = put("/", f"var/{folder}/f")
            assert done.returncode == 0, done
        (tmp_path / "tree" / "run").mkdir()
        (tmp_path / "tree" / "run" / "below").write_text("below a target")
        assert put("/tmp/t", "run/below").returncode == 0  # the box's root, not the target directory
        for folder in ("loop", "magic")[: 1 + running]:  # at rest, /proc is an empty directory
            (tmp_path / "tree" / "var" / folder).mkdir()
            (tmp_path / "tree" / "var" / folder / "f").touch()
            one = put("/", f"var/{folder}/f")
            assert (one.returncode, one.stderr.count(b"\n")) == (1, 1), one
        for path, text in (("run/act", "run/act"), ("climb/act2", "climb/act2"), ("dangling/x", "dangling/x")):
            assert tinybox("cp", f"{name}:/var/{path}/f", str(tmp_path / "back")).returncode == 0
            assert (tmp_path / "back").read_text() == text
        exported = set(told(stream(tinybox, "export", name)))
        assert tinybox("cp", f"{tmp_path}/tree/run/.", f"{name}:/var/run").returncode == 0
    assert tinybox("rm", "-f", name).returncode == 0
    inside = str(tmp_path)[1:]
    expected = {"run/act/f", "run/act2/f", "run/act3/f", "gone/far/x/f", f"{inside}/run/x/f", "run/a..b/f", "run/below"}
    assert expected <= exported, expected - exported
    assert os.listdir(tmp_path / "run") == []


def test_an_image_s_links_are_followed_when_it_is_imported(tinybox: Command, tmp_path: Path) -> None:
    """`import` and `load` put ``var/run/act/f`` into /run/act, whether /run comes before it or not at all."""
    members = [image_archives.symlink("var/run", "/run"), image_archives.regular("var/run/act/f", b"x")]
    (tmp_path / "image.tar").write_bytes(image_archives.archive(members))
    assert tinybox("import", str(tmp_path / "image.tar"), "test-linked").returncode == 0
    try:
        assert tinybox("save", "-o", str(tmp_path / "saved.tar"), "test-linked").returncode == 0
        for made in (True, False):
            name = new_name()
            assert tinybox("create", "--name", name, "test-linked", "/bin/x").returncode == 0
            found = told(stream(tinybox, "export", name))
            assert {"run/act/f", "var/run"} <= found.keys()
            assert "var/run/act/f" not in found
            assert tinybox("rm", name).returncode == 0
            assert tinybox("rmi", "test-linked").returncode == 0
            if made:
                assert tinybox("load", "-i", str(tmp_path / "saved.tar")).returncode == 0
    finally:
        tinybox("rmi", "test-linked")
