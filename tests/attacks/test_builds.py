"""Attacks by a Containerfile, a build context, or the base image of a build."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.conftest import SECRET, guarded, replaced
from tests.support import image_archives as tar
from tests.support.hostile_images import parents
from tinybox.build import cache, layering, run_mounts
from tinybox.build.files import context
from tinybox.container.config.volumes import mount_option
from tinybox.images import removal
from tinybox.images.store import Store
from tinybox.linux.filesystem import inside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.conftest import Engine
    from tests.support.hostile_images import Images

pytestmark = pytest.mark.root


class Builder:
    """Builds Containerfiles with the context *folder*."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine, self.folder = engine, folder

    def __call__(self, text: str) -> str:
        """Build *text*; return all that tinybox printed."""
        (self.folder / "Containerfile").write_text(text)
        done = self._engine("build", "--no-cache", "-t", "attacked", str(self.folder))
        return done.stdout + done.stderr


@pytest.fixture
def build(engine: Engine, tmp_path: Path) -> Iterator[Builder]:
    """Give a builder; afterwards the image and the cache are removed."""
    folder = tmp_path / "context"
    folder.mkdir()
    yield Builder(engine, folder)
    store = Store(engine.root)
    for image in store.images():
        if str(image.reference).startswith("attacked"):
            removal.remove(store, str(image.reference))
    cache.clear(store)


@guarded(replaced(run_mounts, "_IN_ROOT", 0))
def test_the_source_of_a_mount_is_in_its_image(
    engine: Engine, images: Images, build: Builder, outside: Path, succeeds: bool
) -> None:
    """CVE-2024-1753, CVE-2024-11218: RUN --mount=from=IMAGE of a link to / mounts nothing of the host's."""
    image = images.make(tar.symlink("link", str(outside)))
    shown = build(f"FROM busybox\nRUN --mount=from={image},source=/link,target=/m cat /m/secret\n")
    assert (SECRET in shown) == succeeds, shown


def raw_names(data: bytes) -> SimpleNamespace:
    """Take the id of a cache mount itself for the name of its directory."""
    return SimpleNamespace(hexdigest=data.decode)


@guarded(replaced(run_mounts, "hashlib", SimpleNamespace(sha256=raw_names)))
def test_the_id_of_a_cache_mount_is_no_path(build: Builder, outside: Path, succeeds: bool) -> None:
    """CVE-2024-9675: RUN --mount=type=cache,id=../.. makes and shows no directory of the host."""
    up = "../" * 12
    build(f"FROM busybox\nRUN --mount=type=cache,id={up}{outside},target=/m echo x > /m/x\n")
    assert (os.listdir(outside) != ["secret"]) == succeeds


def remove_by_name(patch: pytest.MonkeyPatch) -> None:
    """Remove the empty mount points of a RUN by their names below the root, through any link, as BuildKit did."""
    real = layering.kept

    def kept(site: Any, below: Any, step: int, upper: str, places: Any = ()) -> str:
        for place in places:
            if os.path.exists(upper + place) and os.path.getsize(upper + place) == 0:
                os.unlink(upper + place)
        return real(site, below, step, upper, places)

    patch.setattr(layering, "kept", kept)


@guarded(remove_by_name)
def test_the_mount_points_of_a_run_are_removed_inside(build: Builder, outside: Path, succeeds: bool) -> None:
    """CVE-2024-23652: a RUN that puts a link in the place of its mount point gets no file of the host removed."""
    (outside / "empty").touch()
    swap = f"mv -T /d /gone && ln -s {outside} /d"
    shown = build(f"FROM busybox\nRUN --mount=target=/d/empty,source=Containerfile {swap}\n")
    assert (not (outside / "empty").exists()) == succeeds, shown


