"""Attacks by a working directory, and by `cp`: a path of the box that leads out of it."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.attacks.conftest import SECRET, SOAK, guarded, replaced
from tests.support import image_archives as tar
from tests.support.boxes import new_name
from tinybox.container.files import copy, view
from tinybox.container.files.copy_target import Side
from tinybox.isolation import rootfs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from tests.attacks.conftest import Engine
    from tests.conftest import Command
    from tests.support.hostile_images import Images

pytestmark = pytest.mark.root


@pytest.fixture
def link(images: Images, outside: Path) -> str:
    """Make an image whose /out is a link to that directory of the host."""
    return images.make(tar.symlink("out", str(outside)))


def made_before_pivot(patch: pytest.MonkeyPatch) -> None:
    """Make the working directory as podman did: by its path on the host, before the root is changed."""
    real = rootfs.pivot

    def pivot(root: bytes) -> None:
        os.makedirs(root + b"/out/work", exist_ok=True)
        real(root)

    patch.setattr(rootfs, "pivot", pivot)


@guarded(made_before_pivot)
def test_a_working_directory_is_not_made_outside(engine: Engine, link: str, outside: Path, succeeds: bool) -> None:
    """CVE-2026-55686: a WORKDIR below a link of the image makes no directory on the host."""
    engine.run("-w", "/out/work", link, "true")
    assert (outside / "work").exists() == succeeds


def open_below_the_root(side: Side, path: str, flags: int) -> int:
    """Open a path of the box without the kernel's help: a link leads to where it leads on the host."""
    return os.open(path, flags) if side.is_host else os.open(path.lstrip("/") or ".", flags, dir_fd=side._root)


@guarded(replaced(Side, "open", open_below_the_root))
def test_cp_reads_only_from_the_box(engine: Engine, link: str, succeeds: bool) -> None:
    """CVE-2018-15664, CVE-2019-10152: `cp` out of a box follows no link to a file of the host."""
    name = new_name()
    assert engine("create", "--name", name, link, "true").status == 0
    try:
        shown = engine("cp", "-L", f"{name}:/out/secret", "-").stdout
    finally:
        engine("rm", name)
    assert (SECRET in shown) == succeeds, shown


@guarded(replaced(Side, "open", open_below_the_root))
def test_cp_writes_only_into_the_box(engine: Engine, link: str, outside: Path, tmp_path: Path, succeeds: bool) -> None:
    """CVE-2018-15664, CVE-2019-10152: `cp` into a box makes no file on the host."""
    name = new_name()
    (tmp_path / "new").write_text("NEW")
    assert engine("create", "--name", name, link, "true").status == 0
    try:
        engine("cp", str(tmp_path / "new"), f"{name}:/out/new")
        engine("cp", str(tmp_path / "new"), f"{name}:/out/")
    finally:
        engine("rm", name)
    assert (outside / "new").exists() == succeeds


EXCHANGE = "echo READY; while :; do ln -s {0} l; mv -T l x; rm x; mkdir x; touch x/secret; rm -r x; done"


def test_an_exchange_of_links_does_not_lead_cp_out(engine: Engine, outside: Path, tmp_path: Path) -> None:
    """CVE-2018-15664, CVE-2026-42306: a box exchanges a directory and a link to the host, while `cp` goes through it.

    The volume is there because docker mounted the volumes of the box again, by their paths. `make soak`: 300 times.
    """
    name, given = new_name(), tmp_path / "given"
    given.write_text("NEW")
    script = EXCHANGE.format(outside)
    words = ("-w", "/work", "-v", "/work/x/volume", "busybox", "sh", "-c", f"cd /work/x/..; cd /tmp; {script}")
    assert engine("run", "-d", "--name", name, *words).status == 0
    copied = 0
    try:
        for _ in range(300 if SOAK else 5):
            assert SECRET not in engine("cp", f"{name}:/tmp/x/secret", "-").stdout
            copied += engine("cp", str(given), f"{name}:/tmp/x/new").status == 0
    finally:
        assert engine("rm", "-fv", name).status == 0
    assert os.listdir(outside) == ["secret"]
    if SOAK:
        assert copied > 0  # the control: some of them met the directory


