"""`save` and `load`: an image as one file has the same files and digests again; a changed file is refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Command
from tests.support.boxes import new_name, one_line, output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root


@pytest.fixture
def elsewhere(tinybox: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Give the command with an empty store beside the session's."""
    root = f"{tinybox.root}-elsewhere"
    yield Command(root)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def layered(tinybox: Command) -> Iterator[str]:
    """Make an image of two layers: the upper one adds a file, deletes one, and replaces a directory."""
    name, image = new_name(), f"{new_name()}:1"
    script = (
        "echo new > /root/file; rm /etc/shells; rm -r /home; mkdir /home; ln /root/file /root/again; chmod 1777 /mnt"
    )
    assert tinybox("run", "--name", name, "busybox", "sh", "-c", script).returncode == 0
    assert tinybox("commit", name, image).returncode == 0
    assert tinybox("rm", name).returncode == 0
    yield image
    assert tinybox("rmi", image).returncode == 0


def saved(tinybox: Command, path: Path, *images: str) -> Path:
    """Save *images* to *path*."""
    done = tinybox("save", "-o", str(path), *images)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    return path


def members(path: Path) -> dict[str, bytes]:
    """Return the files of an archive."""
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def written(path: Path, files: dict[str, bytes]) -> Path:
    """Write *files* as an archive."""
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_a_saved_image_is_loaded_unchanged(tinybox: Command, elsewhere: Command, layered: str, tmp_path: Path) -> None:
    """In another store it has its name, its layers and their deletions; saved there, it is the same to the byte."""
    first = saved(tinybox, tmp_path / "first.tar", layered, "busybox")
    done = elsewhere("load", "-i", str(first))
    assert done.stdout == f"Loaded image: {layered}\nLoaded image: busybox:latest\n"
    script = "cat /root/file; ls /etc /home | grep -c shells; stat -c %h /root/again; stat -c %a /mnt"
    assert output(elsewhere, layered, "sh", "-c", script).split() == ["new", "0", "2", "1777"]
    again = saved(elsewhere, tmp_path / "again.tar", layered, "busybox")
    assert again.read_bytes() == first.read_bytes()


def test_a_saved_image_is_an_oci_layout_with_true_digests(tinybox: Command, layered: str, tmp_path: Path) -> None:
    """Every blob is named by its sha256; index, manifest, config lead from one to the next; docker's list agrees."""
    found = members(saved(tinybox, tmp_path / "out.tar", layered))
    for name, content in found.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"

    def blob(descriptor: dict[str, Any]) -> Any:
        content = found[f"blobs/{descriptor['digest'].replace(':', '/')}"]
        assert descriptor["size"] == len(content)
        return json.loads(content)

    (entry,) = json.loads(found["index.json"])["manifests"]
    manifest = blob(entry)
    assert blob(manifest["config"])["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    (dockers,) = json.loads(found["manifest.json"])
    assert dockers["RepoTags"] == [layered]
    assert [f"sha256:{os.path.basename(path)}" for path in dockers["Layers"]] == [
        layer["digest"] for layer in manifest["layers"]
    ]


@pytest.mark.parametrize("kind", ["docker", "compressed", "nameless"])
def test_archives_of_other_programs_are_loaded(
    tinybox: Command, elsewhere: Command, layered: str, tmp_path: Path, kind: str
) -> None:
    """Docker's archive without the layout, a compressed one, and one whose image has no name."""
    import gzip

    path = saved(tinybox, tmp_path / "out.tar", layered)
    if kind == "compressed":
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    else:
        found = members(path)
        if kind == "docker":
            del found["index.json"], found["oci-layout"]
        else:
            index = json.loads(found["index.json"])
            del index["manifests"][0]["annotations"]
            found["index.json"] = json.dumps(index).encode()
        written(path, found)
    done = elsewhere("load", "-i", str(path))
    assert done.returncode == 0, done
    name = done.stdout.removeprefix("Loaded image: ").strip()
    assert name.startswith("sha256:" if kind == "nameless" else layered)
    assert output(elsewhere, name.removeprefix("sha256:"), "cat", "/root/file") == "new\n"


def tampered(found: dict[str, bytes], how: str) -> None:
    """Change the files of a saved image."""
    manifest = json.loads(found["manifest.json"])[0]
    layer = manifest["Layers"][-1]
    if how == "layer":
        found[layer] = found[layer].replace(b"new\n", b"old\n")
    elif how == "docker's layer":
        del found["index.json"]
        found[layer] = found[layer].replace(b"new\n", b"old\n")
    elif how == "missing":
        del found[layer]
    elif how == "list":
        found["index.json"] = b'{"manifests": [{}]}'
    else:
        found.clear()
        found["etc/passwd"] = b"root"


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("layer", "does not have the digest of its name"),
        ("docker's layer", "are not those in the archive"),
        ("missing", "is missing"),
        ("list", "digest is missing"),
        ("nothing", "there is no image in it"),
    ],
)
def test_a_changed_archive_is_refused(
    tinybox: Command, elsewhere: Command, layered: str, tmp_path: Path, how: str, says: str
) -> None:
    """A byte of a layer, a missing blob, a list without digests: one line, and the store is as it was."""
    found = members(saved(tinybox, tmp_path / "out.tar", layered))
    tampered(found, how)
    done = elsewhere("load", "-i", str(written(tmp_path / "bad.tar", found)))
    one_line(done, 1, says)
    assert elsewhere("images", "-q").stdout == ""
    assert os.listdir(f"{elsewhere.root}/tmp") == []
    assert os.listdir(f"{elsewhere.root}/layers") == []
