"""`tinybox image ...`, `rmi --force`, filters of images, `image prune`, `system df`, `system prune`: docker's words."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Command
from tests.support import image_archives as tar
from tests.support.boxes import kept, one_line, output
from tinybox.container.views import units

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

LABELLED = ("commit", "-c", "LABEL kind=test")


@pytest.fixture
def tinybox() -> Iterator[Command]:
    """Give the command with a store of its own, with busybox: these tests count everything in it."""
    with tempfile.TemporaryDirectory(prefix="tinybox-test-", dir="/var/tmp") as folder:
        command = Command(folder)
        assert command("pull", "busybox").returncode == 0
        yield command


def imported(tinybox: Command, folder: Path, name: str, size: int) -> str:
    """Make the image *name* with one file of *size* random bytes, and return its id."""
    (folder / "x.tar").write_bytes(tar.archive([tar.regular("file", os.urandom(size))]))
    done = tinybox("import", str(folder / "x.tar"), name)
    assert done.returncode == 0, done
    return done.stdout.strip().removeprefix("sha256:")


def usage(tinybox: Command) -> dict[str, dict[str, str]]:
    """Return the lines of `system df` by their kinds."""
    rows = [json.loads(line) for line in tinybox("system", "df", "--format", "json").stdout.splitlines()]
    return {row["Type"]: row for row in rows}


def on_disk(layers: Path) -> int:
    """Return the bytes of all files of the layers and of the records of their archives, without layer.json."""
    files = (path for path in layers.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files if path.name != "layer.json")


def names(tinybox: Command, *words: str) -> set[str]:
    """Return the names that `images WORDS` lists."""
    return set(tinybox("images", "--format", "{{.Repository}}:{{.Tag}}", *words).stdout.split())


def test_the_group_has_the_same_commands(tinybox: Command, tmp_path: Path) -> None:
    """`image ls`, `tag`, `history`, `save`, `rm`, `load` print what the short names print, with their statuses."""
    assert tinybox("image", "ls").stdout == tinybox("images").stdout
    assert tinybox("image", "history", "busybox").stdout == tinybox("history", "busybox").stdout
    assert tinybox("image", "tag", "busybox", "tools:1").returncode == 0
    assert tinybox("image", "save", "-o", str(tmp_path / "a.tar"), "tools:1").returncode == 0
    assert tinybox("image", "rm", "tools:1").stdout == "Untagged: tools:1\n"
    assert tinybox("image", "load", "-i", str(tmp_path / "a.tar")).stdout == "Loaded image: tools:1\n"
    for words in (("image", "rm", "none"), ("rmi", "none"), ("image", "history", "none"), ("tag", "none", "x"),
                  ("save", "-o", str(tmp_path / "b.tar"), "none"), ("image", "push", "none")):  # fmt: skip
        one_line(tinybox(*words), 1, "there is no such image")
    one_line(tinybox("image", "rn"), 1, "rn")


def test_inspect_of_images(tinybox: Command) -> None:
    """`image inspect` knows images only, and has all names; `inspect` finds images when no box has the name."""
    assert tinybox("tag", "busybox", "tools:1").returncode == 0
    known: dict[str, Any] = json.loads(tinybox("image", "inspect", "tools:1").stdout)[0]
    assert known["RepoTags"] == ["busybox:latest", "tools:1"]
    assert (known["Os"], known["RootFS"]["Type"], known["RepoDigests"]) == ("linux", "layers", [])
    assert tinybox("inspect", "-f", "{{.Id}}", "tools:1").stdout.strip() == known["Id"]
    assert tinybox("run", "--name", "box", "busybox", "true").returncode == 0
    done = tinybox("image", "inspect", "box")
    assert (done.returncode, done.stdout, "no such image" in done.stderr) == (1, "[]\n", True)
    assert tinybox("inspect", "-f", "{{.Name}}", "box").stdout == "/box\n"  # the control
    assert tinybox("rm", "box").returncode == 0


def test_filters_of_images(tinybox: Command, tmp_path: Path) -> None:
    """Each key of docker's: reference with its shell patterns, label, label!=, before, since, until, dangling."""
    assert tinybox("create", "--name", "box", "busybox", "true").returncode == 0
    assert tinybox(*LABELLED, "box", "team/new:2").returncode == 0
    nameless = tinybox("commit", "box").stdout.strip().removeprefix("sha256:")[:12]
    imported(tinybox, tmp_path, "team:1", 10)
    busybox, new, old = "busybox:latest", "team/new:2", "team:1"
    found = {words: names(tinybox, *(part for word in words.split() for part in ("-f", word))) for words in (
        "reference=team*", "reference=team/*", "reference=*/*:2", "reference=t[e-f]am reference=busy*",
        "label=kind", "label=kind=other", "label!=kind", "since=busybox", "before=busybox", "until=2000-01-01",
        "dangling=true", "dangling=false")}  # fmt: skip
    assert found["reference=team*"] == {old}
    assert found["reference=team/*"] == found["reference=*/*:2"] == {new}  # a star stops at a slash
    assert found["reference=t[e-f]am reference=busy*"] == {old, busybox}
    assert (found["label=kind"], found["label=kind=other"]) == ({new}, set())
    assert found["label!=kind"] == {busybox, old, "<none>:<none>"}
    assert found["since=busybox"] == {new, "<none>:<none>"}
    assert found["before=busybox"] == found["until=2000-01-01"] == {old}
    assert (found["dangling=true"], len(found["dangling=false"])) == ({"<none>:<none>"}, 3)
    assert names(tinybox, "team") == {old}
    assert tinybox("images", "-qf", "dangling=true").stdout.strip() == nameless
    one_line(tinybox("images", "-f", "color=red"), 1, "--filter color=red", "invalid filter")
    assert tinybox("rm", "box").returncode == 0


