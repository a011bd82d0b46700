"""import, images, rmi and pull as users type them: what they print, what they refuse, and what they leave."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard

from tests.support import image_archives as tar
from tests.support.boxes import one_line, output
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Command

pytestmark = pytest.mark.root

NAME = "test-import"


def archive() -> bytes:
    """Build an archive with busybox and one file in it."""
    with open("/bin/busybox", "rb") as file:
        busybox = file.read()
    folders = [tar.directory(name) for name in ("bin", "dev", "proc", "sys", "tmp")]
    links = [tar.symlink(f"bin/{name}", "busybox") for name in ("sh", "cat", "true")]
    return tar.archive(
        [*folders, tar.regular("bin/busybox", busybox, mode=0o755), *links, tar.regular("word", b"said\n")]
    )


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.xz": lambda data: lzma.compress(data, preset=0),
    "tar.zst": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("form", PACKED)
def test_an_archive_becomes_an_image(tinybox: Command, tmp_path: Path, form: str) -> None:
    """Each archive format gives the same image: its id is printed, it is listed, it runs, and it can be removed."""
    (tmp_path / f"image.{form}").write_bytes(PACKED[form](archive()))
    done = tinybox("import", str(tmp_path / f"image.{form}"), f"{NAME}:1.0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sha256:")
    listed = [json.loads(line) for line in tinybox("images", "--format", "json", f"{NAME}:1.0").stdout.splitlines()]
    assert [(row["Repository"], row["Tag"]) for row in listed] == [(NAME, "1.0")]
    assert done.stdout.startswith(f"sha256:{listed[0]['ID']}")
    assert output(tinybox, f"{NAME}:1.0", "cat", "/word") == "said\n"
    one_line(tinybox("run", "--pull", "never", NAME, "true"), 125, NAME)
    removed = tinybox("rmi", f"{NAME}:1.0")
    assert (removed.returncode, "Untagged" in removed.stdout, "Deleted" in removed.stdout) == (0, True, True)
    assert tinybox("images", "-q", f"{NAME}:1.0").stdout == ""


def test_an_archive_comes_through_a_pipe(tinybox: Command) -> None:
    """`tinybox import - NAME` reads stdin; half an archive is refused, and nothing of it stays."""
    for data, status in ((archive(), 0), (archive()[:100_000], 1), (b"no archive at all" * 100, 1), (b"", 1)):
        done = subprocess.run([tinybox.path, "import", "-", NAME], input=data, env=tinybox.environment,
                              capture_output=True, check=False, timeout=120 * SLOWNESS)  # fmt: skip
        assert done.returncode == status, done.stderr
        assert len(done.stderr.splitlines()) == (status != 0), done.stderr
        assert bool(tinybox("images", "-q", NAME).stdout) == (status == 0)
        if status == 0:
            assert tinybox("rmi", NAME).returncode == 0
    assert os.listdir(Path(tinybox.root, "tmp")) == []


def test_an_archive_compressed_by_bzip2_is_imported(tinybox: Command, tmp_path: Path) -> None:
    """A .tar.bz2 becomes an image; the control: a damaged file of the same name does not."""
    (tmp_path / "image.tar.bz2").write_bytes(bz2.compress(archive()))
    assert tinybox("import", str(tmp_path / "image.tar.bz2"), NAME).returncode == 0
    assert tinybox("rmi", NAME).returncode == 0
    (tmp_path / "image.tar.bz2").write_bytes(b"BZh9 and no more")
    one_line(tinybox("import", str(tmp_path / "image.tar.bz2"), NAME), 1, "damaged or cut short")
    assert NAME not in tinybox("images").stdout


def test_failing_imports(tinybox: Command, tmp_path: Path) -> None:
    """A missing file, a directory, and names that are not valid: one line each, and no image."""
    (tmp_path / "ok.tar").write_bytes(archive())
    one_line(tinybox("import", "/no/such/file.tar", NAME), 1, "/no/such/file.tar")
    one_line(tinybox("import", str(tmp_path), NAME), 1, str(tmp_path))
    for name in ("UPPER", "a b", "../up", "x:", ":x", "x@y", ""):
        one_line(tinybox("import", str(tmp_path / "ok.tar"), name), 1)
    assert NAME not in tinybox("images").stdout


def test_an_image_in_use_stays(tinybox: Command, tmp_path: Path) -> None:
    """A stopped box needs its image: `rmi` names the box, and removes the image once the box is gone."""
    (tmp_path / "image.tar").write_bytes(archive())
    assert tinybox("import", str(tmp_path / "image.tar"), NAME).returncode == 0
    assert tinybox("run", "--name", "user-of-the-image", NAME, "true").returncode == 0
    user = os.readlink(Path(tinybox.root, "container-names", "user-of-the-image"))
    one_line(tinybox("rmi", NAME), 1, f"image {NAME}", user[:12])
    assert output(tinybox, NAME, "cat", "/word") == "said\n"
    assert tinybox("rm", "user-of-the-image").returncode == 0
    assert tinybox("rmi", NAME).returncode == 0


def test_a_second_name_keeps_the_files(tinybox: Command, tmp_path: Path) -> None:
    """The same archive under two names is one image; when the first name is removed, the second still runs."""
    (tmp_path / "image.tar").write_bytes(archive())
    ids = {tinybox("import", str(tmp_path / "image.tar"), f"{NAME}:{tag}").stdout for tag in ("a", "b")}
    layers = len(os.listdir(Path(tinybox.root, "layers")))
    assert len(ids) == 1
    assert tinybox("rmi", f"{NAME}:a").stdout.count("Deleted") == 0
    assert output(tinybox, f"{NAME}:b", "cat", "/word") == "said\n"
    assert tinybox("rmi", f"{NAME}:b").stdout.count("Deleted") == 1
    assert len(os.listdir(Path(tinybox.root, "layers"))) == layers - 1


def test_a_missing_image_cannot_be_removed_nor_pulled(tinybox: Command, tmp_path: Path) -> None:
    """One line each: it names the missing image, or the registry; other images are still removed."""
    (tmp_path / "image.tar").write_bytes(archive())
    for tag in ("of-two", "stays"):
        assert tinybox("import", str(tmp_path / "image.tar"), f"{NAME}:{tag}").returncode == 0
    done = tinybox("rmi", "nobodys-image")
    assert done.returncode != 0
    assert ("nobodys-image" in done.stderr, len(done.stderr.splitlines())) == (True, 1)
    done = tinybox("rmi", "nobodys-image", f"{NAME}:of-two", "nor-this")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, f"Untagged: {NAME}:of-two\n", 2)
    done = tinybox("pull", "nobodys-image")  # it has no recipe, and these tests have no network
    assert (done.returncode, "docker.io" in done.stderr, len(done.stderr.splitlines())) == (1, True, 1)
    assert tinybox("rmi", f"{NAME}:stays").returncode == 0


def test_the_list_has_a_row_for_each_image(tinybox: Command) -> None:
    """Docker's five columns; -q prints ids alone; a reader that closes the pipe early causes no error message."""
    lines = tinybox("images").stdout.splitlines()
    assert lines[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert {line.split()[0] for line in lines[1:]} >= {"alpine", "busybox"}
    assert all(len(word) == 12 for word in tinybox("images", "-q").stdout.split())
    script = f"{tinybox.path} images | true"
    done = subprocess.run(["sh", "-c", script], env=tinybox.environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_a_store_elsewhere(tinybox: Command, tmp_path: Path) -> None:
    """--root and TINYBOX_ROOT name another store, which is empty; unusual characters in its path do no harm."""
    assert tinybox("--root", str(tmp_path / "other"), "images", "-q").stdout == ""
    place = Path(tinybox.root, "tmp", "odd, place with \\ and =")
    tinybox.environment["TINYBOX_ROOT"] = str(place)
    try:
        assert tinybox("pull", "busybox").returncode == 0
        assert output(tinybox, "busybox", "sh", "-c", "echo x > /new; cat /new") == "x\n"
        assert output(tinybox, "--userns", "private", "busybox", "sh", "-c", "echo x > /new; cat /new") == "x\n"
    finally:
        subprocess.run(["rm", "-rf", place], check=True)
    one_line(tinybox("--root", "/var/tmp/a:b", "images"), 1, "/var/tmp/a:b", "colon")