@pytest.mark.parametrize(
    "flag",
    [
        "--security=insecure",
        "--mount=type=cache,source=/x,target=/m",
        "--mount=type=bind,bind-propagation=shared,target=/m",
        "--mount=type=ssh",
    ],
)
def test_what_tinybox_does_not_have_is_refused(build: Builder, flag: str) -> None:
    """CVE-2024-23651, CVE-2024-23653, CVE-2024-9407: no privileged RUN, no cache with a source, no propagation."""
    shown = build(f"FROM busybox\nRUN {flag} echo RAN\n")
    *_, last = shown.splitlines()
    assert last.startswith("tinybox: "), shown
    assert "Containerfile:2: RUN: --" in last
    assert "RAN\n" not in shown.replace("echo RAN\n", "")


@guarded(replaced(context, "_INSIDE", 0))
@pytest.mark.parametrize("source", ["link/secret", "up/secret", "file"])
def test_a_link_in_the_context_leads_nowhere_outside(
    build: Builder, outside: Path, succeeds: bool, source: str
) -> None:
    """GHSA-vp35-85q5-9f25: COPY of a link, or below one, copies no file of the host."""
    (build.folder / "link").symlink_to(outside)
    (build.folder / "up").symlink_to("../outside")
    (build.folder / "file").symlink_to(outside / "secret")
    shown = build(f"FROM busybox\nCOPY {source} /x\nRUN cat /x\n")
    assert (SECRET in shown) == succeeds, shown


def walk_by_name(root: int, path: bytes, before: Any = None, made: Any = None) -> tuple[int, bytes]:
    """Open the directory of the target by its name below the root, through any link."""
    folder, _, name = path.lstrip(b"/").rpartition(b"/")
    return os.open(folder or b".", os.O_PATH | os.O_DIRECTORY, dir_fd=root), name


@guarded(replaced(inside, "open_parent", walk_by_name))
def test_a_copy_does_not_go_through_a_link_to_the_host(
    images: Images, build: Builder, outside: Path, succeeds: bool
) -> None:
    """COPY to a path below a link of the base image writes into the image, where the link leads there."""
    image = images.make(tar.symlink("link", str(outside)), *parents(outside))
    (build.folder / "new").write_text("NEW")
    build(f"FROM {image}\nCOPY new /link/new\n")
    assert (outside / "new").exists() == succeeds


def as_text(patch: pytest.MonkeyPatch) -> None:
    """Hand the mounts of a RUN on as values of --mount, where a comma ends a field; the last field of a name counts."""

    def bound(source: str, target: str, *, is_readonly: bool) -> Any:
        made = mount_option.mount(f"type=bind,source={source},target={target}{',readonly' * is_readonly}")
        return {**made, "options": ["rbind", "rprivate"]}

    patch.setattr(run_mounts, "_bound", bound)


@guarded(as_text)
def test_a_comma_in_a_path_is_no_other_mount(images: Images, build: Builder, outside: Path, succeeds: bool) -> None:
    """A directory of an image whose name looks like fields of --mount is mounted itself, and nothing of the host's."""
    odd = f"x,source={outside}"
    members = [tar.directory("/".join(odd.split("/")[:depth])) for depth in range(1, odd.count("/") + 2)]
    image = images.make(*members, tar.regular(f"{odd}/mine", b"MINE"), tar.symlink("link", odd))
    shown = build(f"FROM busybox\nRUN --mount=from={image},source=/link,target=/m cat /m/mine /m/secret; true\n")
    assert (SECRET in shown) == succeeds, shown
    assert ("MINE" in shown) == (not succeeds), shown


@guarded(as_text)
def test_a_comma_in_a_target_is_no_other_mount(build: Builder, outside: Path, succeeds: bool) -> None:
    """The same by the target of a cache mount, which begins at the working directory: there a comma is allowed."""
    text = f"FROM busybox\nWORKDIR /x,source={outside}/y\nRUN --mount=type=cache,target=.. cat /x/secret; true\n"
    shown = build(text)
    assert (SECRET in shown) == succeeds, shown
