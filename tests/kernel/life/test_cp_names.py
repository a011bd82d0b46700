"""Names that `cp` is given, and names inside the archives it reads: each is resolved, and none is rewritten."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import new_name, one_line
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
