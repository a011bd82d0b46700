"""`build:` of a compose file: the image of a service is made by a Containerfile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.compose_projects import project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root

TEXT = """\
services:
  web:
    build: {context: web, args: {WORD: one}, target: served}
    network_mode: none
    command: cat /word
  inline:
    build: {dockerfile_inline: "FROM busybox\\nRUN echo inline > /word"}
    image: own:1
    network_mode: none
    command: cat /word
"""
CONTAINERFILE = "FROM busybox AS served\nARG WORD\nCOPY file /file\nRUN echo $WORD > /word\nFROM served\nRUN false\n"


def test_up_builds_a_missing_image(built: Command, tmp_path: Path) -> None:
    """Under the name PROJECT-SERVICE or that of image; a second up builds nothing, with --build it looks again."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "Dockerfile").write_text(CONTAINERFILE)
    (tmp_path / "web" / "file").write_text("1")
    with project(built, tmp_path, TEXT) as shop:
        first = shop.up()
        assert "naming to shop-web:latest" in first
        assert "naming to own:1" in first
        logs = shop("logs", "--no-log-prefix").stdout
        assert sorted(logs.splitlines()) == ["inline", "one"]
        assert "naming to" not in shop.up()
        again = shop.up("--build")
        assert again.count(" CACHED\n") == 3
        (tmp_path / "web" / "file").write_text("2")
        changed = shop.up("--build", "web")
        assert changed.count(" CACHED\n") == 0
        assert "Recreate" in changed


def test_a_build_has_secrets_hosts_and_limits(built: Command, tmp_path: Path) -> None:
    """A secret of a file and one of a variable, a line of /etc/hosts, /dev/shm and a ulimit, in one RUN."""
    text = """\
services:
  web:
    network_mode: none
    command: cat /seen
    build:
      dockerfile_inline: |
        FROM busybox
        RUN --mount=type=secret,id=file --mount=type=secret,id=own cat /run/secrets/file /run/secrets/own > /seen; \\
            grep -o 'other' /etc/hosts >> /seen; \\
            df -k /dev/shm | grep -o ' 1024 ' | head -1 >> /seen; ulimit -n >> /seen
      secrets: [file, {source: word, target: own}]
      extra_hosts: ["other:10.1.2.3"]
      shm_size: 1m
      ulimits: {nofile: 77}
secrets: {file: {file: ./s.txt}, word: {environment: SECRET_OF_BUILD}}
"""
    (tmp_path / "s.txt").write_text("of a file\n")
    (tmp_path / ".env").write_text("SECRET_OF_BUILD=of a variable\n")
    with project(built, tmp_path, text) as shop:
        shop.up()
        seen = shop("logs", "--no-log-prefix").stdout
        assert seen.split() == "of a file of a variableother 1024 77".split()
        assert "of a variable" not in built("history", "--no-trunc", "shop-web").stdout


def test_a_build_has_more_contexts(built: Command, tmp_path: Path) -> None:
    """A directory, an image and the image of another service, which is built before; in FROM, COPY and a mount."""
    text = """\
services:
  web:
    network_mode: none
    command: cat /one /two /three
    build:
      dockerfile_inline: |
        FROM base
        COPY --from=files one /one
        RUN --mount=type=bind,from=files,source=two,target=/m cat /m > /two
        COPY --from=other /etc/passwd /passwd
      additional_contexts: {files: ./more, base: "service:below", other: "docker-image://busybox"}
  below: {build: {dockerfile_inline: "FROM busybox\\nRUN echo 3 > /three"}, profiles: [never]}
"""
    (tmp_path / "more").mkdir()
    (tmp_path / "more/one").write_text("1\n")
    (tmp_path / "more/two").write_text("2\n")
    with project(built, tmp_path, text) as shop:
        shop.up()
        assert shop("logs", "--no-log-prefix").stdout.split() == ["1", "2", "3"]
        again = shop.up("--build")
        assert again.count(" CACHED\n") == 3, again
        (tmp_path / "more/two").write_text("4\n")
        assert shop.up("--build").count(" CACHED\n") == 1
        assert shop("logs", "--no-log-prefix").stdout.split() == ["1", "4", "3"]


def test_compose_build(built: Command, tmp_path: Path) -> None:
    """It builds the images of the services that it is given, with arguments of the command line, and starts nothing."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "Dockerfile").write_text(CONTAINERFILE)
    (tmp_path / "web" / "file").write_text("1")
    with project(built, tmp_path, TEXT) as shop:
        done = shop("build", "-q", "--build-arg", "WORD=two", "web")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert built("run", "--rm", "shop-web", "cat", "/word").stdout == "two\n"
        assert shop.rows() == []
        assert built("images", "-q", "own:1").stdout == ""
        (tmp_path / "web" / "Dockerfile").write_text("FROM busybox AS served\nRUN false\n")
        failed = shop("build", "-q")
        assert failed.returncode == 1
        assert "web/Dockerfile:2: RUN: " in failed.stderr