def enter_by_chroot(patch: pytest.MonkeyPatch) -> None:
    """Make `cp` work in a chroot(2) of the box, as docker's did; there it needs a module that is not loaded yet."""
    real = view._enter

    def enter(pid: int, mounted: bool) -> int:
        root = real(pid, mounted)
        os.fchdir(root)
        os.chroot(".")
        sys.modules.pop("colorsys", None)
        importlib.invalidate_caches()
        importlib.import_module("colorsys")
        return root

    patch.setattr(view, "_enter", enter)


@guarded(enter_by_chroot)
def test_cp_loads_no_code_of_the_box(
    engine: Engine, tinybox: Command, images: Images, tmp_path: Path, succeeds: bool
) -> None:
    """CVE-2019-14271: a box has modules and libraries at the paths of the host's; `cp` loads none of them.

    The whole engine is a process of its own here, which has nothing loaded before. Its control is a chroot(2).
    """
    library, poison = sysconfig.get_paths()["stdlib"], b"open('/marked', 'w').close()\n"
    bad = [tar.regular(f"{library[1:]}/{each}.py", poison) for each in sorted(sys.stdlib_module_names)]
    bad += [tar.regular("etc/nsswitch.conf", b"passwd: evil\n"), tar.regular("lib/libnss_evil.so.2", b"\x7fELF")]
    image, name = images.make(*bad), new_name()
    assert engine("run", "-d", "--name", name, image, "sleep", "100").status == 0
    try:
        (tmp_path / "new").write_text("NEW")
        for words in (("cp", f"{name}:/etc", "-"), ("cp", str(tmp_path / "new"), f"{name}:/tmp/new")):
            if succeeds:
                engine(*words)
            else:
                done = subprocess.run([tinybox.path, *words], env=tinybox.environment, capture_output=True, check=False)
                assert done.returncode == 0, done
        marked = engine("exec", name, "test", "-e", "/marked").status == 0
    finally:
        engine("rm", "-f", name)
    assert marked == succeeds


def enter_and_search(patch: pytest.MonkeyPatch) -> None:
    """Make `cp` work in a chroot(2), and unpack by a program that is looked up there, as docker's did."""
    real = view._enter

    def enter(pid: int, mounted: bool) -> int:
        root = real(pid, mounted)
        os.fchdir(root)
        os.chroot(".")
        return root

    @contextmanager
    def by_gzip(file: BufferedReader, limit: int) -> Iterator[None]:
        subprocess.run(["gzip", "-dc"], stdin=file, check=True)
        yield

    patch.setattr(view, "_enter", enter)
    patch.setattr(copy, "opened", by_gzip)


@guarded(enter_and_search)
def test_cp_runs_no_program_of_the_box(engine: Engine, images: Images, succeeds: bool) -> None:
    """CVE-2026-41567: a compressed archive that is copied into a box is not unpacked by the box's own gzip."""
    import gzip

    script = b"#!/bin/sh\ntouch /marked\n"
    folders = [
        tar.directory("usr"),
        tar.directory("usr/bin"),
        tar.directory("usr/local"),
        tar.directory("usr/local/bin"),
    ]
    bad = [
        tar.regular(f"{folder}/{tool}", script, mode=0o755)
        for folder in ("bin", "usr/bin", "usr/local/bin")
        for tool in ("gzip", "gunzip", "unpigz", "xz", "zstd", "tar")
    ]
    image, name = images.make(*folders, *bad), new_name()
    assert engine("run", "-d", "--name", name, image, "sleep", "100").status == 0
    try:
        done = engine("cp", "-", f"{name}:/tmp", stdin=gzip.compress(tar.archive([tar.regular("new", b"NEW")])))
        assert (done.status == 0) == (not succeeds), done
        marked = engine("exec", name, "test", "-e", "/marked").status == 0
    finally:
        engine("rm", "-f", name)
    assert marked == succeeds