def test_force_removes_every_name_but_never_what_a_box_needs(tinybox: Command, tmp_path: Path) -> None:
    """With --force an id stands for all its names; the image of a box loses its name, and stays as long as the box."""
    image = imported(tinybox, tmp_path, "two:1", 1000)
    assert tinybox("tag", "two:1", "two:2").returncode == 0
    one_line(tinybox("rmi", image), 1, "several names")
    done = tinybox("rmi", "--force", "--no-prune", image)
    assert done.stdout == f"Untagged: two:1\nUntagged: two:2\nDeleted: sha256:{image}\n"
    done = tinybox("rmi", "-f", "none")
    assert (done.returncode, done.stdout, "no such image" in done.stderr) == (0, "", True)  # as docker
    assert tinybox("run", "--name", "box", "busybox", "true").returncode == 0
    image = tinybox("images", "-q", "--no-trunc").stdout.strip()
    one_line(tinybox("rmi", "busybox"), 1, "used by")
    one_line(tinybox("rmi", "-f", image), 1, "used by")
    assert tinybox("rmi", "-f", "busybox").stdout == "Untagged: busybox:latest\n"
    assert tinybox("start", "-a", "box").returncode == 0
    assert tinybox("image", "prune", "-af").stdout == "Total reclaimed space: 0B\n"
    assert tinybox("rm", "box").returncode == 0
    assert f"deleted: {image}" in tinybox("image", "prune", "-f").stdout
    assert os.listdir(Path(tinybox.root, "layers")) == []


def test_disk_usage(tinybox: Command, tmp_path: Path) -> None:
    """A layer of two images counts once; what a running box, and a box with a volume, need is not reclaimable."""
    imported(tinybox, tmp_path, "big:1", 2_000_000)
    before = usage(tinybox)
    assert (before["Images"]["TotalCount"], before["Images"]["Active"]) == ("2", "0")
    assert before["Images"]["Size"].endswith("MB")
    assert before["Images"]["Reclaimable"] == f"{before['Images']['Size']} (100%)"
    assert tinybox("tag", "busybox", "again:1").returncode == 0
    assert usage(tinybox)["Images"] == before["Images"]  # a second name takes no space
    with kept(tinybox, "--rm", "--name", "runs", "-v", "data:/d", "busybox", "sh", "-c",
              "head -c 3000000 /dev/zero > /big; head -c 1000 /dev/zero > /d/x; echo READY; sleep 900"):  # fmt: skip
        now = usage(tinybox)
        assert (now["Containers"]["TotalCount"], now["Containers"]["Active"]) == ("1", "1")
        assert now["Containers"]["Size"].startswith("3.0")
        assert now["Containers"]["Reclaimable"] == "0B (0%)"
        volumes = {"TotalCount": "1", "Active": "1", "Size": "1kB", "Reclaimable": "0B (0%)"}
        assert now["Local Volumes"] == {"Type": "Local Volumes", **volumes}
        assert (now["Images"]["Active"], now["Images"]["Size"]) == ("1", before["Images"]["Size"])
        assert now["Images"]["Reclaimable"].startswith("2")  # the other image
        rows = json.loads(tinybox("system", "df", "-v", "--format", "json").stdout)
        users = {row["Repository"]: row["Containers"] for row in rows["Images"]}
        assert users == {"busybox": "1", "again": "1", "big": "0"}
        assert [(row["Name"], row["Links"]) for row in rows["Volumes"]] == [("data", "1")]
    assert usage(tinybox)["Local Volumes"]["Reclaimable"] == "1kB (100%)"
    lines = tinybox("system", "df").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["TYPE", "Images", "Containers", "Local Volumes", "Build Cache"]
    sections = [line for line in tinybox("system", "df", "-v").stdout.splitlines() if line.endswith("usage:")]
    assert sections == [f"{kind} space usage:" for kind in ("Images", "Containers", "Local Volumes", "Build cache")]


