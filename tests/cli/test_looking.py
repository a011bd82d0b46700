"""Commands that read containers, on real ones: ps, logs, top, tree, ns, stats, inspect, events, port."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.boxes import PATIENCE, new_name, patience, until
from tests.support.detached_boxes import FOREVER, life

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Command

pytestmark = pytest.mark.root

BUSY = ("sh", "-c", "while :; do :; done")
IDLE = ("sleep", "1000")


@contextlib.contextmanager
def box(tinybox: Command, *words: str) -> Iterator[str]:
    """Keep ``tinybox run -d WORDS`` while the test examines it; give its name."""
    name = new_name()
    done = tinybox("run", "-d", "--name", name, *words)
    assert done.returncode == 0, done.stderr
    try:
        yield name
    finally:
        tinybox("rm", "-f", name)


def stdout_of(tinybox: Command, *words: str) -> str:
    """Return what a command prints; it must succeed and print nothing on stderr."""
    done = tinybox(*words)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def rows(tinybox: Command, *words: str) -> list[dict[str, Any]]:
    """Return what a command prints with --format json."""
    return [json.loads(line) for line in stdout_of(tinybox, *words, "--format", "json").splitlines()]


def test_ps_follows_a_life(tinybox: Command) -> None:
    """Up, Up (Paused), Up, Exited (N): docker's text for each state; only -a shows the last one."""
    with life(tinybox, "--label", "a=b", "busybox", *FOREVER) as it:
        name, me = it.name, ("ps", "--filter", f"name=^{it.name}$", "--format")
        assert re.fullmatch(
            r"Up (Less than a second|\d+ seconds?|About a minute)\n", stdout_of(tinybox, *me, "{{.Status}}")
        )
        stdout_of(tinybox, "pause", name)
        assert stdout_of(tinybox, *me, "{{.Status}} {{.State}}").strip().endswith("(Paused) paused")
        assert stdout_of(tinybox, *me, "{{.State}}", "--filter", "status=running") == ""
        stdout_of(tinybox, "unpause", name)
        assert stdout_of(tinybox, *me, "{{.State}} {{.Label `a`}}") == "running b\n"
        stdout_of(tinybox, "stop", name)
        assert stdout_of(tinybox, *me, "{{.State}}") == ""
        assert stdout_of(tinybox, *me, "{{.Status}}", "-a").startswith("Exited (7) ")
        assert stdout_of(tinybox, "ps", "-lq").strip() in stdout_of(tinybox, "ps", "-a", "-q", "--no-trunc")


def test_logs_keep_the_streams_apart(tinybox: Command) -> None:
    """Stdout comes out on stdout, stderr on stderr; -n and -t work; the lines survive the end of the container."""
    with box(tinybox, "busybox", "sh", "-c", "echo one; echo two >&2; echo three; printf four") as name:
        tinybox("wait", name)
        done = tinybox("logs", name)
        assert (done.stdout, done.stderr) == ("one\nthree\nfour", "two\n")
        assert tinybox("logs", "--tail", "1", name).stdout == "four"
        stamped = tinybox("logs", "-t", name).stdout.splitlines()
        assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (one|three|four)$", line) for line in stamped)
        assert tinybox("logs", "--since", "1h", "--until", "30m", name).stdout == ""  # the control: the line is newer


def test_logs_follow_to_the_end(tinybox: Command) -> None:
    """`logs -f` shows a line when the program prints it, and ends when the container does, with the last line."""
    program = "echo begun; until test -e /go; do sleep 0.05; done; echo over; printf end"
    with box(tinybox, "busybox", "sh", "-c", program) as name, tinybox.start("logs", "-f", name) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert process.poll() is None
        stdout_of(tinybox, "exec", name, "touch", "/go")
        assert process.communicate(timeout=PATIENCE) == ("over\nend", "")
        assert process.returncode == 0


def test_top_shows_the_hosts_processes(tinybox: Command) -> None:
    """Each row is a process of the host, with its command; this test, outside of the box, is not among them."""
    with box(tinybox, "busybox", *IDLE) as name:
        found = rows(tinybox, "top", name)
        assert stdout_of(tinybox, "top", name).split("\n")[0].split() == "UID PID PPID C STIME TTY TIME CMD".split()
        program = next(row for row in found if row["CMD"] == "sleep 1000")
        assert Path(f"/proc/{program['PID']}/cmdline").read_bytes() == b"sleep\x001000\0"
        assert os.getpid() not in [row["PID"] for row in found]


