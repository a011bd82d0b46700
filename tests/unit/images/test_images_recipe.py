"""Recipes: the order of the sources, the messages, static programs, and the package database of alpine."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from tinybox.errors import ImageError, UsageError
from tinybox.images.recipes import apk, busybox, programs, recipe
from tinybox.images.recipes.pack import Pack
from tinybox.images.recipes.recipe import Recipe
from tinybox.images.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give an empty store."""
    return Store(str(tmp_path / "store"))


@pytest.fixture
def kitchen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a directory of recipes, with a working source (`packed`), which counts its calls."""

    def packed(source: dict[str, Any], work: Any, say: Any) -> str:
        with (tmp_path / "made").open("a") as log:
            log.write("x")
        with Pack(f"{work.path}/packed.tar") as pack:
            pack.directory("etc")
            pack.file("etc/from", source["text"].encode())
        return pack.path

    monkeypatch.setattr(recipe, "DIRECTORIES", (str(tmp_path / "recipes"),))
    monkeypatch.setitem(recipe.KINDS, "packed", packed)
    (tmp_path / "recipes").mkdir()
    return tmp_path


def write(kitchen: Path, name: str, *sources: str) -> None:
    """Write a recipe with *sources*, each the text of one table."""
    tables = "\n".join(f"[[source]]\n{source}" for source in sources)
    (kitchen / "recipes" / f"{name}.toml").write_text(f"tags = ['1.0']\n[config]\nCmd = ['/bin/sh']\n{tables}\n")


def test_the_first_working_source_is_used_and_named(store: Store, kitchen: Path) -> None:
    """Sources are tried in order; failed ones are named with their reason, later ones are not tried."""
    write(kitchen, "a", "kind='registry'", "kind='odd'", "kind='packed'\ntext='one'", "kind='packed'\ntext='two'")
    said: list[str] = []
    image = recipe.make(store, "a", said.append)
    assert Path(image.layers[0], "etc/from").read_text() == "one"
    assert image.config == {"Cmd": ["/bin/sh"]}
    assert len(said) == 3
    assert said[0].startswith("a: not from registry: ")
    assert said[1].startswith("a: not from odd: ")
    assert said[2].startswith("a: made from packed")
    assert [image.reference for image in store.images()] == ["a:1.0", "a:latest"]


def test_no_working_source_is_one_clear_error(store: Store, kitchen: Path) -> None:
    """When all sources fail the error has the last one's reason, and nothing is in the store."""
    write(kitchen, "a", "kind='odd'", "kind='registry'")
    with pytest.raises(ImageError, match=r"no source .* registry: this tinybox has no such kind"):
        recipe.make(store, "a", lambda _: None)
    assert store.images() == []
    assert os.listdir(f"{store.root}/tmp") == []


def test_recipes_are_found_by_name_and_tag(kitchen: Path) -> None:
    """A recipe is for `latest` and the tags it names; other tags, hosts and paths have none; invalid names fail."""
    write(kitchen, "a", "kind='odd'")
    for text in ("a", "a:latest", "a:1.0"):
        found = recipe.find(text)
        assert isinstance(found, Recipe)
        assert found.name == "a"
    for text in ("a:2.0", "b", "x/a", "recipes/a"):
        assert recipe.find(text) is None
    with pytest.raises(UsageError):
        recipe.find("../recipes/a")
    assert recipe.names() == ["a"]


def test_a_missing_recipe_lists_the_known_ones(store: Store) -> None:
    """The cure of an unknown recipe is the list of the known ones, which are these two."""
    with pytest.raises(ImageError, match="alpine, busybox"):
        recipe.make(store, "nothing", lambda _: None)


def test_a_recipe_with_faults_is_named(kitchen: Path) -> None:
    """Wrong TOML and missing keys are errors that name the file."""
    for text in ("[[", "name = 1"):
        (kitchen / "recipes/a.toml").write_text(text)
        with pytest.raises(ImageError, match=r"a\.toml"):
            recipe.find("a")


