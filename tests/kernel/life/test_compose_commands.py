"""Compose's commands and options, each on a project that is up."""

from __future__ import annotations

import json
import signal
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import PATIENCE, one_line, patience, until
from tests.support.compose_projects import Project, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root

TWO = """
services:
  web: {<<: *stays, environment: {NAME: web}, depends_on: [db], volumes: ["data:/data", /own]}
  db: {<<: *stays, environment: {NAME: db}}
  job: {<<: *stays, profiles: [extra], command: echo job}
volumes: {data: }
"""


@pytest.fixture
def shop(tinybox: Command, tmp_path: Path) -> Iterator[Project]:
    """Give a project that is up: the services web and db run, and job is in a profile."""
    with project(tinybox, tmp_path, TWO) as made:
        made.up()
        yield made


def names(shop: Project) -> set[str]:
    """Return the names of all containers of the project."""
    return {row["Name"] for row in shop.rows()}


def test_services_are_scaled(shop: Project) -> None:
    """`scale` and `up --scale` make NAME-2, remove it again, and leave the others; --index chooses among them."""
    first = shop.life("db").id
    assert shop("scale", "--no-deps", "db=3").returncode == 0
    assert names(shop) == {"shop-web-1", "shop-db-1", "shop-db-2", "shop-db-3"}
    done = shop("exec", "-T", "--index", "3", "db", "hostname")
    assert done.stdout.strip() == next(row["ID"] for row in shop.rows() if row["Name"] == "shop-db-3")[:12]
    one_line(shop("exec", "-T", "--index", "4", "db", "true"), 1, "has no container 4")
    until(lambda: shop("logs", "--index", "2", "db").stdout == "db-2  | hello from db\n")
    assert shop("ps", "--services").stdout == "db\nweb\n"
    assert shop("rm", "-fs", "db").returncode == 0
    said = shop.up("--scale", "db=2")  # the numbers begin at 1 again
    assert names(shop) == {"shop-web-1", "shop-db-1", "shop-db-2"}, said
    assert shop.life("db").id != first
    one_line(shop("up", "-d", "--scale", "db"), 1, "scale db: is not SERVICE=NUMBER")
    shop.up()  # the file says one
    assert names(shop) == {"shop-web-1", "shop-db-1"}


def test_run_is_a_box_of_its_own_with_the_options_of_the_service(shop: Project, tmp_path: Path) -> None:
    """It has the variables and volumes of the service; its status is the program's; `rm` and `ps -a` know it."""
    (tmp_path / "vars").write_text("FROM_FILE=f\n")
    done = shop("run", "--rm", "-T", "-e", "MORE=m", "--env-from-file", str(tmp_path / "vars"), "-l", "a=b",
                "-v", f"{tmp_path}:/given:ro", "-w", "/given", "-u", "7", "web",
                "sh", "-c", "echo $NAME $MORE $FROM_FILE; pwd; id -u; ls -d /data; exit 4")  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (4, ["web", "m", "f", "/given", "7", "/data"]), done
    assert shop("run", "-T", "--entrypoint", "echo -n", "web", "word").stdout == "word"
    assert shop("run", "--name", "shop-own", "-d", "web").returncode == 0
    one_offs = names(shop) - {"shop-web-1", "shop-db-1"}
    assert len(one_offs) == 2
    assert all(name.startswith("shop-web-run-") for name in one_offs - {"shop-own"})
    assert "shop-own" not in shop("ps", "-q").stdout  # without -a, they are not shown
    assert shop("exec", "-T", "web", "hostname").stdout.strip() == shop.life("web").id[:12]
    assert shop("run", "-T", "job").stdout == "job\n"  # the profile is on for a service that is named
    one_line(shop("run", "-T", "--rm", "--no-deps", "web", "no-such-program"), 127, "no-such-program")
    one_line(shop("run", "wbe", "true"), 1, "service wbe", "no such service")
    assert shop("kill").returncode == 0  # the containers of `run` go on
    assert {row["Name"]: row["State"] for row in shop.rows()}["shop-own"] == "running"
    assert shop("rm", "-fv").returncode == 0
    assert names(shop) == {"shop-own"}
    assert shop("rm", "-fsv").returncode == 0


def test_run_starts_what_its_service_depends_on(shop: Project) -> None:
    """`db` is started for `web`, unless --no-deps says not to; --quiet prints nothing about it."""
    assert shop("stop", "-t", "5", "db").returncode == 0
    alone = shop("run", "--rm", "-T", "--no-deps", "web", "true")
    assert (alone.returncode, alone.stderr, shop.states()["db"]) == (0, "", "exited")
    quiet = shop("run", "--rm", "-T", "--quiet", "web", "true")
    assert (quiet.returncode, quiet.stderr, shop.states()["db"]) == (0, "", "running"), quiet


