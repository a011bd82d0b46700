"""The life of an OCI container: its states, the transitions between them, and refused operations without any effect."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import until
from tests.support.engine_directories import RUNTIME
from tests.support.slowness import SLOWNESS
from tinybox.container.records import spec

if TYPE_CHECKING:
    from tests.support.oci_runtimes import Runtime

pytestmark = pytest.mark.root


def test_a_life(runtime: Runtime) -> None:
    """create, start, kill, delete: each status has the specification's name."""
    runtime.change(lambda config: config.update(annotations={"a": "b"}))
    pid_file = runtime.folder / "pid"
    assert runtime.create("box", f"--pid-file={pid_file}").returncode == 0
    pid = int(pid_file.read_text())
    expected = {
        "ociVersion": spec.OCI_VERSION,
        "id": "box",
        "status": "created",
        "pid": pid,
        "bundle": str(runtime.bundle),
    }
    assert runtime.state("box") == expected | {"annotations": {"a": "b"}}
    assert Path(f"/proc/{pid}/comm").read_text() == "tinybox:child\n"  # the program has not begun

    assert runtime("start", "box").returncode == 0
    assert runtime.state("box") == expected | {"status": "running", "annotations": {"a": "b"}}
    until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")  # execve(2) closes the pipe, then sets the name
    assert runtime("kill", "box", "SIGKILL").returncode == 0
    runtime.until("box", "stopped")
    assert runtime.state("box")["pid"] == 0
    assert runtime("delete", "box").returncode == 0
    assert runtime("state", "box").returncode
    assert not (runtime.root / "box").exists()


def test_a_zombie_has_stopped(runtime: Runtime) -> None:
    """A container whose first process is an unreaped zombie is not running."""
    runtime.program("true")
    words = [RUNTIME, "--root", str(runtime.root), "create", "--bundle", str(runtime.bundle), "box"]
    assert (
        subprocess.run(words, check=False, timeout=60 * SLOWNESS).returncode == 0
    )  # this process is its subreaper, and does not wait for it
    pid = runtime.state("box")["pid"]
    assert runtime("start", "box").returncode == 0
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    assert runtime.status("box") == "stopped"
    assert runtime("delete", "box").returncode == 0


def refused(runtime: Runtime, said: str, *words: str) -> None:
    """Assert that a command fails with this message, and changes nothing of the container ``box``."""
    before = runtime("state", "box").stdout
    done = runtime(*words)
    assert done.returncode
    assert said in done.stderr
    assert done.stdout == ""
    assert runtime("state", "box").stdout == before


def test_a_missing_container(runtime: Runtime) -> None:
    """Without such a container every verb fails, except delete --force, which may be repeated."""
    for words in (["start"], ["state"], ["kill"], ["delete"], ["pause"], ["resume"], ["ps"], ["update"], ["events"]):
        refused(runtime, "container does not exist", *words, "box")
    refused(runtime, "container does not exist", "exec", "box", "true")
    assert runtime("delete", "--force", "box").returncode == 0


def test_refused_for_a_created_container(runtime: Runtime) -> None:
    """Its id is taken, and it is not stopped; but signals reach it, and --force removes it."""
    assert runtime.create("box").returncode == 0
    refused(runtime, "container with given ID already exists", "create", "--bundle", str(runtime.bundle), "box")
    refused(runtime, "cannot delete container that is not stopped", "delete", "box")
    assert runtime("kill", "box", "9").returncode == 0
    runtime.until("box", "stopped")
    refused(runtime, "cannot start a container that is stopped", "start", "box")
    assert runtime("delete", "--force", "box").returncode == 0
    assert runtime("delete", "--force", "box").returncode == 0


def test_refused_for_a_running_container(runtime: Runtime) -> None:
    """It cannot be started again or removed; a stopped one takes no signals."""
    runtime.runs("box")
    refused(runtime, "cannot start an already running container", "start", "box")
    refused(runtime, "cannot delete container that is not stopped", "delete", "box")
    refused(runtime, "signal NOSUCH", "kill", "box", "NOSUCH")
    refused(runtime, "container not paused", "resume", "box")
    runtime("kill", "box", "KILL")
    runtime.until("box", "stopped")
    refused(runtime, "container not running", "kill", "box")
    refused(runtime, "container not running", "pause", "box")
    refused(runtime, "not running", "exec", "box", "true")


