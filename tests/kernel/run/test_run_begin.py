"""--cidfile writes the id of a new container to a file; --pull decides when its image is made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import new_name, one_line, output

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root


@pytest.mark.parametrize(
    "words", [("run", "--rm"), ("run", "-d"), ("create",), ("run", "--explain=json", "-o", os.devnull)]
)
def test_the_id_is_written_to_a_file(tinybox: Command, tmp_path: Path, words: tuple[str, ...]) -> None:
    """The file has the 64 digits of the id and nothing else, with each command that makes a container."""
    file, name = tmp_path / "id", new_name()
    done = tinybox(*words, "--cidfile", str(file), "--name", name, "busybox", "true")
    assert done.returncode == 0, done
    written = file.read_text()
    assert len(written) == 64
    if "--rm" not in words:
        shown = tinybox("inspect", "-f", "{{.Id}} {{.HostConfig.ContainerIDFile}}", name).stdout.strip()
        assert shown == f"{written} {file}"
        assert tinybox("rm", "-f", name).returncode == 0
    assert file.exists()  # it outlives the container


def test_without_the_option_there_is_no_file(tinybox: Command) -> None:
    """Control: HostConfig.ContainerIDFile is empty."""
    name = new_name()
    assert tinybox("create", "--name", name, "busybox", "true").returncode == 0
    assert tinybox("inspect", "-f", "[{{.HostConfig.ContainerIDFile}}]", name).stdout == "[]\n"
    assert tinybox("rm", name).returncode == 0


def test_an_existing_file_is_an_error(tinybox: Command, tmp_path: Path) -> None:
    """The error and its status are docker's; no container is made and the file is unchanged. A broken link counts."""
    file, name = tmp_path / "id", new_name()
    file.write_text("mine")
    says = f"container ID file found, make sure the other container isn't running or delete {file}"
    for command in ("run", "create"):
        done = tinybox(command, "--cidfile", str(file), "--name", name, "busybox", "true")
        one_line(done, 125 if command == "run" else 1, says)
    assert file.read_text() == "mine"
    assert name not in tinybox("ps", "-a").stdout
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    one_line(tinybox("run", "--cidfile", str(link), "busybox", "true"), 125, "container ID file found")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--name", "x/y", "busybox"), "is not allowed"),
        (("-m", "1k", "busybox"), "is too little"),
        (("--pull", "never", "nosuch"), "No such image"),
    ],
)
def test_a_failed_command_leaves_no_file(tinybox: Command, tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    """The empty file is removed. Control: a missing program fails after the container was made; the file is kept."""
    file = tmp_path / "id"
    one_line(tinybox("create", "--cidfile", str(file), *words, "true"), 1, says)
    assert not file.exists()
    one_line(tinybox("run", "--rm", "--cidfile", str(file), "busybox", "/nosuch"), 127, "/nosuch")
    assert len(file.read_text()) == 64


def test_a_file_that_cannot_be_made_is_one_line(tinybox: Command, tmp_path: Path) -> None:
    """The folder does not exist; no container is made."""
    one_line(
        tinybox("run", "--cidfile", str(tmp_path / "no/id"), "busybox", "true"), 127, "cannot be made: No such file"
    )


def test_pull_always_makes_the_image_again(tinybox: Command) -> None:
    """It is reported on stderr, and the box runs. Control: with `missing` and `never` nothing is made."""
    done = tinybox("run", "--rm", "--pull", "always", "busybox", "echo", "hi")
    assert (done.returncode, done.stdout) == (0, "hi\n")
    assert "made from host-busybox" in done.stderr
    for words in ((), ("--pull", "missing"), ("--pull", "never")):
        assert output(tinybox, *words, "busybox", "echo", "hi") == "hi\n"


@pytest.mark.parametrize("command", ["run", "create"])
def test_pull_never_makes_nothing(tinybox: Command, command: str) -> None:
    """A missing image is docker's error, although it has a recipe; two other errors follow. Statuses are docker's."""
    failed = 125 if command == "run" else 1
    one_line(tinybox(command, "--pull", "never", "nginx", "true"), failed, "No such image: nginx:latest")
    away = "localhost:1/no-recipe"
    one_line(tinybox(command, "--pull", "always", away, "true"), failed, "registry localhost:1: cannot be reached")
    one_line(tinybox(command, "--pull", "often", "busybox", "true"), 125, "invalid pull option: 'often'")