def test_containers_rest_and_go_on(shop: Project) -> None:
    """`pause`, `unpause`, `kill` and `wait` act on the services named, or on all; `ps` filters by the state."""
    assert shop("pause", "db").returncode == 0
    assert shop("ps", "--filter", "status=paused", "--services").stdout == "db\n"
    assert shop("ps", "--status", "running", "--status", "paused", "-q").stdout.count("\n") == 2
    one_line(shop("ps", "--status", "asleep"), 1, "is no state")
    assert shop("unpause").returncode == 0
    with shop.tinybox.start(*shop.words("wait", "web")) as process:
        until(lambda: shop("kill", "-s", "TERM", "web").returncode == 0 and shop.states()["web"] == "exited")
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 7, out
    assert out.endswith("exited with status code 7\n")
    started = shop("start", "--wait", "web")
    assert (started.returncode, shop.states()["web"]) == (0, "running"), started


def test_a_dry_run_changes_nothing_and_tells_everything(shop: Project) -> None:
    """--dry-run, before or after the command, prints what the command then does; afterwards all is as before."""
    before = {row["Name"]: row["ID"] for row in shop.rows()}
    for line in ("--dry-run up --force-recreate", "up --dry-run", "down --dry-run", "stop --dry-run", "kill --dry-run",
                 "rm -fs --dry-run", "pause --dry-run", "run --dry-run web true",
                 "exec --dry-run web true"):  # fmt: skip
        done = shop(*line.split())
        assert (done.returncode, done.stdout) == (0, ""), done
        assert all(each.startswith(" DRY-RUN MODE - ") for each in done.stderr.splitlines()), done.stderr
        assert "Container shop-web-" in done.stderr
    assert " DRY-RUN MODE - Container shop-db-2  Created\n" in shop("up", "--dry-run", "--scale", "db=2").stderr
    assert {row["Name"]: row["ID"] for row in shop.rows()} == before
    assert set(shop.states().values()) == {"running"}


def test_up_recreates_what_it_is_told_to(shop: Project) -> None:
    """--force-recreate only the services named, --always-recreate-deps also those below; --no-recreate none; -V."""

    def ids(*words: str) -> dict[str, str]:
        shop.up(*words)
        return {name: shop.life(name).id for name in ("web", "db")}

    before = ids()
    shop.life("web").inside("echo kept > /own/file")
    one = ids("--force-recreate", "web")
    assert (one["web"] != before["web"], one["db"] == before["db"]) == (True, True)
    assert shop.life("web").inside("cat /own/file") == "kept"
    both = ids("--force-recreate", "-V", "--always-recreate-deps", "web")
    assert (both["web"] != one["web"], both["db"] != one["db"]) == (True, True)
    assert shop.life("web").inside("ls /own") == ""
    assert len(shop.tinybox("volume", "prune", "-fa").stdout.splitlines()) > 1  # the former one is kept, as in docker
    shop.write(TWO.replace("NAME: web", "NAME: other"))
    assert ids("--no-recreate") == both
    alone = ids("--no-deps", "web")
    assert (alone["web"] != both["web"], alone["db"] == both["db"]) == (True, True)
    one_line(shop("up", "-d", "--abort-on-container-exit"), 1, "conflicts with")


def test_files_go_in_and_out(shop: Project, tmp_path: Path) -> None:
    """`cp` copies into each box of a service and out of one; `export` and `commit` take one, too."""
    (tmp_path / "in").write_text("word")
    assert shop("scale", "--no-deps", "db=2").returncode == 0
    assert shop("cp", str(tmp_path / "in"), "db:/in").returncode == 0
    assert shop("exec", "-T", "--index", "2", "db", "cat", "/in").stdout == "word"
    assert shop("cp", "db:/in", str(tmp_path / "out")).returncode == 0
    assert (tmp_path / "out").read_text() == "word"
    one_line(shop("cp", str(tmp_path / "in"), str(tmp_path / "other")), 1, "exactly one side must be a service")
    assert shop("export", "-o", str(tmp_path / "db.tar"), "db").returncode == 0
    with tarfile.open(tmp_path / "db.tar") as archive:
        assert {"in", "./in"} & set(archive.getnames())
    assert shop("commit", "--index", "2", "db", "kept:1").stdout.startswith("sha256:")
    assert shop.tinybox("run", "--rm", "kept:1", "cat", "/in").stdout == "word"
    assert shop.tinybox("rmi", "kept:1").returncode == 0


