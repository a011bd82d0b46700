"""What inspect, events and their like print has docker's types, so that docker's clients can read it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import docker_fields, docker_types
from tests.support.boxes import new_name, until
from tests.support.detached_boxes import FOREVER, Life, kill_and_wait, life, stdout_of
from tests.support.docker_types import ZERO, misfits

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

EVERYTHING = (
    *("-v", "/usr:/u:ro", "-v", "/anonymous", "--mount", "type=tmpfs,dst=/m,tmpfs-size=1m,tmpfs-mode=1770"),
    *("--tmpfs", "/t:size=1m", "--cap-add", "net_admin", "--cap-drop", "MKNOD", "--device", "/dev/zero:/dev/z:r"),
    *("--ulimit", "nofile=100:200", "--group-add", "7", "--restart", "on-failure:3", "--log-opt", "max-size=1m"),
    *("--cpus", "0.5", "-m", "64m", "--pids-limit", "20", "-e", "A=b", "-l", "x=y", "--stop-timeout", "3"),
    *("--oom-score-adj", "5", "--sysctl", "net.core.somaxconn=5", "--expose", "80", "-h", "a.example.org"),
    *("--health-cmd", "true", "--health-interval", "200ms", "--security-opt", "no-new-privileges"),
)

PRINTED = {
    **{words: words.split() for words in ("ps", "images", "network ls", "volume ls", "system df", "system df -v")},
    **{words: words.split() for words in ("info", "version")},
    "history": ["history", "busybox"],
    "stats": ["stats", "--no-stream"],
}


def inspected(box: Life) -> dict[str, Any]:
    """Return what `inspect` prints of a container; all of it must have docker's types."""
    [known] = json.loads(stdout_of(box.tinybox, "inspect", box.name))
    assert misfits(known, docker_types.CONTAINER) == []
    assert docker_fields.differences(known, "ContainerInspectResponse") == []
    found: dict[str, Any] = known
    return found


def test_the_reader_is_strict() -> None:
    """Control: an integer as a time, a missing key, null in a list's place and text for a number are each named."""
    state: dict[str, Any] = {
        **dict.fromkeys(docker_types.STATE, False),
        "Status": "x",
        "Error": "",
        "Pid": "1",
        "ExitCode": None,
    }
    state |= {"StartedAt": 5, "FinishedAt": ZERO, "Health?": None, "Health": {"Status": "x", "FailingStreak": 0}}
    state["Health"]["Log"] = [{"Start": 1, "End": ZERO, "ExitCode": 0}]
    wrong = misfits(state, docker_types.STATE)
    assert [line.partition(":")[0] for line in wrong] == [
        ".Pid", ".ExitCode", ".StartedAt", ".Health.Log[0].Start", ".Health.Log[0].Output",
    ]  # fmt: skip


def test_the_fields_are_compared() -> None:
    """Control: a field that is missing, of another type, or null where docker has a text is found, at any depth."""
    volume = {"Name": "a", "Driver": "local", "Mountpoint": None, "CreatedAt": 5, "Labels": {"a": 1}, "Scope": "local"}
    assert docker_fields.differences(volume, "Volume") == [
        ".Mountpoint: is null", ".CreatedAt: 5 is no text", ".Labels.a: 1 is no text", ".Options: is missing",
    ]  # fmt: skip
    box = {"Mounts": [{"Type": "bind"}]}
    assert ".Mounts[0].Source: is missing" in docker_fields.differences(box, "ContainerInspectResponse")
    assert docker_fields.printed([], "ps") == [": [] is no object"]


def test_a_box_from_its_birth_to_its_end(tinybox: Command) -> None:
    """A box with all kinds of options and a health check: created, running, and after its end."""
    with life(tinybox, *EVERYTHING, "busybox", *FOREVER, verb="create") as box:
        known = inspected(box)
        assert (known["State"]["StartedAt"], known["State"]["FinishedAt"]) == (ZERO, ZERO)
        stdout_of(tinybox, "start", box.name)
        until(lambda: box.state["health"]["Log"])
        known = inspected(box)
        log = known["State"]["Health"]["Log"]
        assert known["State"]["StartedAt"] < log[0]["Start"] < log[0]["End"]  # in this format times compare as text
        assert known["State"]["FinishedAt"] == ZERO
        assert known["HostConfig"]["Sysctls"] == {"net.core.somaxconn": "5"}  # not docker's own ones
        assert known["Config"]["Healthcheck"] == {
            "Test": ["CMD-SHELL", "true"], "Interval": 200_000_000, "Timeout": 30_000_000_000, "StartPeriod": 0,
            "StartInterval": 200_000_000, "Retries": 3,
        }  # fmt: skip
        stdout_of(tinybox, "stop", "-t", "1", box.name)
        assert inspected(box)["State"]["FinishedAt"] > known["State"]["StartedAt"]


