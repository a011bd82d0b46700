"""`tinybox events` shows what happened to containers, networks, volumes and images, with docker's words and fields."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import image_archives as tar
from tests.support.boxes import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

LIFE = """
volume create
network create
container create
network connect
volume mount
container start
container exec_create: sh -c exit 3
container exec_start: sh -c exit 3
container exec_die
container exec_create: true
container exec_start: true
container archive-path
container extract-to-dir
container export
container top
container pause
container unpause
container rename
container kill
container die
network disconnect
volume unmount
container stop
network connect
volume mount
container start
container restart
container kill
container die
network disconnect
volume unmount
container destroy
network destroy
volume destroy
"""


def told(tinybox: Command, since: float, *words: str) -> list[dict[str, Any]]:
    """Return the events since then that match, from `events --format json`."""
    shown = tinybox("events", "--since", f"{since:.9f}", "--until", "0s", "--format", "json", *words)
    assert (shown.returncode, shown.stderr) == (0, "")
    return [json.loads(line) for line in shown.stdout.splitlines()]


def done(tinybox: Command, *lines: str) -> None:
    """Carry out command lines, each of which must succeed."""
    for line in lines:
        assert tinybox(*line.split()).returncode == 0, line


@pytest.mark.root
def test_events_of_a_life(tinybox: Command, tmp_path: Path) -> None:
    """All that happens to a box, its network and its volume is told, in docker's order, with docker's attributes.

    Events can be chosen by each key: alternatives of one key, and several keys together. Text has docker's form.
    """
    (tmp_path / "file").touch()
    box, network, volume, begun = "told", f"toldnet{os.getpid()}", "toldvolume", time.time()
    try:
        done(tinybox, f"volume create {volume}", f"network create {network}",
             f"run -d --name {box} --label kind=a --label x --network {network} -v {volume}:/data "
             "busybox sleep 100")  # fmt: skip
        [container] = tinybox("inspect", "-f", "{{.Id}}", box).stdout.split()
        assert tinybox("exec", box, "sh", "-c", "exit 3").returncode == 3
        done(tinybox, f"exec -d {box} true", f"cp {box}:/etc/hostname {tmp_path}/copy", f"cp {tmp_path}/file {box}:/",
             f"export -o {tmp_path}/tar {box}", f"top {box}", f"pause {box}", f"unpause {box}", f"rename {box} {box}2",
             f"restart -s KILL {box}2", f"rm -f {box}2", f"network rm {network}", f"volume rm {volume}")  # fmt: skip
    finally:
        tinybox("rm", "-f", box, f"{box}2")
        tinybox("network", "rm", network)
        tinybox("volume", "rm", volume)
    found = told(tinybox, begun)
    assert [f"{each['Type']} {each['Action']}" for each in found] == LIFE.split("\n")[1:-1]
    by_name = {f"{each['Type']} {each['Action']}": each for each in found}

    def known(what: str) -> dict[str, str]:
        attributes: dict[str, str] = by_name[what]["Actor"]["Attributes"]
        return attributes

    image = "busybox"
    own = {"image": image, "name": f"{box}2", "kind": "a", "x": ""}
    start = by_name["container start"]
    assert (start["status"], start["id"], start["from"], start["scope"]) == ("start", container, image, "local")
    assert (start["Actor"]["ID"], start["time"]) == (container, start["timeNano"] // 10**9)
    assert known("container destroy") == own
    assert known("container die") == {**own, "exitCode": "137", "execDuration": "0"}
    assert (known("container kill")["signal"], known("container rename")["oldName"]) == ("9", f"/{box}")
    assert (known("container exec_die")["exitCode"], len(known("container exec_die")["execID"])) == ("3", 64)
    assert known("network connect") == {"container": container, "name": network, "type": "bridge"}
    assert known("network create") == {"name": network, "type": "bridge"}
    assert known("volume mount") == {"container": container, "destination": "/data", "driver": "local",
                                     "propagation": "", "read/write": "true"}  # fmt: skip
    assert by_name["volume destroy"]["Actor"] == {"ID": volume, "Attributes": {"driver": "local"}}
    assert "status" not in by_name["volume destroy"]
    choices = {
        "type=volume": 6,
        "type=volume type=network": 12,
        f"volume={volume} event=mount": 2,
        f"network={network[:6]}": 6,
        "label=kind=a label=x event=die": 2,
        "label=kind=b": 0,
        "event=exec_create event=exec_die": 3,
        "scope=local event=top": 1,
        f"container={box}": 22,
        f"container={container[:12]}": len(found) - 4,
    }
    for words, count in choices.items():
        filters = [part for word in words.split() for part in ("--filter", word)]
        assert len(told(tinybox, begun, *filters)) == count, words
    line = tinybox("events", "--since", f"{begun:.9f}", "--until", "0s", "--filter", "event=destroy").stdout
    assert f" volume destroy {volume} (driver=local)\n" in line
    one_line(tinybox("events", "--filter", "colour=red"), 1, "invalid filter 'colour'")


@pytest.mark.root
def test_events_of_images(tinybox: Command, tmp_path: Path) -> None:
    """import, tag, save, load, untag and delete of an image are told, with its labels, and prune with what it freed."""
    (tmp_path / "x.tar").write_bytes(tar.archive([tar.regular("file", b"x")]))
    done(tinybox, "image prune -f", "builder prune -f")  # what other tests have left
    begun = time.time()
    [image] = tinybox("import", "-c", "LABEL kind=b", str(tmp_path / "x.tar"), "told:1").stdout.split()
    done(tinybox, "tag told:1 told:2", f"save -o {tmp_path}/y.tar told:2", "rmi told:1", "rmi told:2",
         f"load -i {tmp_path}/y.tar", "rmi told:2", "image prune -f", "volume prune -f",
         "builder prune -f")  # fmt: skip
    found = told(tinybox, begun)
    shown = [f"{each['Type']} {each['Action']}" for each in found]
    assert shown == ("image import,image tag,image save,image untag,image untag,image delete,image load,image untag,"
                     "image delete,image prune,volume prune,builder prune").split(",")  # fmt: skip
    assert {each["Actor"]["ID"] for each in found[:9]} == {image}
    assert found[1]["Actor"]["Attributes"] == {"kind": "b", "name": "told:2"}
    assert found[9]["Actor"] == {"ID": "", "Attributes": {"reclaimed": "0"}}
    assert len(told(tinybox, begun, "--filter", "image=told:2")) == 1
    assert len(told(tinybox, begun, "--filter", "label=kind=b", "--filter", "type=image")) == 9


@pytest.mark.root
def test_events_of_a_short_box(tinybox: Command) -> None:
    """`run --rm` in the foreground is attached, as in docker; without a network of its own there is no other event."""
    begun = time.time()
    assert tinybox("run", "--rm", "busybox", "true").returncode == 0
    actions = [each["Action"] for each in told(tinybox, begun)]
    assert actions == ["create", "attach", "start", "die", "destroy"]