def test_a_project_is_seen_in_dockers_formats(shop: Project) -> None:
    """`ls`, `images`, `volumes`, `top`, `stats` and `events` print docker compose's columns and JSON."""
    rows = json.loads(shop.tinybox("compose", "ls", "--format", "json").stdout)
    assert {"Name": "shop", "Status": "running(2)", "ConfigFiles": str(shop.file)} in rows
    assert shop.tinybox("compose", "ls", "--filter", "name=^no", "-q").stdout == ""
    used = json.loads(shop("images", "--format", "json").stdout)
    assert [(row["ContainerName"], row["Repository"], row["Tag"]) for row in used] == [
        ("shop-db-1", "busybox", "latest"), ("shop-web-1", "busybox", "latest")]  # fmt: skip
    assert shop("images", "-q").stdout == f"{used[0]['ID'].removeprefix('sha256:')}\n"
    assert shop("volumes", "-q").stdout == shop("volumes", "-q", "web").stdout == "shop_data\n"
    assert shop("volumes", "-q", "db").stdout == ""
    assert [line.split()[:2] for line in shop("top", "web").stdout.splitlines()][:2] == [["SERVICE", "#"], ["web", "1"]]
    shown = shop("stats", "--no-stream", "--format", "{{.Name}}", "db").stdout
    assert shown == "shop-db-1\n"
    since = str(time.time())
    assert shop("restart", "-t", "5", "db").returncode == 0
    told = [
        json.loads(line) for line in shop("events", "--json", "--since", since, "--until", "0s").stdout.splitlines()
    ]
    assert {(event["service"], event["action"]) for event in told} >= {("db", "die"), ("db", "start")}
    assert told[0]["attributes"]["name"] == "shop-db-1"
    assert shop("events", "--since", since, "--until", "0s", "web").stdout == ""


def test_logs_have_times_limits_and_colours(shop: Project) -> None:
    """--since and --until limit the output; names have colours with --ansi always, and none in a pipe."""
    until(lambda: "hello" in shop("logs", "web").stdout)
    assert shop("logs", "--since", "0s", "web").stdout == ""
    assert shop("logs", "--until", "24h", "web").stdout == ""
    assert "hello from web" in shop("logs", "--since", "24h", "web").stdout
    assert "\033" not in shop("logs").stdout
    coloured = shop.tinybox("compose", "--ansi", "always", "-f", str(shop.file), "-p", "shop", "logs", "web").stdout
    assert coloured.startswith("\033[36mweb-1  | \033[0mhello from web")
    assert "\033" not in shop("logs", "--no-color").stdout


def test_in_the_foreground_the_shown_services_are_chosen(shop: Project) -> None:
    """--no-attach hides a service, which is stopped like the others; --timestamps and --no-log-prefix change lines."""
    shop("stop", "-t", "5")
    with shop.tinybox.start(*shop.words("up", "--no-attach", "db", "--no-log-prefix", "--timestamps")) as process:
        assert process.stdout is not None
        with patience(PATIENCE):
            line = process.stdout.readline()
        when, _, rest = line.partition(" ")
        assert (when[4], rest) == ("-", "hello from web\n")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
        assert "hello from db" not in out
    assert set(shop.states().values()) == {"exited"}


def test_one_end_can_be_the_end_of_all(tinybox: Command, tmp_path: Path) -> None:
    """With --abort-on-container-failure a status of 0 ends nothing else, and another one is the status of `up`."""
    text = """
services:
  web: {<<: *stays}
  good: {<<: *stays, command: "true"}
  bad: {<<: *stays, command: [sh, -c, "sleep 2; exit 6"]}
"""
    with project(tinybox, tmp_path, text, "ends") as ends:
        assert ends("up", "--no-start").returncode == 0
        assert set(ends.states().values()) == {"created"}
        done = ends("up", "--abort-on-container-failure", "-t", "5")
        assert done.returncode == 6, done
        assert "web-1   | bye" in done.stdout
        assert set(ends.states().values()) == {"exited"}
        assert ends("up", "--abort-on-container-exit", "-t", "5", "good", "web").returncode == 0
        removed = ends("down", "--rmi", "all", "good")
        assert removed.returncode == 0
        assert set(ends.states()) == {"web", "bad"}
        assert "Image busybox  stays: " in removed.stderr


def test_watch_brings_changes_into_a_running_box(tinybox: Command, tmp_path: Path) -> None:
    """A file that is written or removed below a path of `sync` is so in the box, too; an ignored one is not."""
    rule = "{path: ./src, action: sync, target: /app, ignore: ['*.tmp']}"
    (tmp_path / "src").mkdir()
    (tmp_path / "src/old").write_text("one")
    text = f"services: {{web: {{<<: *stays, develop: {{watch: [{rule}]}}}}, db: {{<<: *stays}}}}\n"
    with project(tinybox, tmp_path, text) as shop:
        one_line(shop("watch", "db"), 1, "no service has the key develop")
        with tinybox.start(*shop.words("watch", "web")) as process:
            assert process.stderr is not None
            with patience(PATIENCE):
                while process.stderr.readline() != "Watch enabled\n":
                    pass
            (tmp_path / "src/skip.tmp").write_text("no")
            (tmp_path / "src/below").mkdir()
            (tmp_path / "src/below/new").write_text("two")
            (tmp_path / "src/old").write_text("three")
            box = shop.life("web")
            until(lambda: box.inside("cat /app/old /app/below/new 2>&1 || true") == "threetwo")
            assert box.inside("ls /app") == "below\nold"
            (tmp_path / "src/old").unlink()
            until(lambda: box.inside("ls /app") == "below")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)
            assert process.returncode == 130
        assert shop.states()["web"] == "running"