def test_a_box_whose_end_nobody_saw(tinybox: Command) -> None:
    """Its exit status is docker's 255, and Error says why; a plain box has docker's types, too."""
    with life(tinybox, "busybox", *FOREVER) as box:
        assert inspected(box)["State"].get("Health") is None
        kill_and_wait(box.monitor)
        state = inspected(box)["State"]
        assert (state["ExitCode"], state["Status"]) == (255, "exited")
        assert "unknown" in state["Error"]


def test_a_box_that_cannot_start_and_one_that_is_killed(tinybox: Command) -> None:
    """An error of the start, and a signal."""
    name = new_name()
    assert tinybox("run", "-d", "--name", name, "busybox", "/nothing").returncode == 127
    assert inspected(Life(tinybox, name))["State"]["ExitCode"] == 127
    tinybox("rm", name)
    with life(tinybox, "busybox", *FOREVER) as box:
        os.kill(box.pid, signal.SIGKILL)
        box.ended()
        assert inspected(box)["State"]["ExitCode"] == 137


def test_networks_volumes_images_and_events(tinybox: Command) -> None:
    """`inspect` of each, with a box in the network; `events --format json`; and the times in `images --format json`."""
    name = new_name()
    stdout_of(tinybox, "network", "create", "--label", "a=b", name)
    stdout_of(tinybox, "volume", "create", "--label", "a=b", name)
    words = ("--network", name, "--network-alias", "db", "-p", "127.0.0.1::80/udp", "-v", f"{name}:/v")
    try:
        with life(tinybox, *words, "busybox", *FOREVER) as box:
            inspected(box)
            for network in (name, "bridge", "host", "none"):
                [known] = json.loads(stdout_of(tinybox, "network", "inspect", network))
                assert misfits(known, docker_types.NETWORK) == []
                assert docker_fields.differences(known, "NetworkInspect") == []
            [known] = json.loads(stdout_of(tinybox, "volume", "inspect", name))
            assert misfits(known, docker_types.VOLUME) == []
            assert docker_fields.differences(known, "Volume") == []
            [known] = json.loads(stdout_of(tinybox, "inspect", "busybox"))
            assert misfits(known, docker_types.IMAGE) == []
            assert docker_fields.differences(known, "ImageInspect") == []
            for command, line in PRINTED.items():
                first = stdout_of(tinybox, *line, "--format", "json").splitlines()[0]
                assert docker_fields.printed(json.loads(first), command) == [], command
        told = stdout_of(tinybox, "events", "--since", "1m", "--until", "0s", "--format", "json").splitlines()
        assert [line for event in map(json.loads, told) for line in misfits(event, docker_types.EVENT)] == []
        assert told
        assert docker_fields.differences(json.loads(told[0]), "EventMessage") == []
        image = json.loads(stdout_of(tinybox, "images", "--format", "json", "busybox"))
        assert image["CreatedAt"].endswith(" +0000 UTC")
    finally:
        tinybox("network", "rm", name)
        tinybox("volume", "rm", name)


def test_a_date_of_an_image_s_maker(tinybox: Command) -> None:
    """A date in an image's config that is no date becomes docker's zero time."""
    name = new_name()
    with life(tinybox, "busybox", "true", verb="create") as box:
        assert tinybox("commit", box.name, name).returncode == 0
    try:
        [known] = json.loads(stdout_of(tinybox, "inspect", name))
        record = Path(tinybox.root, "images", known["Id"].removeprefix("sha256:"))
        paths = [
            path for path in ([record] if record.is_file() else record.iterdir()) if b'"created"' in path.read_bytes()
        ]
        assert paths
        for path in paths:
            text = json.loads(path.read_text())
            path.write_text(json.dumps({**text, "created": "yesterday"}))
        [known] = json.loads(stdout_of(tinybox, "inspect", name))
        assert known["Created"] == ZERO
    finally:
        tinybox("rmi", name)
