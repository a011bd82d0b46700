"""Attacks by the paths of mounts: links and false files in an image or a volume, at the places where mounts go."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.attacks.conftest import SECRET, guarded, replaced
from tests.support import image_archives as tar
from tests.support.hostile_images import parents
from tinybox.container.planning import mounts as planned_mounts
from tinybox.container.planning import terminal as planned_terminal
from tinybox.container.storage import populate
from tinybox.isolation import device_files, entered_root, mounts, null_device, terminal
from tinybox.linux import mount

if TYPE_CHECKING:
    from tests.attacks.conftest import Engine
    from tests.support.hostile_images import Images

pytestmark = pytest.mark.root

TTL = "/proc/sys/net/ipv4/ip_default_ttl"


def open_by_name(root: bytes, destination: bytes, *, directory: bool, links: bool = True, mode: int = 0o755) -> int:
    """Open or make a mount point as the first runtimes did: by its name below the root, through any link."""
    path = root + destination
    if directory:
        os.makedirs(path, mode, exist_ok=True)
    elif not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).touch()
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


@guarded(replaced(mounts, "open_target", open_by_name))
def test_a_mount_point_is_not_made_outside(engine: Engine, images: Images, outside: Path, succeeds: bool) -> None:
    """CVE-2021-30465, CVE-2024-45310: a link on the way to a mount point makes no directory on the host."""
    image = images.make(tar.symlink("out", str(outside)))
    given = outside.parent / "given"
    given.mkdir()
    engine.run("-v", f"{given}:/out/made", image, "true")
    assert (outside / "made").exists() == succeeds


def link_by_name(root: bytes, links: dict[str, str]) -> None:
    """Make the links in /dev by their names."""
    for name, target in links.items():
        os.symlink(target, root + b"/dev/" + name.encode())


@guarded(replaced(device_files, "make_links", link_by_name))
def test_the_links_of_dev_are_not_made_outside(engine: Engine, images: Images, outside: Path, succeeds: bool) -> None:
    """CVE-2026-41579: an image whose /dev is a link to a directory of the host does not get links made there."""
    image = images.make(tar.symlink("dev", str(outside)), *parents(outside), without=("dev",))
    engine.run(image, "true")
    assert (os.listdir(outside) != ["secret"]) == succeeds


def with_links(patch: pytest.MonkeyPatch) -> None:
    """Follow links to the mount points of /proc and /sys, too."""
    real = mounts.open_target

    def follow(root: bytes, destination: bytes, *, directory: bool, links: bool = True, mode: int = 0o755) -> int:
        return real(root, destination, directory=directory, mode=mode)

    patch.setattr(mounts, "open_target", follow)


@guarded(with_links)
@pytest.mark.parametrize("name", ["proc", "sys"])
def test_proc_and_sys_are_no_links(engine: Engine, images: Images, succeeds: bool, name: str) -> None:
    """CVE-2019-19921, CVE-2023-27561, CVE-2023-28642: an image whose /proc or /sys is a link does not start.

    In the host's network, so that tinybox sets no kernel parameter: that would be one more guard.
    """
    image = images.make(tar.symlink(name, "elsewhere"), tar.directory("elsewhere"), without=(name,))
    assert ("STARTED" in engine.run("--network", "host", image, "sh", "-c", "echo STARTED")) == succeeds


def anywhere(destination: str, kind: str) -> bytes:
    """Return the normal form of a *destination*, which may cover /proc."""
    return os.path.normpath(destination).encode()


COVERS_PROC = (
    replaced(planned_mounts, "_checked", anywhere),
    replaced(planned_mounts, "_is_proc", lambda _: False),
    replaced(mounts, "_check_target", lambda *_, **__: None),
)


@guarded(*COVERS_PROC)
def test_a_volume_of_the_image_does_not_cover_proc(engine: Engine, images: Images, succeeds: bool) -> None:
    """CVE-2019-16884: with VOLUME /proc an image would read its own files where tinybox and AppArmor see the kernel's.

    Three guards hold: the plan refuses the place, the source must be a proc, and the target must not be one. In the
    host's network, so that tinybox sets no kernel parameter: that would be one more.
    """
    image = images.make(tar.regular("proc/false", b"FALSE"), Volumes={"/proc": {}})
    shown = engine.run("--network", "host", image, "cat", "/proc/false")
    assert ("FALSE" in shown) == succeeds, shown


def write_by_name(name: str, value: str) -> None:
    """Write a kernel parameter by its name, whatever is mounted there."""
    Path("/proc/sys", *name.split(".")).write_text(value)


@guarded(*COVERS_PROC, replaced(entered_root, "set_sysctl", write_by_name))
def test_a_false_proc_gets_no_kernel_parameter(engine: Engine, outside: Path, succeeds: bool) -> None:
    """CVE-2025-52881: what tinybox writes to /proc goes to the kernel, and never to a file that lies over it."""
    false = outside / "ipv4" / "ip_default_ttl"
    false.parent.mkdir()
    false.write_text("false")
    engine.run("--sysctl", "net.ipv4.ip_default_ttl=7", "-v", f"{outside}:/proc/sys/net", "busybox", "true")
    assert (false.read_text() == "7") == succeeds


@guarded(replaced(null_device, "_checked_null", lambda fd: fd))
def test_a_false_null_device_masks_nothing(engine: Engine, outside: Path, succeeds: bool) -> None:
    """CVE-2025-31133: a file in the place of /dev/null is not mounted over the files that a box must not see."""
    (outside / "null").write_text("FALSE")
    shown = engine.run("-v", f"{outside}:/dev", "busybox", "cat", "/proc/keys")
    assert ("FALSE" in shown) == succeeds, shown


def console_by_name(handles: object, root: bytes, owner: int, size: tuple[int, int]) -> None:
    """Mount the terminal on /dev/console by the name of its file in /dev/pts, as runc did."""
    pty = planned_terminal._opened(root, owner, size)
    tree = mount.open_tree(mount.AT_FDCWD, root + pty.name.encode(), 0)
    mounts.place(tree, root, b"/dev/console")
    planned_terminal._connect_streams(handles, pty)  # type: ignore[arg-type]


@guarded(replaced(planned_terminal, "open_console", console_by_name))
def test_the_console_is_the_terminal(
    engine: Engine, outside: Path, monkeypatch: pytest.MonkeyPatch, succeeds: bool
) -> None:
    """CVE-2025-52565: if a link takes the place of the new terminal's file, /dev/console is still the terminal.

    The exchange is made here at the worst moment: when the terminal is open, and not yet mounted on /dev/console.
    """
    real = terminal.Pty.__init__

    def race(self: terminal.Pty, root: bytes) -> None:
        real(self, root)
        mount.mount(b"tmpfs", root + b"/dev/pts", b"tmpfs", 0, b"")
        os.symlink(outside / "secret", root + b"/dev/pts/0")

    monkeypatch.setattr(terminal.Pty, "__init__", race)
    shown = engine.run(
        "-t", "--init=none", "busybox", "sh", "-c", "test -c /dev/console && echo TERMINAL || cat /dev/console"
    )
    assert ("TERMINAL" in shown, SECRET in shown) == (not succeeds, succeeds), shown


@guarded(replaced(populate, "_INSIDE", 0))
def test_a_volume_is_filled_only_from_the_image(engine: Engine, images: Images, outside: Path, succeeds: bool) -> None:
    """CVE-2022-23648: a VOLUME of an image, whose path has links or dots, gets no copy of the host's files."""
    image = images.make(Volumes={str(outside): {}, "/out": {}})
    shown = engine.run(image, "cat", f"{outside}/secret")
    assert (SECRET in shown) == succeeds, shown
