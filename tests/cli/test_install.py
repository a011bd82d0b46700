"""`make install` and `make uninstall`: links, completion and manual pages; `DOCKER=1` also as `docker`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.guards.sources import CHECKOUT
from tests.support.slowness import SLOWNESS
from tinybox import __version__
from tinybox.cli.app import DOCKERS
from tools.docker_words import FACTS

BIN = Path(sys.executable).parent


def done(place: Path, *words: str, first: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run tools/setup.sh, which `make` calls, with *place* for /usr/local; *first* is first in the PATH."""
    programs = place.with_name("programs")
    programs.mkdir(exist_ok=True)
    for name in "dirname basename readlink ln mkdir rm uname".split():
        link, target = programs / name, shutil.which(name)
        if target and not link.exists():
            link.symlink_to(target)
    path = f"{first}:{programs}" if first else str(programs)
    return subprocess.run(
        [CHECKOUT / "tools/setup.sh", *words], env={**os.environ, "PREFIX": str(place), "PATH": path},
        capture_output=True, text=True, check=False, timeout=120 * SLOWNESS,
    )  # fmt: skip


def files(place: Path) -> set[str]:
    """Return the paths of all files and links below *place*."""
    return {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir()}


def test_it_installs_a_docker_and_removes_it(tmp_path: Path) -> None:
    """With DOCKER=1 there is a docker with docker's line of the version, and its completion; then all is gone."""
    place = tmp_path / "place"
    assert done(place, "install", str(BIN), "1").returncode == 0
    there = files(place)
    assert {"bin/docker", "bin/tinybox", "bin/tinybox-oci", "share/man/man1/tinybox.1"} < there
    for name in ("tinybox", "docker"):
        script = (place / f"share/bash-completion/completions/{name}").read_text()
        assert f"complete -o nosort -F _{name}_completion {name}" in script
    said = subprocess.run([place / "bin/docker", "--version"], capture_output=True, text=True, check=True).stdout
    assert said == f"Docker version {DOCKERS}, build tinybox-{__version__}\n"
    assert FACTS["version"] == DOCKERS
    assert done(place, "install", str(BIN), "1", first=place / "bin").returncode == 0  # once more
    assert done(place, "uninstall").returncode == 0
    assert files(place) == set()


def test_another_docker_stays(tmp_path: Path) -> None:
    """Where a docker is, nothing is installed, and one line says so; `uninstall` leaves that docker alone."""
    other = tmp_path / "other/docker"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    place = tmp_path / "place"
    refused = done(place, "install", str(BIN), "1", first=other.parent)
    assert (refused.returncode, files(place)) == (1, set())
    assert refused.stderr == f"set-up: {other} is there already: remove that docker first, or leave DOCKER=1 out\n"
    (place / "bin").mkdir(parents=True)
    (place / "bin/docker").write_text("#!/bin/sh\n")
    assert done(place, "install", str(BIN), "1").returncode == 1  # it is there, but not on the PATH
    assert done(place, "uninstall").returncode == 0
    assert files(place) == {"bin/docker"}
