"""Malformed images and packets, on real stores and boxes: each error is one line and harms nothing else."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Command
from tests.support.boxes import new_name, one_line, output, state_of
from tests.support.image_archives import archive, regular
from tinybox.container.monitor import attach_protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

LAYER = archive([regular("f", b"content")])
SOUND: dict[str, Any] = {
    "created": "2020-01-01T00:00:00Z",
    "architecture": "amd64",
    "os": "linux",
    "config": {"Cmd": ["sh"], "Labels": {"a": "b"}},
    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(LAYER).hexdigest()}"]},
}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"created": 5}, "created is no text"),
    ({"architecture": [1]}, "architecture is no text"),
    ({"config": 5}, "config is no object"),
    ({"config": {"Cmd": [1]}}, "config.Cmd[0] is no text"),
    ({"config": {"Cmd": "sh -c x"}}, "config.Cmd is no list"),
    ({"config": {"Entrypoint": {"a": 1}}}, "config.Entrypoint is no list"),
    ({"config": {"Env": "A=b"}}, "config.Env is no list"),
    ({"config": {"Env": [None]}}, "config.Env[0] is no text"),
    ({"config": {"Env": ["A=b\0"]}}, "config.Env[0] is no text"),
    ({"config": {"User": 5}}, "config.User is no text"),
    ({"config": {"WorkingDir": ["/"]}}, "config.WorkingDir is no text"),
    ({"config": {"StopSignal": 15}}, "config.StopSignal is no text"),
    ({"config": {"Labels": ["a=b"]}}, "config.Labels is no object"),
    ({"config": {"Labels": {"a": 5}}}, "config.Labels.a is no text"),
    ({"config": {"ExposedPorts": ["80/tcp"]}}, "config.ExposedPorts is no object"),
    ({"config": {"Volumes": ["/v"]}}, "config.Volumes is no object"),
    ({"config": {"Healthcheck": {"Test": "true"}}}, "config.Healthcheck.Test is no list"),
    ({"config": {"Healthcheck": {"Test": ["CMD", "x"], "Interval": "5s"}}}, "Healthcheck.Interval is no whole number"),
    ({"history": [5]}, "history[0] is no object"),
    ({"rootfs": None}, "rootfs is missing"),
]
IDS = [f"{number}" for number in range(len(WRONG))]


@pytest.fixture
def elsewhere(tinybox: Command) -> Iterator[Command]:
    """Give the command with a store beside the session's, in which there is one good image and one box of it."""
    root = f"{tinybox.root}-hostile"
    command = Command(root)
    put(command, SOUND, "good:1")
    assert command("create", "--name", "good", "good:1").returncode == 0
    yield command
    shutil.rmtree(root, ignore_errors=True)
    _archive_in(Path(root).parent).unlink(missing_ok=True)


def put(tinybox: Command, config: dict[str, Any], name: str) -> None:
    """Load an image with *config*; it must be accepted."""
    done = tinybox("load", "-i", str(saved(Path(tinybox.root).parent, config, name)))
    assert done.stdout == f"Loaded image: {name}\n", done


def saved(folder: Path, config: dict[str, Any], name: str) -> Path:
    """Write an archive as docker saves it, with one image of this *config*."""
    manifest = [{"Config": "config.json", "Layers": ["layer.tar"], "RepoTags": [name]}]
    files = {"manifest.json": json.dumps(manifest), "config.json": json.dumps(config)}
    path = _archive_in(folder)
    with tarfile.open(path, "w") as out:
        for member, content in {**{key: text.encode() for key, text in files.items()}, "layer.tar": LAYER}.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def _archive_in(folder: Path) -> Path:
    return folder / f"saved-{os.getpid()}.tar"


def looks_well(tinybox: Command) -> None:
    """Assert that the good image and the good box are listed, and the store's temporary directory is empty."""
    assert "good" in tinybox("images").stdout
    done = tinybox("ps", "-a", "--format", "{{.Names}} {{.Image}}")
    assert (done.returncode, done.stdout) == (0, "good good:1\n"), done
    assert os.listdir(f"{tinybox.root}/tmp") == []


