"""Compose's keys on running boxes: secrets, configs, links, hooks, included files."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.support.compose_projects import project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Command
    from tests.support.compose_projects import Project

pytestmark = pytest.mark.root

STAYS = "[sh, -c, \"trap 'exit 0' TERM; while :; do sleep 0.05; done\"]"
TEXT = f"""
include: [part/db.yaml]
services:
  web:
    image: busybox
    command: {STAYS}
    user: "1000"
    secrets: [file, {{source: word, uid: '1000', gid: '8', mode: 0440}}]
    configs: [text, {{source: text, target: /deep/er/c, mode: 0600}}]
    links: ["db:store"]
    volumes: [{{type: bind, source: ./missing, target: /made}}]
    post_start:
      - {{command: [sh, -c, 'echo $$A $$(id -u) >> /tmp/started'], user: root, environment: {{A: b}}}}
      - {{command: [sh, -c, 'echo post-start says']}}
    pre_stop: [{{command: [sh, -c, 'echo pre-stop says; exit $$(cat /tmp/status || echo 0)']}}]
secrets: {{file: {{file: ./f}}, word: {{environment: SECRET_WORD}}}}
configs: {{text: {{content: "hello $SECRET_WORD"}}}}
"""
PART = f"services: {{db: {{image: busybox, command: {STAYS}, label_file: own.labels}}}}\n"


@contextlib.contextmanager
def shop(tinybox: Command, folder: Path) -> Iterator[tuple[Project, str]]:
    """Give the project, which is up, and what `up` has printed."""
    (folder / "part").mkdir()
    (folder / "part/db.yaml").write_text(PART)
    (folder / "part/own.labels").write_text("from.file=yes\n")
    (folder / "f").write_text("of a file")
    (folder / ".env").write_text("SECRET_WORD=swordfish\n")
    with project(tinybox, folder, TEXT, "keyshop") as made:
        yield made, made.up()


def test_files_links_and_included_services(tinybox: Command, tmp_path: Path) -> None:
    """Secrets and configs are files, a link is a name for one box alone, an included file has its own directory."""
    with shop(tinybox, tmp_path) as (made, _):
        web, db = made.life("web"), made.life("db")
        assert web.inside("cat /run/secrets/file /run/secrets/word /text") == "of a fileswordfishhello swordfish"
        assert web.inside("stat -c '%u %g %a %n' /run/secrets/word /text /deep/er/c").splitlines() == [
            "1000 8 440 /run/secrets/word",
            "0 0 444 /text",
            "0 0 600 /deep/er/c",
        ]
        assert web.inside("cat /deep/er/c 2>&1 || true").endswith("Permission denied")
        assert web.inside("echo x 2>&1 > /run/secrets/file || echo refused", "-u", "root").endswith("refused")
        assert "swordfish" not in web.shown("{{json .}}")

        address = db.shown("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
        hosts = [line.split() for line in web.inside("cat /etc/hosts").splitlines()]
        assert ["store" in words for words in hosts if words[:1] == [address]] == [True]
        assert "store" not in db.inside("cat /etc/hosts")
        assert "keyshop-db-1:store" in web.shown("{{json .NetworkSettings.Networks}}")

        assert db.shown('{{index .Config.Labels "from.file"}}') == "yes"
        assert web.inside("test -d /made && echo there") == "there"
        assert (tmp_path / "missing").is_dir()

        first = (web.id, db.id)
        made.up()
        assert (made.life("web").id, made.life("db").id) == first
        (tmp_path / ".env").write_text("SECRET_WORD=trout\n")
        made.up()
        assert made.life("web").id != first[0]
        assert made.life("web").inside("cat /run/secrets/word") == "trout"
        assert made.life("db").id == first[1]


def test_hooks_run_after_the_start_and_before_the_stop(tinybox: Command, tmp_path: Path) -> None:
    """As their user, with their variables, at each start; a failed one is an error, and the box is not stopped."""
    with shop(tinybox, tmp_path) as (made, said):
        assert "post-start says" in said
        web = made.life("web")
        assert web.inside("cat /tmp/started") == "b 0"
        assert "pre-stop says" in made("restart", "-t", "5", "web").stderr
        assert web.inside("cat /tmp/started").splitlines() == ["b 0", "b 0"]
        web.inside("echo 3 > /tmp/status")
        failed = made("stop", "-t", "5", "web")
        assert failed.returncode == 1
        assert "service web" in failed.stderr
        assert "pre_stop hook exited with status 3" in failed.stderr
        assert made.states()["web"] == "running"
        web.inside("rm /tmp/status", "-u", "root")
        assert made("stop", "-t", "5", "web").returncode == 0
        assert made.states()["web"] == "exited"


def test_a_failed_hook_undoes_up(tinybox: Command, tmp_path: Path) -> None:
    """`up` ends with an error that names the service and the hook, and leaves nothing."""
    text = "services: {a: {<<: *stays, post_start: [{command: 'false'}]}}\n"
    with project(tinybox, tmp_path, text, "hookshop") as made:
        done = made("up", "-d")
        assert done.returncode == 1
        assert "post_start hook exited with status 1: false" in done.stderr
        assert made.rows() == []