def test_of_many_makers_one_works(store: Store, kitchen: Path) -> None:
    """Six makers at once: the source is used once, and each of them gets the image; the control is another image."""
    write(kitchen, "a", "kind='packed'\ntext='one'")
    write(kitchen, "b", "kind='packed'\ntext='two'")
    ids: list[str] = []
    makers = [threading.Thread(target=lambda: ids.append(recipe.make(store, "a", lambda _: None).id)) for _ in range(6)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(ids) == 6
    assert len(set(ids)) == 1
    assert (kitchen / "made").read_text() == "x"
    assert recipe.make(store, "b", lambda _: None).id not in ids
    assert (kitchen / "made").read_text() == "xx"


def test_the_own_recipes_can_be_read() -> None:
    """Each recipe of tinybox has a config that starts a shell, sources in order, and a pinned hash for each machine."""
    alpine, box = recipe.find("alpine:3.23"), recipe.find("busybox")
    assert alpine
    assert box
    assert [source["kind"] for source in alpine.sources] == ["pypi-disk"]
    assert {len(digest) for digest in alpine.sources[0]["sha256"].values()} == {64}
    assert set(alpine.sources[0]["sha256"]) == {"x86_64", "aarch64"}
    assert [source["kind"] for source in box.sources] == ["host-busybox"]
    assert alpine.config["Cmd"] == box.config["Cmd"] == ["/bin/sh"]


def elf(*types: int) -> bytes:
    """Build the head of a 64-bit ELF program with program headers of these *types*."""
    head = b"\x7fELF\x02".ljust(32, b"\0") + struct.pack("<QQIHHH", 64, 0, 0, 64, 56, len(types))
    return head.ljust(64, b"\0") + b"".join(struct.pack("<I52x", kind) for kind in types)


def test_a_program_with_an_interpreter_is_not_static() -> None:
    """PT_INTERP distinguishes them; the control is this Python, or its interpreter, and a script."""
    assert busybox.is_static(elf(1, 2))
    assert not busybox.is_static(elf(1, 3, 2))
    assert not busybox.is_static(b"#!/bin/sh\n")
    assert not busybox.is_static(Path(sys.executable).resolve().read_bytes())


STANZA = """C:Q1sum=
P:pkg
V:1.0-r0
t:1000
F:
F:etc
R:conf
a:0:42:640
Z:{conf}
R:link
a:0:0:777
Z:{link}
F:tmp
M:0:0:1777
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make an installation of one wanted package and one other."""
    path = tmp_path / "tree"
    for folder in ("lib/apk/db", "etc/apk", "etc/busybox-paths.d", "tmp", "bin"):
        (path / folder).mkdir(parents=True)
    stanza = STANZA.format(conf=apk.checksum(b"mine:1\n"), link=apk.checksum(b"conf"))
    database = path / "lib/apk/db"
    (database / "installed").write_text(f"{stanza}\nC:Q1other=\nP:other\nV:2\nF:etc\nR:theirs\n\n")
    (database / "triggers").write_text("Q1sum= /bin\nQ1other= /lib\n")
    with tarfile.open(database / "scripts.tar.gz", "w:gz") as scripts:
        for name in ("pkg-1.0-r0.Q1.trigger", "other-2.Q1.trigger", "pkg-1.0-r01.trigger"):
            scripts.addfile(tarfile.TarInfo(name), io.BytesIO())
    (path / "etc/apk/world").write_text("other\npkg\n")
    (path / "etc/apk/arch").write_text("x86_64\n")
    (path / "etc/busybox-paths.d/busybox").write_text("bin/ls\netc/link\n")
    (path / "etc/conf").write_text("mine:1\nadded:2\n")
    (path / "etc/link").symlink_to("turned")
    (path / "etc/theirs").write_text("not wanted")
    return path


SOURCE: dict[str, Any] = {
    "packages": ["pkg"],
    "unowned": ["etc/apk/arch"],
    "changed": [],
    "without": {"etc/conf": ["added"]},
    "texts": {},
    "links": {"etc/link": "conf"},
    "owners": {"etc/conf": [7, 8]},
}


def compose(tree: Path, source: dict[str, Any]) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """Compose the packages and read the result back."""
    with Pack(str(tree.with_name("out.tar"))) as pack:
        apk.compose(str(tree), source, pack)
    with tarfile.open(pack.path) as tar:
        return {member.name: (member, content(tar, member)) for member in tar}


def content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Return the content of a regular file of *tar*."""
    file = tar.extractfile(member) if member.isreg() else None
    return file.read() if file else b""


def test_an_installation_is_reduced_to_some_packages(tree: Path) -> None:
    """Files of the wanted package are included and repaired; database, triggers and scripts know no other package."""
    result = compose(tree, SOURCE)
    assert result["etc/conf"][1] == b"mine:1\n"
    assert (result["etc/conf"][0].uid, result["etc/conf"][0].gid, result["etc/conf"][0].mode) == (7, 8, 0o640)
    assert result["etc/conf"][0].mtime == 1000
    assert result["tmp"][0].mode == 0o1777
    assert result["bin/ls"][0].linkname == "/bin/busybox"
    assert result["etc/link"][0].linkname == "conf"
    assert "etc/theirs" not in result
    assert b"other" not in result["lib/apk/db/installed"][1]
    assert result["lib/apk/db/triggers"][1] == b"Q1sum= /bin\n"
    assert result["etc/apk/world"][1] == b"pkg\n"
    scripts = gzip.decompress(result["lib/apk/db/scripts.tar.gz"][1])
    assert b"pkg-1.0-r0.Q1.trigger" in scripts
    assert b"other-2" not in scripts
    assert b"r01" not in scripts
    assert stat.S_IMODE(result["lib/apk/db/lock"][0].mode) == 0o600


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"packages": ["pkg", "absent"]}, "no package absent"),
        ({"without": {}}, "differs from that of its package"),
        ({"links": {}}, "differs from that of its package"),
        ({"unowned": ["etc/absent"]}, "No such file"),
    ],
)
def test_a_missing_or_changed_file_is_an_error(tree: Path, change: dict[str, Any], cause: str) -> None:
    """A file that differs from its checksum is refused, unless the recipe allows it."""
    with pytest.raises(ImageError, match=cause):
        compose(tree, SOURCE | change)
    if change == {"without": {}}:
        assert compose(tree, SOURCE | change | {"changed": ["etc/conf"]})["etc/conf"][1] == b"mine:1\nadded:2\n"


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without qemu-img the error names its package, before anything is downloaded; the control is an installed tool."""
    assert programs.find("sh", "dash").endswith("/sh")
    with pytest.raises(Exception, match=r"no-such-tool.*apt install the-package"):
        programs.find("no-such-tool", "the-package")


def test_an_image_can_be_made_again(store: Store, kitchen: Path) -> None:
    """`make` returns the stored image; with *again* it makes a new one, and all names refer to the new one."""
    write(kitchen, "a", "kind='packed'\ntext='one'")
    first = recipe.make(store, "a", lambda _: None)
    write(kitchen, "a", "kind='packed'\ntext='two'")
    assert recipe.make(store, "a", lambda _: None).id == first.id
    second = recipe.make(store, "a", lambda _: None, again=True)
    assert Path(second.layers[0], "etc/from").read_text() == "two"
    assert {image.reference: image.id for image in store.images() if image.reference} == {
        "a:1.0": second.id,
        "a:latest": second.id,
    }
    assert store.image(first.id).id == first.id  # it is kept without a name, as in docker
    assert recipe.make(store, "a", lambda _: None, again=True).id == second.id
    assert (kitchen / "made").read_text() == "xxx"


def test_a_recipe_may_begin_with_a_byte_order_mark(store: Store, kitchen: Path) -> None:
    """Editors of Windows write one, and CR LF; the recipe is the same without both."""
    write(kitchen, "a", "kind='packed'\ntext='one'")
    path = kitchen / "recipes/a.toml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    image = recipe.make(store, "a", lambda _: None)
    assert Path(image.layers[0], "etc/from").read_text() == "one"