@pytest.mark.parametrize(("changes", "says"), WRONG, ids=IDS)
def test_an_image_with_a_wrong_config_is_refused(
    elsewhere: Command, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    """Each wrong type in an image's config is one line at the import, and the store is as it was."""
    before = elsewhere("images").stdout
    one_line(elsewhere("load", "-i", str(saved(tmp_path, {**SOUND, **changes}, "bad:1"))), 1, says)
    assert elsewhere("images").stdout == before
    looks_well(elsewhere)


@pytest.mark.parametrize(("changes", "says"), WRONG, ids=IDS)
def test_a_broken_image_in_the_store_is_named_and_breaks_nothing_else(
    elsewhere: Command, changes: dict[str, Any], says: str
) -> None:
    """A broken image that is already in the store (of an older tinybox, or damaged) is named; others can be used."""
    (good,) = os.listdir(f"{elsewhere.root}/images")
    image_id = "b" * 64
    Path(elsewhere.root, "images", image_id).write_text(json.dumps({**SOUND, **changes}))
    Path(elsewhere.root, "names", "bad:1").symlink_to(f"../images/{image_id}")
    done = elsewhere("images")
    assert done.returncode == 0, done
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["REPOSITORY", "good"]
    assert done.stderr.startswith("tinybox: image bad:1: its record is damaged: "), done
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    looks_well(elsewhere)
    for words in (("run", "--rm", "bad:1", "sh"), ("create", "bad:1"), ("save", "bad:1")):
        one_line(elsewhere(*words), 125 if words[0] == "run" else 1, says)
    assert says in elsewhere("inspect", "bad:1").stderr
    put(elsewhere, {**SOUND, "author": "another"}, "other:1")  # imports, and the sweeps before them, work as usual
    assert elsewhere("rmi", "other:1").returncode == 0
    assert elsewhere("rmi", "bad:1").returncode == 0
    assert os.listdir(f"{elsewhere.root}/images") == [good]
    assert elsewhere("images").stderr == ""
    looks_well(elsewhere)


def test_layers_of_an_unreadable_image_stay(elsewhere: Command) -> None:
    """A record that cannot be read might be repaired by hand: its layers stay until it is removed; then they go."""
    assert elsewhere("rm", "good").returncode == 0
    (record,) = Path(elsewhere.root, "images").iterdir()
    content = record.read_text()
    record.write_text(content[:-20])
    done = elsewhere("load", "-i", str(saved(Path(elsewhere.root).parent, {**SOUND, "author": "x"}, "x:1")))
    assert done.returncode == 0, done
    assert elsewhere("rmi", "x:1").returncode == 0
    assert len(os.listdir(f"{elsewhere.root}/layers")) == 1
    record.write_text(content)
    assert elsewhere("run", "--rm", "--dry-run", "good:1").returncode == 0
    record.write_text("{")
    assert elsewhere("rmi", "good:1").returncode == 0
    assert os.listdir(f"{elsewhere.root}/layers") == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"command": [1]}, "command[0] is no text"),
        ({"annotations": []}, "annotations is no object"),
        ({"createdAt": "now"}, "createdAt is no whole number"),
    ],
)
def test_a_broken_box_is_named_and_the_others_are_listed(
    elsewhere: Command, changes: dict[str, Any], says: str
) -> None:
    """A state.json of another shape, as a broken image once left it, is named by ps; rm removes that box."""
    done = elsewhere("create", "--name", "bad", "good:1")
    path = Path(elsewhere.root, "containers", done.stdout.strip(), "state.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    done = elsewhere("ps", "-a", "--format", "{{.Names}}")
    assert (done.returncode, done.stdout) == (0, "good\n"), done
    assert done.stderr.startswith("tinybox: container bad: its state.json is damaged: "), done
    assert says in done.stderr
    assert elsewhere("rm", "-f", "bad").returncode == 0
    assert elsewhere("ps", "-a").stderr == ""
    looks_well(elsewhere)


@pytest.mark.parametrize("test", [["CMD-SHELL"], ["CMD"], ["curl", "x"], [], ["NONE"]])
def test_a_health_check_without_a_program_is_none(elsewhere: Command, test: list[str]) -> None:
    """An image may have a health check without a program: its boxes are made without one. Its times are docker's."""
    config = {**SOUND["config"], "Healthcheck": {"Test": test, "Interval": -5, "Timeout": 10**30}}
    put(elsewhere, {**SOUND, "config": config}, "odd:1")
    assert elsewhere("create", "--name", "odd", "odd:1").returncode == 0
    assert elsewhere("rm", "odd").returncode == 0
    config["Healthcheck"]["Test"] = ["CMD", "true"]
    put(elsewhere, {**SOUND, "config": config}, "odd:1")
    refused = elsewhere("create", "--name", "odd", "odd:1")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1), refused
    assert "Interval in Healthcheck cannot be less than 1ms" in refused.stderr
    config["Healthcheck"]["Interval"] = 0
    put(elsewhere, {**SOUND, "config": config}, "odd:1")
    assert elsewhere("create", "--name", "odd", "odd:1").returncode == 0
    health = json.loads(elsewhere("inspect", "odd").stdout)[0]["Config"]["Healthcheck"]
    assert (health["Interval"], health["Timeout"]) == (30 * 10**9, 10**18)
    assert elsewhere("rm", "odd").returncode == 0


def test_a_malformed_packet_does_not_end_the_box(tinybox: Command) -> None:
    """A client that sends a malformed packet is disconnected; the box goes on, and the next client is served."""
    name = new_name()
    assert tinybox("run", "-di", "--name", name, "busybox", "sh", "-c", "read x; echo got $x; sleep 60").returncode == 0
    try:
        state = state_of(tinybox, name)
        folder = f"{tinybox.root}/run/{state['id']}"
        for packet in (b"wx y", b"w", b"w-1 99999999", b"?", b"x0", b"\xff" * 30_000):
            line = attach_protocol.connect(folder)
            line.send(packet)
            line.settimeout(20)
            assert attach_protocol.receive(line) == b""  # disconnected
            line.close()
            assert state_of(tinybox, name)["pid"] == state["pid"]
        line = attach_protocol.connect(folder)
        line.settimeout(20)
        line.send(attach_protocol.INPUT + b"it\n")
        assert attach_protocol.receive(line) == attach_protocol.OUT + b"got it\n"
        line.close()
        assert tinybox("logs", name).stdout == "got it\n"
    finally:
        tinybox("rm", "-f", name)


def test_an_invalid_seccomp_profile_is_one_line(tinybox: Command, tmp_path: Path) -> None:
    """A list, a number, invalid rules: no box; an empty list was once mistaken for no filter at all."""
    path = tmp_path / "profile.json"
    for text in ("[]", "5", "null", '{"syscalls": 5}', '{"syscalls": [5]}', '{"archMap": [5]}', "[" * 100_000, "{"):
        path.write_text(text)
        done = tinybox("run", "--rm", "--security-opt", f"seccomp={path}", "busybox", "true")
        one_line(done, 125, f"--security-opt seccomp={path}")
    path.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["sync"], "action": "SCMP_ACT_ERRNO"}]}'
    )
    assert "Seccomp:\t2" in output(tinybox, "--security-opt", f"seccomp={path}", "busybox", "cat", "/proc/self/status")