def test_tree_has_both_numbers(tinybox: Command) -> None:
    """PID 1 is the first row, its child below it; a process of exec stands at the left; both pids agree with NSpid."""
    with box(tinybox, "busybox", "sh", "-c", "sleep 1000; true") as name, tinybox.start("exec", name, "sleep", "77"):
        until(lambda: {"sleep 77", "sleep 1000"} <= asleep(tinybox, name))
        found = {row["Command"]: row for row in rows(tinybox, "tree", name)}
        for row in found.values():
            line = next(line for line in Path(f"/proc/{row['PID']}/status").read_text().splitlines() if "NSpid" in line)
            assert [int(word) for word in line.split()[1:]] == [row["PID"], row["BoxPID"]]
        assert min(row["BoxPID"] for row in found.values()) == 1
        assert found["sleep 1000"]["Tree"].endswith("   └─ sleep 1000")
        assert found["sleep 77"]["Tree"] == "sleep 77"
        assert (found["sleep 77"]["State"], found["sleep 77"]["BoxUser"]) == ("S", 0)
        os.kill(found["sleep 77"]["PID"], signal.SIGKILL)


def asleep(tinybox: Command, name: str) -> set[str]:
    """Return the commands of a box's processes that sleep: they have got past their start."""
    return {row["Command"] for row in rows(tinybox, "tree", name) if row["State"] == "S"}


def test_tree_has_both_users(tinybox: Command) -> None:
    """With a user namespace, root inside is another user outside; without one, the control, it is root."""
    for options, same in ((("--userns", "private"), False), ((), True)):
        with box(tinybox, *options, "busybox", *IDLE) as name:
            first = rows(tinybox, "tree", name)[0]
            assert first["BoxUser"] == 0
            assert (first["User"] == "root") is same


def test_ns_reports_different_namespaces(tinybox: Command) -> None:
    """Each verdict follows the kernel's inode numbers; --pid host and --userns private reverse two of them."""
    with (
        box(tinybox, "busybox", *IDLE) as first,
        box(tinybox, "--pid", "host", "busybox", *IDLE) as second,
        box(tinybox, "--userns", "private", "busybox", *IDLE) as third,
    ):
        plain = {row["Namespace"]: row for row in rows(tinybox, "ns", first)}
        turned = [{row["Namespace"]: row["Verdict"] for row in rows(tinybox, "ns", name)} for name in (second, third)]
        assert sorted(plain) == ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"]
        assert (plain["pid"]["Verdict"], plain["user"]["Verdict"]) == ("differs", "same")
        assert [verdicts["pid"] for verdicts in turned] == ["same", "differs"]
        assert [verdicts["user"] for verdicts in turned] == ["same", "differs"]
        pid = stdout_of(tinybox, "inspect", "-f", "{{.State.Pid}}", first).strip()
        for kind, row in plain.items():
            assert os.readlink(f"/proc/{pid}/ns/{kind}") == f"{kind}:[{row['Box']}]"
            assert os.readlink(f"/proc/self/ns/{kind}") == f"{kind}:[{row['Host']}]"
        assert {first, second, third} <= {row["Container"] for row in rows(tinybox, "ns")}


@pytest.mark.slow
def test_stats_measure(tinybox: Command) -> None:
    """A box at half a CPU uses about half of one, an idle one none; memory, limit and tasks are the group's."""
    with box(tinybox, "--cpus", "0.5", "-m", "32m", "busybox", *BUSY) as busy, box(tinybox, "busybox", *IDLE) as idle:
        found: dict[str, dict[str, Any]] = {}

        def measured() -> bool:
            """Tell whether the busy box had half a CPU; a second in which the machine was busy elsewhere shows less."""
            found.update({row["Name"]: row for row in rows(tinybox, "stats", "--no-stream", busy, idle)})
            shares = [float(found[name]["CPUPerc"].rstrip("%")) for name in (busy, idle)]
            return 25 < shares[0] < 75 and shares[1] < 10

        until(measured, 3 * PATIENCE)
        assert found[busy]["MemUsage"].endswith(" / 32MiB")
        assert 0 < float(found[busy]["MemPerc"].rstrip("%")) < 100
        assert found[idle]["PIDs"] == "2"
        assert found[idle]["NetIO"] == "0B / 0B"  # a network of its own, with only lo in it
    with box(tinybox, "--network", "host", "busybox", *IDLE) as name:
        assert "-- / --" in tinybox("stats", "--no-stream", name).stdout  # the devices are the host's
        assert rows(tinybox, "stats", "--no-stream", name)[0]["NetIO"] == "0B / 0B"  # a number


