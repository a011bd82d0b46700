"""Options of docker run that scripts use, each with its effect on a box: streams, signals, labels, logs, limits."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.boxes import PATIENCE, kept, named, one_line, output
from tests.support.disks import block_device
from tinybox.isolation.cgroups.hierarchies import hierarchies

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = pytest.mark.root

__all__ = ["block_device"]

BOTH = ("busybox", "sh", "-c", "echo out; echo err >&2")
ALONE = ("--network", "none")


def config_of(tinybox: Command, tmp_path: Path, *options: str) -> dict[str, Any]:
    """Return the config.json that `run --bundle` writes for *options*."""
    folder = tmp_path / "bundle"
    done = tinybox("run", "--bundle", str(folder), *options, "busybox", "true")
    assert done.returncode == 0, done
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return found


@pytest.mark.parametrize("rm", [(), ("--rm",)])
def test_attach_chooses_the_streams(tinybox: Command, rm: tuple[str, ...]) -> None:
    """`-a stdout` shows stdout alone, `-a stderr` the other, both show both; the log has all of the output."""
    for streams, shown in ((["stdout"], ("out\n", "")), (["STDERR"], ("", "err\n")),
                           (["stdout", "stderr"], ("out\n", "err\n")), ([], ("out\n", "err\n"))):  # fmt: skip
        with named(tinybox) as name:
            done = tinybox("run", *rm, *ALONE, "--name", name, *(f"-a={word}" for word in streams), *BOTH)
            assert (done.returncode, done.stdout, done.stderr) == (0, *shown), streams
            if not rm:
                logs = tinybox("logs", name)
                assert (logs.stdout, logs.stderr) == ("out\n", "err\n")


def test_attach_passes_stdin_on_only_if_asked(tinybox: Command) -> None:
    """With -i and `-a stdin` the program reads stdin; with -i and `-a stdout` alone its input is empty."""
    run = ("run", "--rm", *ALONE, "-i")
    assert tinybox(*run, "-a", "stdin", "-a", "stdout", "busybox", "cat", text="hello\n").stdout == "hello\n"
    assert tinybox(*run, "-a", "stdout", "busybox", "cat", text="hello\n").stdout == ""


def test_attach_keeps_the_errors_of_tinybox(tinybox: Command) -> None:
    """Without the program's stderr the errors of tinybox itself are printed; a wrong word is named."""
    one_line(tinybox("run", "--rm", *ALONE, "-a", "stdout", "busybox", "nosuch"), 127, "nosuch")
    one_line(tinybox("run", "-a", "stdoot", *BOTH), 125, "--attach stdoot: is no stream (stdin, stdout, stderr)")
    one_line(tinybox("run", "-d", "-a", "stdout", *BOTH), 1, "--attach: conflicts with --detach")
    one_line(tinybox("run", "-i", "-a", "stdin", *BOTH), 125, "--attach stdin: shows no output")


@pytest.mark.parametrize("proxied", [False, True])
def test_a_signal_without_proxy_ends_the_command_alone(tinybox: Command, *, proxied: bool) -> None:
    """With --sig-proxy=false, INT ends tinybox and the box goes on; with the proxy the program gets it and ends."""
    script = "trap 'exit 5' INT; echo READY; while :; do sleep 0.1; done"
    with named(tinybox) as name:
        words = ("run", *ALONE, "--name", name, f"--sig-proxy={str(proxied).lower()}", "busybox", "sh", "-c", script)
        with tinybox.start(*words) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "READY\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == (5 if proxied else 128 + signal.SIGINT)
        running = tinybox("ps", "-q", "--filter", f"name={name}").stdout
        assert bool(running) is not proxied


def test_quiet_says_nothing_about_the_image(tinybox: Command) -> None:
    """`run -q` of an image that has to be made prints the id alone; without -q it says that it makes the image."""
    tinybox("rmi", "-f", "busybox")
    done = tinybox("run", "-q", "--rm", *ALONE, "busybox", "echo", "hi")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hi\n", "")
    tinybox("rmi", "-f", "busybox")
    assert "making it" in tinybox("run", "--rm", *ALONE, "busybox", "echo", "hi").stderr


def test_labels_come_from_files(tinybox: Command, tmp_path: Path) -> None:
    """--label-file gives labels, --label overrides them; a line that is no label is named, with the option."""
    (tmp_path / "labels").write_text("# colours\na=file\nb=file\n\nbare\n")
    with named(tinybox) as name:
        assert tinybox("create", "--name", name, "--label-file", str(tmp_path / "labels"), "-l", "b=word",
                       "busybox").returncode == 0  # fmt: skip
        shown = json.loads(tinybox("inspect", "-f", "{{json .Config.Labels}}", name).stdout)
        assert {key: shown[key] for key in ("a", "b", "bare")} == {"a": "file", "b": "word", "bare": ""}
    (tmp_path / "labels").write_text("two words=x\n")
    done = tinybox("run", "--label-file", str(tmp_path / "labels"), *BOTH)
    one_line(done, 125, f"--label-file {tmp_path}/labels: 'two words=x' is no label")


def test_annotations_are_in_the_bundle(tinybox: Command, tmp_path: Path) -> None:
    """--annotation is in config.json and in HostConfig; a name of tinybox's own is refused."""
    assert config_of(tinybox, tmp_path, "--annotation", "org.x=y=z")["annotations"]["org.x"] == "y=z"
    with named(tinybox) as name:
        assert tinybox("create", "--name", name, "--annotation=org.x=y", "busybox").returncode == 0
        assert tinybox("inspect", "-f", "{{json .HostConfig.Annotations}}", name).stdout == '{"org.x":"y"}\n'
    one_line(tinybox("run", "--annotation", "tinybox.rm=true", *BOTH), 125, "is a name of tinybox's own")


