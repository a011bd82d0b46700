"""Debian's docker-compose on a dockerd with tinybox as a runtime: each command does the same as with runc."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.docker_engines import PROGRAMS, Docker, dockerd, give_image
from tests.support.engine_directories import quarters
from tinybox.images.store import Store
from tinybox.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.slow]

SERVICES = """\
version: "2.4"
services:
  store:
    image: busybox
    runtime: RUNTIME
    network_mode: none
    command: [sh, -c, "trap 'exit 3' TERM; echo up; touch /data/ready; sleep 1000 & wait"]
    volumes: [data:/data]
    healthcheck: {test: [CMD, test, -e, /data/ready], interval: 300ms, retries: 100}
  web:
    image: busybox
    runtime: RUNTIME
    network_mode: host
    depends_on: {store: {condition: service_healthy}}
    environment: {GREETING: hello}
    command: [sh, -c, "trap 'exit 4' TERM; echo $$GREETING; ls /data; sleep 1000 & wait"]
    volumes: ["data:/data:ro"]
    mem_limit: 32m
    pids_limit: 20
    cap_drop: [ALL]
volumes: {data: {}}
"""
COMMANDS = """
up -d --scale web=2
ps
exec -T web sh -c "id -u; ls /sys/class/net | grep -c lo; grep CapEff /proc/self/status; touch /data/mine; exit 9"
logs --no-color store
up -d --scale web=1
kill -s TERM web
ps
restart -t 5 web
exec -T -u 7 web id -u
stop -t 5
ps
down -v -t 5
""".strip().splitlines()


@pytest.fixture(scope="module")
def docker(store_root: Path) -> Iterator[Docker]:
    """Give docker's command with the image busybox."""
    with quarters(*PROGRAMS, "docker-compose") as place, dockerd(place, default="tinybox") as docker:
        give_image(docker, Store(str(store_root)).image("busybox").layers)
        yield docker


def results(docker: Docker, runtime: str) -> list[tuple[str, int, str]]:
    """Run all commands in a project whose services have this *runtime*; return the status and output of each."""
    folder = docker.place.folder / "project"
    folder.mkdir()
    (folder / "docker-compose.yml").write_text(SERVICES.replace("RUNTIME", runtime))
    compose = ["docker-compose", "-H", f"unix://{docker.socket}", "--project-directory", str(folder)]
    compose += ["-f", str(folder / "docker-compose.yml")]
    found = []
    for line in COMMANDS:
        done = docker.place(*compose, *shlex.split(line))
        found.append((line, done.returncode, done.stdout))
        if line == COMMANDS[0]:
            running = docker.says("inspect", "-f", "{{.HostConfig.Runtime}}", *docker.says("ps", "-q").split())
            assert running.split() == [runtime] * 3
    shutil.rmtree(folder)
    return found


def test_compose_does_the_same(docker: Docker) -> None:
    """Up, scale, ps, exec, logs, kill, restart, stop and down of two services: the same with runc and with tinybox."""
    theirs, ours = results(docker, "runc"), results(docker, "tinybox")
    assert ours == theirs
    assert [status for _, status, _ in theirs].count(0) == len(COMMANDS) - 1  # the control
    said = "\n".join(text for _, _, text in theirs)
    wanted = ("Up (healthy)", "project_web_2", "store_1  | up", "CapEff:\t0000000000000000", "Exit 4", "Exit 3")
    assert [word for word in wanted if word not in said] == []
    assert docker.says("ps", "-aq") == docker.says("volume", "ls", "-q") == ""


def test_info_names_the_version_of_the_default_runtime(docker: Docker) -> None:
    """`docker info` shows the commit that `tinybox-oci --version` prints, not "N/A"."""
    assert docker.says("info", "-f", "{{.DefaultRuntime}} {{.RuncCommit.ID}}") == f"tinybox {__version__}"
