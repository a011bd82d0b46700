"""The command line itself: help, versions, refusals with their reason, and the log that engines read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.slowness import SLOWNESS
from tinybox.oci.command_line import VERBS

if TYPE_CHECKING:
    from tests.support.oci_runtimes import Runtime

pytestmark = pytest.mark.root


def test_version_names_the_specification(runtime: Runtime) -> None:
    """--version prints tinybox's version and the specification's, a line each, and `commit:`, which dockerd needs."""
    ours, commit, specification = runtime("--version").stdout.splitlines()
    assert ours.startswith("tinybox-oci version ")
    assert commit == f"commit: {ours.rpartition(' ')[2]}"
    assert specification.startswith("spec: 1.")


def test_there_is_help(runtime: Runtime) -> None:
    """--help lists every verb; with a verb, its options; the same after `tinybox oci`."""
    said = runtime("--help").stdout
    assert all(f"  {verb} " in said for verb in VERBS)
    assert "--console-socket SOCKET" in runtime("create", "--help").stdout
    command = str(Path(sys.executable).with_name("tinybox"))
    same = subprocess.run(
        [command, "oci", "--help"], capture_output=True, text=True, check=False, timeout=120 * SLOWNESS
    )
    assert same.stdout == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--systemd-cgroup", "list"], "not by systemd"),
        (["--cgroup-manager=systemd", "list"], "--cgroup-manager systemd"),
        (["--rootless=perhaps", "list"], "none of true, false, auto"),
        (["create", "--no-pivot", "box"], "pivot_root(2)"),
        (["nosuch"], "no such verb"),
        ([], "a verb is missing"),
        (["start"], "takes ID"),
        (["start", "a", "b"], "takes ID"),
        (["list", "--nosuch"], "no such option"),
        (["create", "--bundle"], "needs DIR"),
        (["list", "--format=nosuch"], "is no format"),
        (["state", "../box"], "is no id"),
        (["--log-format=nosuch", "list"], "is no format"),
    ],
)
def test_a_refusal_names_its_argument(runtime: Runtime, words: list[str], said: str) -> None:
    """Each refusal is one line with the wrong argument and the reason."""
    done = runtime(*words)
    assert done.returncode == 125
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [["--rootless=true"], ["--cgroup-manager=cgroupfs"], ["--debug", "--log=/dev/null"]])
def test_global_options_of_engines_are_accepted(runtime: Runtime, words: list[str]) -> None:
    """Global options that engines pass do no harm."""
    done = runtime(*words, "list", "--format=json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_errors_are_logged(runtime: Runtime) -> None:
    """The log gets the error as JSON or as key=value, and stderr gets it, too; --debug reports the steps."""
    log = runtime.folder / "log"
    done = runtime(f"--log={log}", "--log-format=json", "start", "box")
    entry = json.loads(log.read_text())
    assert (entry["level"], entry["msg"]) == ("error", "container box: container does not exist")
    assert entry["msg"] in done.stderr
    log.unlink()
    runtime(f"--log={log}", "start", "box")
    assert 'level=error msg="container box: container does not exist"' in log.read_text()
    log.unlink()
    runtime.program("true")
    assert runtime("--debug", f"--log={log}", "run", "--bundle", str(runtime.bundle), "box").returncode == 0
    assert "step:clone" in log.read_text()


def test_spec_writes_a_usable_config(runtime: Runtime) -> None:
    """`spec` writes a config.json, once; with a root file system beside it that is a bundle."""
    assert "exists already" in runtime("spec", "--bundle", str(runtime.bundle)).stderr
    (runtime.bundle / "config.json").unlink()
    assert runtime("spec", "--bundle", str(runtime.bundle)).returncode == 0
    runtime.change(lambda config: config["process"].update(terminal=False, args=["hostname"]))
    assert runtime("run", "--bundle", str(runtime.bundle), "box").stdout == "tinybox\n"


def test_list_is_a_table(runtime: Runtime) -> None:
    """`list` shows each container with its process, status and bundle."""
    runtime.create("box")
    title, row = runtime("list").stdout.splitlines()
    assert title.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert row.split()[:4] == ["box", str(runtime.state("box")["pid"]), "created", str(runtime.bundle)]


def test_features_are_printed(runtime: Runtime) -> None:
    """`features` prints the specification's object."""
    features = json.loads(runtime("features").stdout)
    assert features["linux"]["cgroup"]["systemd"] is False
    assert {"pid", "mount", "user", "time"} <= set(features["linux"]["namespaces"])
    assert "rro" in features["mountOptions"]