def test_what_prune_frees_is_what_df_calls_reclaimable(tinybox: Command, tmp_path: Path) -> None:
    """`image prune -a` frees the bytes that `system df` has called reclaimable: those of layers and their archives."""
    layers = Path(tinybox.root, "layers")
    kept_bytes = on_disk(layers)
    (tmp_path / "x.tar").write_bytes(tar.archive([tar.directory(str(number)) for number in range(5_000)]))
    assert tinybox("import", str(tmp_path / "x.tar"), "big:1").returncode == 0
    assert tinybox("run", "--name", "box", "busybox", "true").returncode == 0
    said = usage(tinybox)["Images"]["Reclaimable"].split()[0]
    freed = on_disk(layers) - kept_bytes
    assert freed > 10_000  # the record of the archive: there are no bytes in files
    assert said == units.decimal_size(freed, digits=4)
    done = tinybox("image", "prune", "-a", text="y\n")
    assert done.stdout.startswith("WARNING! This will remove all images without at least one container associated to")
    assert done.stdout.splitlines()[-1] == f"Total reclaimed space: {units.decimal_size(freed)}"
    assert on_disk(layers) == kept_bytes
    assert usage(tinybox)["Images"]["Reclaimable"] == "0B (0%)"
    assert tinybox("rm", "box").returncode == 0


def test_the_build_cache_has_its_own_line(tinybox: Command, tmp_path: Path) -> None:
    """A layer that only the cache keeps is the cache's; while an image has it, it is the image's; prune removes it."""
    (tmp_path / "Containerfile").write_text("FROM busybox\nRUN head -c 700000 /dev/zero > /file\n")
    assert tinybox("build", "-q", "-t", "made:1", str(tmp_path)).returncode == 0
    shared = usage(tinybox)
    assert (shared["Build Cache"]["TotalCount"], shared["Build Cache"]["Size"]) == ("1", "0B")
    assert tinybox("rmi", "made:1").returncode == 0
    cached = usage(tinybox)
    assert cached["Build Cache"]["Size"].startswith("70")
    assert cached["Build Cache"]["Reclaimable"].endswith("(100%)")
    rows = json.loads(tinybox("system", "df", "-v", "--format", "json").stdout)["BuildCache"]
    assert [(row["CacheType"], row["Shared"]) for row in rows] == [("layer", "false")]
    assert tinybox("system", "prune", "-f", "--filter", "until=1h").stdout == "Total reclaimed space: 0B\n"
    assert tinybox("system", "prune", "-f").stdout.splitlines()[-1] == "Total reclaimed space: 700kB"
    assert usage(tinybox)["Build Cache"]["TotalCount"] == "0"
    assert tinybox("images", "-q", "busybox").stdout.strip()


def test_filters_of_prune(tinybox: Command) -> None:
    """Only what is old enough, or has the label, is removed; `until` and --volumes exclude one another."""
    for name, label in (("one", "kind=a"), ("two", "kind=b")):
        assert tinybox("run", "--name", name, "--label", label, "busybox", "true").returncode == 0
    assert tinybox("commit", "-c", "LABEL kind=a", "one").returncode == 0
    assert tinybox("network", "create", "--label", "kind=a", "mine").returncode == 0
    assert tinybox("system", "prune", "-f", "--filter", "until=1h").stdout == "Total reclaimed space: 0B\n"
    one_line(tinybox("system", "prune", "-f", "--volumes", "--filter", "until=1h"), 1, "--volumes")
    one_line(tinybox("system", "prune", "-f", "--filter", "name=x"), 1, "--filter name=x")
    one_line(tinybox("image", "prune", "-f", "--filter", "until=soon"), 1, "until soon", "is not a time")
    asked = tinybox("system", "prune", "--filter", "label=kind=a", text="n\n").stdout
    assert "Items to be pruned will be filtered with:\n  - label=kind=a\n" in asked
    done = tinybox("system", "prune", "-f", "--filter", "label=kind=a").stdout
    assert ("Deleted Networks:\nmine\n" in done, done.count("Deleted "), done.count("deleted: ")) == (True, 3, 1)
    assert tinybox("ps", "-a", "--format", "{{.Names}}").stdout == "two\n"
    assert "all build cache" in tinybox("system", "prune", text="n\n").stdout
    assert tinybox("system", "prune", "-f", "--filter", "label!=kind=b").stdout == "Total reclaimed space: 0B\n"
    assert tinybox("prune", "-f").stdout.startswith("Deleted Containers:")  # the short name is the same command
    assert output(tinybox, "busybox", "echo", "x") == "x\n"


def test_an_image_that_was_pulled_by_its_digest_is_not_dangling(tinybox: Command, tmp_path: Path) -> None:
    """An image with a digest and no tag has a name: `images` shows its repository, and `prune` keeps it."""
    image = imported(tinybox, tmp_path, "big:1", 1000)
    digest = f"name@sha256:{'1' * 64}"
    os.symlink(f"../images/{image}", Path(tinybox.root, "names", digest))
    assert tinybox("rmi", "big:1").returncode == 0
    shown = tinybox("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}", "-f", "dangling=false")
    assert digest.replace("@", " <none> ") in shown.stdout
    assert tinybox("image", "prune", "-f").stdout == "Total reclaimed space: 0B\n"
    assert json.loads(tinybox("image", "inspect", image).stdout)[0]["RepoDigests"] == [digest]
    assert "big" not in tinybox("images").stdout
    assert f"deleted: sha256:{image}" in tinybox("image", "prune", "-af").stdout