def test_inspect_has_docker_s_keys(tinybox: Command) -> None:
    """The options given and the present state have docker's keys; also after the end."""
    options = ("-m", "64m", "--pids-limit", "50", "--cpus", "0.5", "--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN",
               "--label", "k=v", "-e", "A=1", "-w", "/tmp", "-v", "/usr:/u:ro", "--stop-signal", "INT")  # fmt: skip
    with box(tinybox, *options, "busybox", *IDLE) as name:
        [known] = json.loads(stdout_of(tinybox, "inspect", name))
        assert (known["Name"], known["Path"], known["Args"]) == (f"/{name}", "sleep", ["1000"])
        assert (known["State"]["Status"], known["State"]["Running"], known["State"]["ExitCode"]) == ("running", True, 0)
        assert Path(f"/proc/{known['State']['Pid']}").exists()
        limits = known["HostConfig"]
        assert (limits["Memory"], limits["PidsLimit"], limits["NanoCpus"]) == (64 << 20, 50, 500_000_000)
        assert (limits["CapAdd"], limits["CapDrop"]) == (["CAP_NET_ADMIN"], ["CAP_CHOWN"])
        mount = known["Mounts"][0]
        assert (mount["Source"], mount["Destination"], mount["RW"]) == ("/usr", "/u", False)
        config = known["Config"]
        assert (config["Labels"], config["WorkingDir"], config["StopSignal"]) == ({"k": "v"}, "/tmp", "INT")
        assert "A=1" in config["Env"]
        assert known["Spec"] == json.loads(Path(known["Bundle"], "config.json").read_text())
        tinybox("kill", name)
        tinybox("wait", name)
        assert (
            stdout_of(tinybox, "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}", name)
            == "exited 137 0\n"
        )


def test_inspect_several(tinybox: Command) -> None:
    """A container and an image at once; a name that is neither is reported on stderr, and the status is 1."""
    with box(tinybox, "busybox", *IDLE) as name:
        done = tinybox("inspect", name, "nosuch", "busybox")
        container, image = json.loads(done.stdout)
        assert (container["Image"], done.returncode) == (image["Id"], 1)
        assert done.stderr.startswith("tinybox: object nosuch: ")
        assert tinybox("inspect", "--type", "image", name).returncode == 1
        assert tinybox("inspect", "--type", "container", "busybox").returncode == 1
        done = tinybox("inspect", "-f", "{{.Foo}}", name)
        assert "no field .Foo; there are: .Id" in done.stderr


def test_events_tell_a_life(tinybox: Command) -> None:
    """`run --rm` is created, started, dies and is destroyed, in this order, for a reader that was there before."""
    with tinybox.start("events", "--format", "{{.Action}} {{.ID}}") as process:
        assert process.stdout is not None
        try:
            until(lambda: listens(process.pid))
            assert tinybox("run", "--rm", "busybox", "sh", "-c", "exit 3").returncode == 3
            with patience(PATIENCE):
                seen = [process.stdout.readline().split() for _ in range(5)]
            assert process.poll() is None
        finally:
            process.kill()
        assert process.stdout.read() == ""
    assert [action for action, _ in seen] == ["create", "attach", "start", "die", "destroy"]
    assert len({container for _, container in seen}) == 1


def listens(pid: int) -> bool:
    """Tell whether a process has an inotify watch: it will see all events from now on."""
    with contextlib.suppress(FileNotFoundError):
        folder = f"/proc/{pid}/fd"
        return any("inotify" in os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder))
    return False


def test_port_of_one_without_ports(tinybox: Command) -> None:
    """Nothing is published: nothing is printed, with status 0; asking for one port by name is an error."""
    with box(tinybox, "busybox", *IDLE) as name:
        assert stdout_of(tinybox, "port", name) == ""
        assert tinybox("port", name, "80").returncode == 1


@pytest.mark.parametrize("command", ["logs", "top", "tree", "ns", "stats", "inspect", "port"])
def test_no_such_container(tinybox: Command, command: str) -> None:
    """Each of these commands reports it in one line, and ends with 1."""
    done = tinybox(command, "nosuch")
    assert done.returncode == 1
    assert re.fullmatch(r"tinybox: .*nosuch.*\n", done.stderr)


@pytest.mark.parametrize("command", ["top", "tree", "ns"])
def test_one_at_rest_has_no_processes(tinybox: Command, command: str) -> None:
    """Commands that list processes report that there are none, and end with 1."""
    with box(tinybox, "busybox", "true") as name:
        tinybox("wait", name)
        done = tinybox(command, name)
        assert (done.returncode, "is not running" in done.stderr) == (1, True)
