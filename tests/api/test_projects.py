"""Compose projects as Python objects: up, looked at, and down."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

import tinybox
from tests.support.boxes import new_name
from tinybox.errors import StateError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.slow]

TEXT = """
services:
  web:
    image: busybox
    network_mode: none
    command: [sh, -c, "echo hello; exec sleep 1000"]
    stop_grace_period: 0s
    volumes: ["data:/data"]
  job: {image: busybox, network_mode: none, command: [sh, -c, "echo done; exit 3"], depends_on: [web]}
volumes: {data: {}}
"""


def test_a_project_from_up_to_down(tmp_path: Path) -> None:
    """Its boxes, its output, a program in it; a second `up` keeps them; `with` removes what the first `up` made."""
    file, name = tmp_path / "compose.yaml", new_name()
    file.write_text(TEXT)
    with tinybox.Project(str(file), name=name) as project:
        assert (str(project), project.services, project.ps(all=True)) == (name, ["web", "job"], [])
        project.up()
        web = project.container("web")
        assert project.container("job").wait() == 3
        assert [box.id for box in project.ps()] == [web.id]
        assert len(project.ps(all=True)) == 2
        assert {name: entry.data for name, entry in project.logs()} == {"web-1": b"hello\n", "job-1": b"done\n"}
        assert project.exec("web", "cat", input=b"in").stdout == b"in"
        with tinybox.Project(name=name) as same:  # without a file, and not its own: it stays
            assert len(same.ps(all=True)) == 2
            same.up()
        project.up("web", scale={"web": 2})
        assert [box.name for box in project.ps("web")] == [f"{name}-web-1", f"{name}-web-2"]
        assert project.container("web").id == web.id
        project.up("web", force_recreate=True)
        assert project.container("web").id != web.id
        assert f"{name}_data" in [volume.name for volume in tinybox.Volume.list()]
    assert tinybox.Project(name=name).ps(all=True) == []
    assert f"{name}_data" not in [volume.name for volume in tinybox.Volume.list()]


def test_a_project_builds_its_images(tmp_path: Path) -> None:
    """`up` builds an image that is missing, and with *build* one that is here; Control: without, it stays as it is."""
    file, name = tmp_path / "compose.yaml", new_name()
    for number, again, said in ((1, False, b"1\n"), (2, False, b"1\n"), (2, True, b"2\n")):
        build = {"dockerfile_inline": f"FROM busybox\nCMD echo {number}\n"}
        service = {"image": name, "network_mode": "none", "build": build}
        file.write_text(json.dumps({"services": {"job": service}}))  # JSON is YAML
        with tinybox.Project(str(file), name=name) as project:
            project.up(build=again)
            job = project.container("job")
            assert job.wait() == 0
            assert [entry.data for entry in job.logs()] == [said]
    tinybox.Image.get(name).remove()


def test_errors_of_projects(tmp_path: Path) -> None:
    """A wrong key names its line; a service that has no box; a service that is not in the file."""
    file = tmp_path / "compose.yaml"
    file.write_text("services:\n  web: {imag: busybox}\n")
    with pytest.raises(UsageError, match=r"compose.yaml:2"):
        tinybox.Project(str(file))
    file.write_text(TEXT)
    project = tinybox.Project(str(file), name=new_name())
    with pytest.raises(StateError, match="has no container"):
        project.container("web")
    with pytest.raises(UsageError, match="no such service"):
        project.up("nobody")


def test_a_project_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """`up` undoes what it has made, and its boxes keep no socket of this process."""
    file, name = tmp_path / "compose.yaml", new_name()
    file.write_text(TEXT.replace('sh, -c, "echo done; exit 3"', "no-such-program"))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with tinybox.Project(str(file), name=name) as project:
            with pytest.raises(tinybox.errors.TinyboxError, match="no-such-program"):
                project.up()
            assert project.ps(all=True) == []
            file.write_text(TEXT)
            good = tinybox.Project(str(file), name=name)
            good.up("web")
            server.close()
            with socket.socket() as again:
                again.bind(("127.0.0.1", port))
                again.listen()
            good.down(volumes=True)
