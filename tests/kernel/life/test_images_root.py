"""Unpacking that needs root: other users' files, capabilities, overlayfs's attributes; and images that start."""

from __future__ import annotations

import io
import os
import stat
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests.support import own_network
from tests.support.image_archives import Place, archive, directory, hard_link, regular, symlink
from tinybox.errors import ImageError
from tinybox.images.archives.archive import unpack
from tinybox.images.recipes import recipe
from tinybox.images.removal import remove
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

PACKAGES = """alpine-baselayout alpine-baselayout-data alpine-keys alpine-release apk-tools busybox busybox-binsh
ca-certificates-bundle libapk libcrypto3 libssl3 musl musl-utils scanelf ssl_client zlib""".split()


@pytest.fixture
def disk() -> Iterator[Path]:
    """Give a directory that is not on overlayfs, which refuses another overlay's attributes; /tmp may be one."""
    with tempfile.TemporaryDirectory(prefix="tinybox-test-", dir="/var/tmp") as path:
        yield Path(path)


@pytest.fixture
def place(disk: Path) -> Place:
    """Give a directory to unpack into."""
    return Place(disk)


@pytest.fixture
def store(disk: Path) -> Store:
    """Give an empty store."""
    return Store(f"{disk}/store")


def test_owners_are_numbers_and_kept(place: Place) -> None:
    """Files, directories and links belong to the numbers in the archive, also those beyond the old header's range."""
    large = 2**31
    place.unpack(
        archive(
            [
                directory("d", uid=1, gid=2),
                regular("f", uid=large, gid=large + 1, uname="root"),
                symlink("l", "/etc/shadow", uid=5, gid=6),
            ]
        )
    )
    owners = {name: ((place.inside / name).lstat().st_uid, (place.inside / name).lstat().st_gid) for name in "dfl"}
    assert owners == {"d": (1, 2), "f": (large, large + 1), "l": (5, 6)}


def test_setuid_and_capabilities_survive_the_change_of_owner(place: Place) -> None:
    """chown(2) removes both, so they are set after it; attributes of other hosts' security modules are left out."""
    capability = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)  # VFS_CAP_REVISION_2 | effective, CAP_NET_RAW
    attributes = {
        "SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape"),
        "SCHILY.xattr.user.note": "kept",
        "SCHILY.xattr.security.selinux": "system_u",
    }
    place.unpack(archive([regular("ping", mode=0o4755, uid=7, gid=8, pax_headers=attributes)]))
    path = place.inside / "ping"
    assert os.getxattr(path, "security.capability") == capability
    can_note = takes_notes(place)
    assert set(os.listxattr(path)) == {"security.capability", *(["user.note"] if can_note else [])}
    assert not can_note or os.getxattr(path, "user.note") == b"kept"
    assert stat.S_IMODE(path.stat().st_mode) == 0o4755
    assert path.stat().st_uid == 7


def takes_notes(place: Place) -> bool:
    """Tell whether the file system has user attributes; tmpfs has none before Linux 6.6."""
    try:
        os.setxattr(place.inside, "user.probe", b"")
    except OSError:
        return False
    return True


def test_an_outside_hard_link_keeps_its_count(place: Place) -> None:
    """Root could link to any file of this file system; it is refused, and the link count shows that."""
    with pytest.raises(ImageError):
        place.unpack(archive([symlink("a", ".."), hard_link("h", "a/outside/secret")]))
    assert (place.outside / "secret").stat().st_nlink == 1


def test_whiteouts_hide_the_layer_below(disk: Path) -> None:
    """The kernel reads the attributes: .wh.NAME hides a file, .wh..wh..opq all below a directory."""
    lower = archive([directory("d"), regular("d/old"), regular("gone"), directory("swap"), regular("swap/old")])
    upper = archive(
        [
            *(regular(".wh.gone", b""), directory("d"), regular("d/.wh..wh..opq", b""), regular("d/new")),
            *(regular(".wh.swap", b""), directory("swap"), regular("swap/new")),
        ]
    )
    for name, content in (("lower", lower), ("upper", upper)):
        with io.BufferedReader(io.BytesIO(content)) as source:
            unpack(cast("io.BufferedReader", source), str(disk / name))
    assert overlaid(disk, "upper:lower") == {"d", "d/new", "swap", "swap/new"}
    with io.BufferedReader(io.BytesIO(archive([symlink("a", "../up"), regular("a/.wh.gone", b"")]))) as source:
        unpack(cast("io.BufferedReader", source), str(disk / "linked"))
    assert stat.S_ISCHR((disk / "linked" / "up" / "gone").stat().st_mode)  # behind a link, inside the layer
    assert overlaid(disk, "lower:upper") >= {"gone", "d/old"}  # the control, the layers exchanged: not hidden


def overlaid(path: Path, layers: str) -> set[str]:
    """List the files in an overlay of *layers*, the top one first, mounted in a new mount namespace."""
    (path / "merged").mkdir(exist_ok=True)
    program = f"mount -t overlay overlay -o lowerdir={layers} merged && cd merged && find . -mindepth 1 -printf '%P\\n'"
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", program],
        cwd=path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def chroot(tree: str, *words: str) -> str:
    """Run *words* with *tree* as the root, in a new mount namespace, and return the output."""
    return subprocess.run(
        ["unshare", "-m", "--propagation", "private", "chroot", tree, *words],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
    ).stdout


def test_busybox_is_made_from_this_host_and_runs(store: Store) -> None:
    """Without a network, the busybox image has a shell, commands, users, a sticky /tmp; made twice it is the same."""
    said: list[str] = []
    image = recipe.make(store, "busybox", said.append)
    tree = image.layers[0]
    assert chroot(tree, "sh", "-c", "ls -ld /tmp | cut -c1-10; whoami; seq 3 | wc -l") == "drwxrwxrwt\nroot\n3\n"
    assert any("made from host-busybox" in line for line in said)
    assert image.config["Cmd"] == ["/bin/sh"]
    first = image.id
    remove(store, "busybox")
    assert recipe.make(store, "busybox", said.append).id == first


@pytest.mark.slow
def test_alpine_is_genuine(store: Store) -> None:
    """Alpine 3.23 by its own release file: apk lists exactly the packages, and its audit finds no difference."""
    try:
        with own_network.of_the_machine():
            image = recipe.make(store, "alpine", lambda _: None)
    except ImageError as error:
        if "package index" in str(error):
            pytest.skip(f"no package index within reach: {error}")
        raise
    tree = image.layers[0]
    assert Path(tree, "etc/alpine-release").read_text().startswith("3.23.")
    assert sorted(chroot(tree, "apk", "info").split()) == PACKAGES
    assert chroot(tree, "apk", "audit", "--system") == ""
    changed = [line for line in chroot(tree, "apk", "audit").splitlines() if not line.startswith("A ")]
    assert changed == ["U etc/shadow"]  # root's password is locked
    assert image.size < 10_000_000
    assert [image.reference for image in store.images()] == ["alpine:3.23", "alpine:latest"]
    listed = {f"/{path}".replace("//", "/") for path in chroot(tree, "busybox", "--list-full").split()}
    assert {path for path in listed if not os.path.lexists(f"{tree}{path}")} == set()
    Path(tree, "etc/securetty").unlink()  # the control: audit finds a missing and a changed file
    Path(tree, "sbin/ldconfig").write_text("changed")
    assert chroot(tree, "apk", "audit", "--system").split() == ["U", "sbin/ldconfig", "X", "etc/securetty"]