@pytest.mark.parametrize(("word", "status"), [("TERM", 15), ("SIGUSR1", 10), ("12", 12)])
def test_signals_have_names_and_numbers(runtime: Runtime, word: str, status: int) -> None:
    """The program gets the named signal; TERM is the default."""
    script = f"trap 'echo caught > /tmp/signal; exit' {status}; touch /tmp/ready; while :; do sleep 0.01; done"
    runtime.change(lambda config: config["root"].update(readonly=False))
    runtime.program("sh", "-c", script)
    runtime.runs("box")
    told = runtime.bundle / "rootfs" / "tmp"
    deadline = time.monotonic() + 60 * SLOWNESS
    while not (told / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert runtime("kill", "box", *([] if status == signal.SIGTERM else [word])).returncode == 0
    runtime.until("box", "stopped")
    assert (told / "signal").read_text() == "caught\n"


def test_an_invalid_config_leaves_nothing(runtime: Runtime) -> None:
    """A missing bundle, a missing program, one that may not be executed: an error that names it, and no container."""
    assert "config.json: no such file" in runtime("create", "--bundle", "/nosuch", "box").stderr
    for program, said in (("nosuch", "executable file not found in $PATH"), ("/no/such", "no such file or directory"),
                          ("/etc", "permission denied")):  # fmt: skip
        runtime.program(program)
        done = runtime.create("box")
        assert done.returncode
        assert f'exec "{program}": ' in done.stderr
        assert said in done.stderr
    assert not (runtime.root / "box").exists()


def test_a_create_that_is_killed_can_be_deleted(runtime: Runtime) -> None:
    """Killed at any moment, `create` leaves no process that `delete --force` does not find."""
    for milliseconds in range(0, 120, 8):
        words = [RUNTIME, "--root", str(runtime.root), "create", "--bundle", str(runtime.bundle), "box"]
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(SLOWNESS * milliseconds / 1000)
            except subprocess.TimeoutExpired:
                process.kill()
        assert runtime("delete", "--force", "box").returncode == 0
        assert not (runtime.root / "box").exists()


def test_commands_wait_for_each_other(runtime: Runtime) -> None:
    """Of eight that start a container at once one succeeds, and of eight that delete it one does."""
    assert runtime.create("box").returncode == 0
    for verb in ("start", "delete"):
        words = [RUNTIME, "--root", str(runtime.root), verb, "box"]
        several = [subprocess.Popen(words, stderr=subprocess.DEVNULL) for _ in range(8)]
        assert sorted(bool(process.wait(120 * SLOWNESS)) for process in several) == [False, *[True] * 7]
        if verb == "start":
            runtime("kill", "box", "KILL")
            runtime.until("box", "stopped")


def test_a_run_in_the_foreground_allows_other_commands(runtime: Runtime) -> None:
    """While `run` waits for the program, every other command acts on its container, delete --force as well."""
    runtime.program("sh", "-c", "trap 'exit 7' USR1; while :; do sleep 0.01; done")
    words = [RUNTIME, "--root", str(runtime.root), "run", "--bundle", str(runtime.bundle), "box"]
    for last, status in ((["kill", "box", "USR1"], 7), (["delete", "--force", "box"], 137)):
        with subprocess.Popen(words, stdin=subprocess.DEVNULL) as running:
            deadline = time.monotonic() + 20 * SLOWNESS
            while runtime("exec", "box", "true").returncode:
                assert time.monotonic() < deadline
            for verb in ("pause", "resume", "update"):
                assert runtime(verb, "box").returncode == 0
            assert runtime(*last).returncode == 0
            assert running.wait(20 * SLOWNESS) == status
        assert runtime("list", "-q").stdout == ""


@pytest.mark.parametrize("words", [["kill", "box", "KILL"], ["delete", "--force", "box"]])
def test_a_start_that_waits_for_a_hook_can_be_ended(runtime: Runtime, words: list[str]) -> None:
    """A signal needs no lock: a container whose startContainer hook does not end can still be killed."""
    hook = {"path": "/bin/sleep", "args": ["sleep", "1000"]}
    runtime.change(lambda config: config.update(hooks={"startContainer": [hook]}))
    assert runtime.create("box").returncode == 0
    with subprocess.Popen([RUNTIME, "--root", str(runtime.root), "start", "box"]) as starting:
        with pytest.raises(subprocess.TimeoutExpired):
            starting.wait(1 * SLOWNESS)
        assert runtime(*words).returncode == 0
        starting.wait(20 * SLOWNESS)
    if words[0] == "kill":
        runtime.until("box", "stopped")
        assert runtime("delete", "box").returncode == 0
    assert runtime("list", "-q").stdout == ""


def test_run_is_a_whole_life(runtime: Runtime) -> None:
    """`run` gives the program's streams and status and leaves nothing; with --keep the container stays, stopped."""
    runtime.program("sh", "-c", "cat; exit 7")
    done = runtime("run", "--bundle", str(runtime.bundle), "box", text="said")
    assert (done.returncode, done.stdout) == (7, "said")
    assert runtime("list", "-q").stdout == ""
    assert runtime("run", "--bundle", str(runtime.bundle), "--keep", "box").returncode == 7
    assert runtime.status("box") == "stopped"


def test_run_detached_stays(runtime: Runtime) -> None:
    """`run --detach` ends when the program runs."""
    assert runtime("run", "--detach", "--bundle", str(runtime.bundle), "box").returncode == 0
    assert runtime.status("box") == "running"
    (row,) = json.loads(runtime("list", "--format", "json").stdout)
    assert row["id"] == "box"
    assert row["rootfs"] == str(runtime.bundle / "rootfs")


@pytest.mark.parametrize("former", [True, False])
def test_the_record_has_an_outline_of_the_config(runtime: Runtime, former: bool) -> None:
    """start, state, kill and delete need no config.json; the record of a former tinybox has no outline: they read it.

    The control: `exec` needs config.json, and names it.
    """
    assert runtime.create("box").returncode == 0
    folder = runtime.root / "box"
    if former:
        state = json.loads((folder / "state.json").read_text())
        del state["outline"], state["cgroup"]
        (folder / "state.json").write_text(json.dumps(state))
    else:
        (folder / "config.json").write_text("{")
    assert runtime("start", "box").returncode == 0
    done = runtime("exec", "box", "true")
    assert (done.returncode == 0, "config.json: it is damaged" in done.stderr) == (former, not former)
    assert runtime("pause", "box").returncode == 0
    assert runtime.status("box") == "paused"
    assert runtime("kill", "box", "KILL").returncode == 0
    runtime.until("box", "stopped")
    assert runtime("delete", "box").returncode == 0
