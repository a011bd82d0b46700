"""`tinybox build` makes the files and the config that buildah makes of the same Containerfile.

A case is a directory below cases/: a Containerfile and the files of its context. It may also have

    options       words for the command line of both programs
    context.sh    a script that adds files which git cannot keep; it runs with sh in a copy of the directory
    differences   what is different, and why: one line each, ``config KEY: reason`` or ``file PATH: reason``
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.image_trees import Contents, read

if TYPE_CHECKING:
    from tests.build.conftest import Buildah
    from tests.conftest import Command

pytestmark = pytest.mark.root

CASES = Path(__file__).with_name("cases")
HELPERS = ("context.sh", "options", "differences")
KEYS = "Env Cmd Entrypoint User WorkingDir ExposedPorts Volumes Labels StopSignal Healthcheck OnBuild Shell".split()
# Files that were only mount points: buildah leaves them, docker and tinybox do not.
PLACEHOLDERS = {"etc/hosts", "etc/hostname", "etc/resolv.conf", "proc", "sys", "dev", "run/.containerenv"}


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_the_image_is_that_of_buildah(case: str, built: Command, buildah: Buildah, tmp_path: Path) -> None:
    """Tree (types, modes, owners, links, attributes, content, times that were taken over) and config are the same."""
    context, now = tmp_path / "context", time.time()
    shutil.copytree(CASES / case, context, symlinks=True)
    if (context / "context.sh").exists():
        subprocess.run(["sh", "-e", "context.sh"], cwd=context, check=True, timeout=60)
    options = shlex.split(_text(context / "options"))
    known = _differences(_text(context / "differences"))
    for name in HELPERS:
        (context / name).unlink(missing_ok=True)
    done = built("build", "-t", "case", *options, str(context))
    assert done.returncode == 0, done.stderr
    assert built("save", "-o", str(tmp_path / "ours.tar"), "case").returncode == 0
    buildah.build(context, tmp_path / "theirs.tar", *options)
    found = differences(read(tmp_path / "ours.tar", now), read(tmp_path / "theirs.tar", now))
    assert {key: value for key, value in found.items() if key not in known} == {}
    assert set(known) <= set(found), "a difference that is listed is there no more"


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _differences(text: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in text.splitlines() if line)


def differences(ours: Contents, theirs: Contents) -> dict[str, Any]:
    """Return each difference with both sides, by ``config KEY`` or ``file PATH``."""
    found: dict[str, Any] = {}
    for key in KEYS:
        pair = (_normal(key, ours.config.get(key)), _normal(key, theirs.config.get(key)))
        if pair[0] != pair[1]:
            found[f"config {key}"] = pair
    for key, value in ours.about.items():
        if value != theirs.about[key]:
            found[f"about {key}"] = (value, theirs.about[key])
    for path in sorted(ours.files.keys() | theirs.files.keys()):
        own, other = ours.files.get(path), theirs.files.get(path)
        if path == "etc" and own and other:  # buildah has made its mount points in it
            own, other = own._replace(time=0), other._replace(time=0)
        if own != other and not (path in PLACEHOLDERS and own is None):
            found[f"file {path}"] = (own, other)
    if ours.same != theirs.same:
        found["hard links"] = (ours.same - theirs.same, theirs.same - ours.same)
    return found


def _normal(key: str, value: Any) -> Any:
    if key == "Labels" and value:
        value = {name: text for name, text in value.items() if name != "io.buildah.version"}
    if key == "Env" and value:
        value = sorted(value)  # buildah moves a variable that is set again to the end, docker does not
    return value or None


def test_a_difference_is_seen(built: Command, buildah: Buildah, tmp_path: Path) -> None:
    """The control: another mode, another content, a file that is missing, and another command are found."""
    now = time.time()
    for name, text in (("a", "RUN echo 1 > /x; touch /y; chmod 600 /y\nCMD a"), ("b", "RUN echo 2 > /x; touch /y /z")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Containerfile").write_text(f"FROM busybox\n{text}\n")
    assert built("build", "-t", "case", str(tmp_path / "a")).returncode == 0
    assert built("save", "-o", str(tmp_path / "ours.tar"), "case").returncode == 0
    buildah.build(tmp_path / "b", tmp_path / "theirs.tar")
    found = differences(read(tmp_path / "ours.tar", now), read(tmp_path / "theirs.tar", now))
    assert {"config Cmd", "file x", "file y", "file z"} <= set(found)
