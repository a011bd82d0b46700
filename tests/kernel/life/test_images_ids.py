"""An image keeps its id when it is saved and loaded, whichever program made it, and no second copy of it appears."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support.boxes import new_name, one_line, output
from tests.support.image_archives import archive, directory, hard_link, regular, saved, symlink

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

FAMILIAR = {"architecture": "amd64", "os": "linux", "config": {}}


@pytest.fixture
def here(tinybox: Command) -> Iterator[Command]:
    """Give the command with an empty store."""
    root = f"{tinybox.root}-here"
    yield Command(root)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def elsewhere(tinybox: Command) -> Iterator[Command]:
    """Give the command with another empty store."""
    root = f"{tinybox.root}-there"
    yield Command(root)
    shutil.rmtree(root, ignore_errors=True)


def pack(tinybox: Command, path: Path, *names: str) -> Path:
    """Save images to *path*."""
    done = tinybox("save", "-o", str(path), *names)
    assert (done.returncode, done.stderr) == (0, ""), done
    return path


def load(tinybox: Command, path: Path) -> None:
    """Load the images of an archive."""
    done = tinybox("load", "-i", str(path))
    assert done.returncode == 0, done


def listed(tinybox: Command) -> dict[str, str]:
    """Return the id of each image by its name."""
    return {link.name: f"sha256:{link.readlink().name}" for link in Path(tinybox.root, "names").iterdir()}


def returns(here: Command, elsewhere: Command, folder: Path, *names: str) -> None:
    """Assert that images keep their ids in their own store, in an empty one, and on the way back."""
    before, copies = listed(here), sorted(os.listdir(f"{here.root}/images"))
    first = pack(here, folder / "first.tar", *names)
    load(here, first)
    load(elsewhere, first)
    second = pack(elsewhere, folder / "second.tar", *names)
    load(here, second)
    assert listed(here) == before
    assert sorted(os.listdir(f"{here.root}/images")) == copies
    assert listed(elsewhere) == {name: before[name] for name in names}
    assert second.read_bytes() == first.read_bytes()


def test_images_made_here_keep_their_ids(here: Command, elsewhere: Command, tmp_path: Path) -> None:
    """Made by a recipe and committed: saved together, with the layer that both have only once, and still public."""
    name = new_name()
    assert here("pull", "busybox").returncode == 0
    script = "echo new > /root/file; rm /etc/shells; rm -r /home; mkdir /home; ln /root/file /root/again"
    assert here("run", "--network", "none", "--name", name, "busybox", "sh", "-c", script).returncode == 0
    assert here("commit", name, "mine:1").returncode == 0
    assert here("rm", name).returncode == 0
    returns(here, elsewhere, tmp_path, "mine:1", "busybox:latest")
    with tarfile.open(tmp_path / "first.tar") as packed:
        names = packed.getnames()
    assert len(names) == len(set(names))
    assert sum(name.startswith("blobs/") for name in names) == 2 * 2 + 2  # configs and manifests; two layers
    record = Path(here.root, "images", listed(here)["busybox:latest"].removeprefix("sha256:"))
    assert record.stat().st_mode & 0o777 == 0o644  # a recipe's image is public, and stays so


@pytest.mark.parametrize("how", ["gnu", "sorted", "replaced", "sparse", "untidy"])
def test_an_archive_of_another_program_is_written_again(
    here: Command, elsewhere: Command, tmp_path: Path, how: str
) -> None:
    """With other headers, order, names of users, members that come twice, holes, or padding: every byte is kept."""
    members = [
        *(
            directory("b"),
            regular("b/x", b"x" * 5000, uname="ann", mtime=12.5),
            symlink("a", "b"),
            regular("a/y", b"y"),
        ),
        *(hard_link("b/h", "b/x"), regular("b/.wh.gone", b""), regular("z", b"")),
    ]
    if how == "replaced":
        members += [regular("b/x", b"other"), regular("b", b"file"), directory("b"), regular("b/x", b"third")]
        members += [regular(".wh..wh.plnk/1", b"plink"), hard_link("h", ".wh..wh.plnk/1")]
    layer = archive(
        members[::-1] if how == "sorted" else members, tarfile.GNU_FORMAT if how == "gnu" else tarfile.PAX_FORMAT
    )
    if how == "sorted":
        layer = archive(sorted(members[:2] + members[3:4] + members[6:], key=lambda member: member.name))
    elif how == "sparse":
        with (tmp_path / "f").open("wb") as file:
            file.seek(1 << 20)
            file.write(b"end")
        layer = subprocess.run(["tar", "-cS", "-C", tmp_path, "f"], stdout=subprocess.PIPE, check=True).stdout
    elif how == "untidy":
        layer += b"after the end" * 100
    path = saved(tmp_path / "docker.tar", [layer, archive([regular("top", b"top")])], "theirs:1")
    load(here, path)
    with tarfile.open(path) as theirs:
        config = theirs.extractfile("config.json").read()  # type: ignore[union-attr]
    assert listed(here) == {"theirs:1": f"sha256:{hashlib.sha256(config).hexdigest()}"}
    returns(here, elsewhere, tmp_path, "theirs:1")
    with tarfile.open(tmp_path / "first.tar") as ours:
        kept = [ours.extractfile(member).read() for member in ours if member.isreg()]  # type: ignore[union-attr]
    assert config in kept
    assert layer in kept


def test_several_names_are_one_image(here: Command, elsewhere: Command, tmp_path: Path) -> None:
    """Docker's list has one entry with all the names that were saved; loaded, each of them is there."""
    load(here, saved(tmp_path / "one.tar", [archive([regular("f")])], "one:1"))
    shutil.copy(tmp_path / "one.tar", tmp_path / "two.tar")
    load(here, saved(tmp_path / "two.tar", [archive([regular("f")])], "two:2"))
    first = pack(here, tmp_path / "both.tar", "one:1", "two:2")
    with tarfile.open(first) as packed:
        (entry,) = json.load(packed.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert entry["RepoTags"] == ["one:1", "two:2"]
    load(elsewhere, first)
    assert listed(elsewhere) == listed(here)
    assert len(set(listed(here).values())) == 1


def test_a_layer_whose_files_were_changed_is_not_saved(here: Command, tmp_path: Path) -> None:
    """One line names the layer, and there is no archive; the control is the layer with its file as it was."""
    load(here, saved(tmp_path / "one.tar", [archive([regular("f", b"good")])], "one:1"))
    (file,) = Path(here.root, "layers").glob("*/fs/f")
    for content in (b"evil", b"go"):
        file.write_bytes(content)
        one_line(here("save", "-o", str(tmp_path / "bad.tar"), "one:1"), 1, "have changed")
        assert not (tmp_path / "bad.tar").exists()
    file.write_bytes(b"good")
    pack(here, tmp_path / "good.tar", "one:1")
    (record,) = Path(here.root, "layers").glob("*/archive.gz")
    for damage in (b"", record.read_bytes()[:-20], b"no gzip", gzip.compress(b"F123"), gzip.compress(b"X" * 9)):
        record.write_bytes(damage)
        one_line(here("save", "-o", str(tmp_path / "bad.tar"), "one:1"), 1, "have changed")


def test_a_layer_of_an_older_store_is_packed_again(here: Command, elsewhere: Command, tmp_path: Path) -> None:
    """Without the record of its archive the image still can be saved, and loaded under another id."""
    load(here, saved(tmp_path / "one.tar", [archive([regular("f", b"good", uname="ann")])], "one:1"))
    (record,) = Path(here.root, "layers").glob("*/archive.gz")
    record.unlink()
    load(elsewhere, pack(here, tmp_path / "again.tar", "one:1"))
    assert listed(elsewhere).keys() == listed(here).keys()
    assert listed(elsewhere) != listed(here)
    load(here, tmp_path / "one.tar")  # it brings the record
    assert record.exists()
    returns(here, elsewhere, tmp_path, "one:1")


def test_podman_gets_and_gives_the_same_image(here: Command, elsewhere: Command, tmp_path: Path) -> None:
    """Loaded and saved by podman, in both of its formats, an image has the id that it has here."""
    runroot = tempfile.mkdtemp(prefix="podman-", dir="/var/tmp")  # podman wants a short path
    podman = ["podman", "--root", f"{tmp_path}/root", "--runroot", runroot, "--storage-driver", "vfs"]
    assert here("pull", "busybox").returncode == 0
    first = pack(here, tmp_path / "first.tar", "busybox:latest")
    ours = listed(here)["busybox:latest"]
    done = subprocess.run([*podman, "load", "-q", "-i", first], capture_output=True, text=True, check=False)
    try:
        assert done.returncode == 0, done
        name = done.stdout.split()[-1]
        shown = subprocess.run([*podman, "images", "--no-trunc", "-q"], stdout=subprocess.PIPE, text=True, check=True)
        assert shown.stdout.split() == [ours]
        for form in ("docker-archive", "oci-archive"):
            subprocess.run([*podman, "save", "-q", "--format", form, "-o", tmp_path / form, name], check=True)
            load(elsewhere, tmp_path / form)
            assert os.listdir(f"{elsewhere.root}/images") == [ours.removeprefix("sha256:")]
        assert output(elsewhere, ours.removeprefix("sha256:"), "echo", "runs") == "runs\n"
    finally:
        subprocess.run([*podman, "rmi", "-a", "-f"], capture_output=True, check=False)
        shutil.rmtree(runroot)