def test_a_box_may_have_no_log(tinybox: Command) -> None:
    """With --log-driver none the output is shown and kept nowhere, and `logs` says so; json-file and local keep it."""
    for driver in ("none", "json-file", "local"):
        with named(tinybox) as name:
            done = tinybox("run", *ALONE, "--name", name, "--log-driver", driver, *BOTH)
            assert (done.stdout, done.stderr) == ("out\n", "err\n")
            assert tinybox("inspect", "-f", "{{.HostConfig.LogConfig.Type}}", name).stdout == f"{driver}\n"
            box = Path(tinybox.root) / "containers" / tinybox("inspect", "-f", "{{.Id}}", name).stdout.strip()
            assert (box / "container.log").exists() is (driver != "none")
            if driver == "none":
                one_line(tinybox("logs", name), 1, "configured logging driver does not support reading")
            else:
                assert tinybox("logs", name).stdout == "out\n"
    one_line(tinybox("run", "--log-driver", "gelf", *BOTH), 125, "--log-driver gelf: is no log driver of tinybox's")


def test_logs_show_details(tinybox: Command) -> None:
    """`logs --details` writes the labels and variables of --log-opt before each line; without --details it does not."""
    options = ("--label", "colour=red", "-e", "A=b", "--log-opt", "labels=colour,none", "--log-opt", "env=A")
    with named(tinybox) as name:
        tinybox("run", *ALONE, "--name", name, *options, *BOTH)
        done = tinybox("logs", "--details", name)
        assert (done.stdout, done.stderr) == ("A=b,colour=red out\n", "A=b,colour=red err\n")
        assert tinybox("logs", name).stdout == "out\n"


def test_limits_of_disks_are_in_the_bundle(tinybox: Command, tmp_path: Path, block_device: str) -> None:
    """Operations a second and weights become OCI's fields; a file that is no block device is named."""
    words = ("--device-read-iops", f"{block_device}:100", "--device-write-iops", f"{block_device}:200")
    found = config_of(
        tinybox, tmp_path, *words, "--blkio-weight", "300", "--blkio-weight-device", f"{block_device}:400"
    )
    known = found["linux"]["resources"]["blockIO"]
    number = os.stat(block_device).st_rdev
    device = {"major": os.major(number), "minor": os.minor(number)}
    assert known["throttleReadIOPSDevice"] == [{**device, "rate": 100}]
    assert known["throttleWriteIOPSDevice"] == [{**device, "rate": 200}]
    assert known["weightDevice"] == [{**device, "weight": 400}]
    assert known["weight"] == 300
    one_line(tinybox("run", "--device-read-iops", "/dev/null:1", *BOTH), 125, "/dev/null is not a block device")
    one_line(
        tinybox("run", "--blkio-weight", "5", *BOTH), 125, "--blkio-weight 5: is not a whole number from 10 to 1000"
    )


def test_operations_on_a_disk_are_limited(tinybox: Command, block_device: str) -> None:
    """Forty reads at 20 a second take more than a second; without the limit they take much less."""

    def seconds(*options: str) -> float:
        read = f"dd if={block_device} of=/dev/null bs=4k count=40 iflag=direct 2>/dev/null"
        started = time.monotonic()
        words = (*options, "--device", f"{block_device}:{block_device}:r", *ALONE)
        output(tinybox, *words, "alpine", "sh", "-c", read)
        return time.monotonic() - started

    free = seconds()
    assert seconds("--device-read-iops", f"{block_device}:20") > free + 1.0


def test_memory_options_of_version_1_have_effect(tinybox: Command, tmp_path: Path) -> None:
    """--memory-swappiness and --oom-kill-disable are in config.json, and with cgroup v1 in the kernel; -1 is not."""
    memory = config_of(tinybox, tmp_path, "--memory-swappiness", "7", "--oom-kill-disable", "-m", "64m")
    assert memory["linux"]["resources"]["memory"]["swappiness"] == 7
    assert memory["linux"]["resources"]["memory"]["disableOOMKiller"] is True
    assert "memory" not in config_of(tinybox, tmp_path / "2", "--memory-swappiness=-1")["linux"]["resources"]
    where = hierarchies()
    if where.version("memory") == 1:
        words = ("--rm", *ALONE, "-m", "64m", "--memory-swappiness", "7", "--oom-kill-disable")
        with (
            named(tinybox) as name,
            kept(tinybox, *words, "--name", name, "busybox", "sh", "-c", "echo READY; exec sleep 100"),
        ):
            pid = tinybox("inspect", "-f", "{{.State.Pid}}", name).stdout.strip()
            lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
            place = next(line.split(":")[2] for line in lines if "memory" in line.split(":")[1].split(","))
            folder = Path(f"{where.root('memory')}{place}")
            assert (folder / "memory.swappiness").read_text() == "7\n"
            assert "oom_kill_disable 1" in (folder / "memory.oom_control").read_text()
    one_line(tinybox("run", "--memory-swappiness", "101", *BOTH), 125, "--memory-swappiness 101")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--gpus", "all"), "--gpus: is not supported (--device"),
        (("--gpus=all",), "--gpus: is not supported"),
        (("--storage-opt", "size=1g"), "--storage-opt: is not supported"),
        (("--runtime", "runc"), "--runtime runc: unknown or invalid runtime name (--bundle DIR, and runc run)"),
    ],
)
def test_what_is_not_supported_names_a_cure(tinybox: Command, words: tuple[str, ...], error: str) -> None:
    """Options of docker's that have no meaning here are one line with a cure, and nothing is made."""
    one_line(tinybox("run", "--rm", *words, *BOTH), 125, error)
    assert output(tinybox, *ALONE, "--runtime", "tinybox", "busybox", "echo", "hi") == "hi\n"
