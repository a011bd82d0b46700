"""All commands on an existing container: the table of docs/cli.md, row by row.

Each test is a row of that table, with the installed command, once with alpine and once with busybox.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import IMAGES
from tests.support import no_trace
from tests.support.boxes import NAMESPACES, lives, new_name, one_line, until
from tests.support.detached_boxes import FOREVER, Life, field, life, stdout_of
from tests.support.screens import PROMPT, Screen, screen
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from tests.conftest import Command

pytestmark = [pytest.mark.root, pytest.mark.parametrize("image", IMAGES)]

SHELL = ("-e", f"PS1={PROMPT}")


def status_of(tinybox: Command, it: Life) -> str:
    """Return what `ps -a` prints about the container."""
    return stdout_of(tinybox, "ps", "-a", "--filter", f"name=^{it.name}$", "--format", "{{.Status}}").strip()


def test_run_in_the_background(tinybox: Command, image: str) -> None:
    """`run -d` prints the id once the program runs, under a monitor in a session of its own; the end is recorded."""
    with life(tinybox, image, *FOREVER) as it:
        assert it.state["status"] == "running"
        assert lives(it.pid)
        stat = Path(f"/proc/{it.monitor}/stat").read_text().rpartition(") ")[2].split()
        assert (stat[4], int(stat[3]) != os.getsid(0)) == ("0", True)  # no terminal; not the session of this process
        assert os.readlink(f"/proc/{it.monitor}/cwd") == "/"
        assert re.match(r"Up (Less than a second|\d+ seconds?|About a minute)$", status_of(tinybox, it))
        assert stdout_of(tinybox, "ps", "-q", "--no-trunc").split() == [it.id]
        stdout_of(tinybox, "stop", it.name)
        assert it.state["exitCode"] == 7
        assert it.state["startedAt"] < it.state["finishedAt"]
        assert status_of(tinybox, it).startswith("Exited (7) ")
        assert stdout_of(tinybox, "ps", "-q") == ""


def test_create_start_and_start_again(tinybox: Command, image: str) -> None:
    """`create` makes a container without starting it; each `start` runs it, with the files that it wrote before."""
    with life(tinybox, image, "sh", "-c", "echo x >> /count; wc -l < /count", verb="create") as it:
        assert status_of(tinybox, it) == "Created"
        assert it.rests()
        assert stdout_of(tinybox, "start", it.name) == f"{it.name}\n"
        stdout_of(tinybox, "wait", it.name)
        assert stdout_of(tinybox, "start", "-a", it.name).strip() == "2"
        assert it.log().split() == ["1", "2"]


def test_start_attached(tinybox: Command, image: str) -> None:
    """`start -ai` passes all bytes from the first to the last: input, both outputs, and the exit status."""
    with life(tinybox, "-i", image, "sh", "-c", "read x; echo got $x; echo err >&2; exit 42", verb="create") as it:
        done = tinybox("start", "-ai", it.name, text="a line\n")
        assert (done.returncode, done.stdout, done.stderr) == (42, "got a line\n", "err\n")


def test_attach_without_a_terminal(tinybox: Command, image: str) -> None:
    """Input of `attach` is input of the program, and its end the input's end unless `run -d` made the container."""
    with life(tinybox, "-i", image, "sh", "-c", "tr a-z A-Z; exit 5", verb="create") as it:
        stdout_of(tinybox, "start", it.name)
        done = tinybox("attach", it.name, text="shout\n")
        assert (done.returncode, done.stdout, done.stderr) == (5, "SHOUT\n", "")


def test_attach_to_a_terminal(tinybox: Command, image: str) -> None:
    """On a pty: prompt, window size, a change of it, the detach keys; the container goes on, attach works again."""
    with life(tinybox, "-it", *SHELL, image, "sh") as it:
        with screen(tinybox, "attach", it.name, rows=31, columns=97) as first:
            until(first.is_raw)
            reach_the_prompt(first)
            assert first.ask("stty size") == "31 97"
            first.resize(50, 132)
            until(lambda: first.ask("stty size").endswith("50 132"))
            first.ask("mark=here")
            first.type("\x10\x11")
            assert first.status() == 0
            assert first.mode() == first.former
        assert lives(it.pid)
        with screen(tinybox, "attach", "--detach-keys", "ctrl-a,x", it.name) as second:
            until(second.is_raw)
            reach_the_prompt(second)
            assert second.ask("echo $mark") == "here"
            second.type("\x01x")
            assert second.status() == 0
        with screen(tinybox, "attach", it.name) as third:
            until(third.is_raw)
            third.type("\nexit 9\n")
            assert third.status() == 9
        assert it.ended()["exitCode"] == 9


def reach_the_prompt(it: Screen) -> None:
    """Type until the shell answers; it may have printed a prompt before the client attached, or not yet."""
    it.type("echo th''ere\n")
    it.wait_for("there\r\n")
    it.wait_for(PROMPT)


def test_exec_joins_everything(tinybox: Command, image: str) -> None:
    """The joined process has all eight namespaces of PID 1, its control groups, root, capabilities and filter."""
    with life(tinybox, "-m", "64m", image, *FOREVER) as it:
        own = tinybox.start("exec", it.name, "sleep", "77.7")
        try:
            until(lambda: joined("77.7"))
            [seen] = joined("77.7")
            for kind in (*NAMESPACES, "time", "pid_for_children"):
                assert namespace(seen, kind) == namespace(it.pid, kind), kind
                assert kind in ("user", "time") or namespace(seen, kind) != namespace(os.getpid(), kind), kind
            assert groups(seen) == groups(it.pid) != groups(os.getpid())
            program = children_of(it.pid)[0]
            for name in ("CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb", "Seccomp", "NoNewPrivs", "Uid", "Gid"):
                assert field(seen, name) == field(program, name), name
            assert field(seen, "Seccomp") == "2"
            assert field(seen, "CapEff") != field(os.getpid(), "CapEff")
            assert os.stat(f"/proc/{seen}/root").st_ino == os.stat(f"/proc/{it.pid}/root").st_ino
            assert field(seen, "NSpid").split()[-1] != "1"
        finally:
            os.kill(seen, 9)
            own.communicate()


def joined(word: str) -> list[int]:
    """Find the processes that have *word* among their arguments and have already been executed."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[0] == b"sleep" and word.encode() in words:
            found.append(int(name))
    return found


def namespace(pid: int, kind: str) -> str:
    """Return the number of one namespace of a process."""
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def groups(pid: int) -> str:
    """Return the control groups of a process."""
    return Path(f"/proc/{pid}/cgroup").read_text()


def children_of(pid: int) -> list[int]:
    """Return the children of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_exec_options(tinybox: Command, image: str) -> None:
    """-i, -u, -w, -e, --privileged and the exit status are docker's; settings not given are the container's."""
    with life(tinybox, "-e", "KEPT=1", "-w", "/tmp", image, *FOREVER) as it:
        assert it.inside("pwd; id -u; echo $KEPT$GIVEN").split() == ["/tmp", "0", "1"]
        asked = ("-w", "/etc", "-u", "1000:1001", "-e", "GIVEN=2")
        assert it.inside("pwd; id -u; id -g; echo $KEPT$GIVEN", *asked).split() == ["/etc", "1000", "1001", "12"]
        assert stdout_of(tinybox, "exec", "-i", it.name, "cat", text="through\n") == "through\n"
        assert stdout_of(tinybox, "exec", it.name, "cat", text="not through\n") == ""
        plain, all_of_them = (
            int(it.inside("grep CapEff /proc/self/status", *o).split()[1], 16) for o in ((), ("--privileged",))
        )
        assert plain & all_of_them == plain != all_of_them
        assert it.inside("grep Seccomp: /proc/self/status", "--privileged").split()[1] == "0"
        assert tinybox("exec", it.name, "sh", "-c", "exit 42").returncode == 42
        assert tinybox("exec", it.name, "sh", "-c", "kill -9 $$").returncode == 137
        one_line(tinybox("exec", it.name, "nothing-of-this-name"), 127, "not found")
        one_line(tinybox("exec", it.name, "/etc"), 126, "is a directory")


def test_exec_on_a_terminal(tinybox: Command, image: str) -> None:
    """`exec -it` gives the joined program a terminal of its own, of the box's devpts, with the size of the caller's."""
    with life(tinybox, "-it", image, *FOREVER) as it, screen(tinybox, "exec", "-it", *SHELL, it.name, "sh") as shell:
        shell.wait_for(PROMPT)
        assert shell.ask("tty") == "/dev/pts/1"
        assert shell.ask("stty size") == "24 80"
        shell.resize(40, 100)
        until(lambda: shell.ask("stty size").endswith("40 100"))
        shell.type("exit 3\n")
        assert shell.status() == 3
        assert shell.mode() == shell.former


def test_exec_in_the_background(tinybox: Command, image: str) -> None:
    """`exec -d` returns once the program runs and keeps no stream of the caller; then the box's PID 1 is its parent."""
    with life(tinybox, image, *FOREVER) as it:
        # If it held this pipe, the read would not end.
        assert stdout_of(tinybox, "exec", "-d", it.name, "sh", "-c", "echo unheard; exec sleep 3333.3") == ""
        until(lambda: "3333.3" in it.inside("ps"))
        rows = json.loads(f"[{','.join(stdout_of(tinybox, 'top', '--format', 'json', it.name).splitlines())}]")
        row = next(row for row in rows if "3333.3" in row["CMD"])
        assert int(row["PPID"]) == it.pid
        one_line(tinybox("exec", "-d", it.name, "nothing-of-this-name"), 1, "not found")


def test_stop(tinybox: Command, image: str) -> None:
    """`stop` sends the stop signal and waits; -t sets the seconds until KILL; --signal chooses another signal."""
    with life(tinybox, image, *FOREVER) as it:
        assert stdout_of(tinybox, "stop", it.name) == f"{it.name}\n"
        assert it.state["exitCode"] == 7
        assert stdout_of(tinybox, "stop", it.name) == f"{it.name}\n"  # it is stopped already: no error
    script = "trap '' TERM; trap 'exit 8' HUP; while :; do sleep 0.05; done"
    with life(tinybox, "--stop-timeout", "100000", image, "sh", "-c", script) as deaf:
        begin = time.monotonic()
        stdout_of(tinybox, "stop", "-t", "1", deaf.name)  # otherwise `stop` would wait for a day
        assert deaf.state["exitCode"] == 137
        assert time.monotonic() - begin >= 1
        stdout_of(tinybox, "start", deaf.name)
        deaf.await_traps()
        stdout_of(tinybox, "stop", "-s", "HUP", deaf.name)
        assert deaf.state["exitCode"] == 8
    words = ("--stop-signal", "USR1", "--stop-timeout", "1", image, "sh", "-c")
    with life(tinybox, *words, "trap 'exit 9' USR1; while :; do sleep 0.05; done") as own:
        for seconds in ("nan", "inf", "1e400", "-1e400", "9" * 400):
            one_line(tinybox("stop", "-t", seconds, own.name), 125, "is not a time in seconds")
        assert lives(own.pid)  # the control: nothing was sent
        stdout_of(tinybox, "stop", own.name)
        assert own.state["exitCode"] == 9
    words = ("--stop-signal", "SIGRTMIN+3", "--stop-timeout", "2147483648", image, "sh", "-c")  # systemd's own
    with life(tinybox, *words, "trap 'echo hello' 39; trap 'exit 6' 37; while :; do sleep 0.05; done") as real_time:
        stdout_of(tinybox, "kill", "-s", "RTMIN+5", real_time.name)
        until(lambda: "hello" in real_time.log())
        stdout_of(tinybox, "stop", real_time.name)
        assert real_time.state["exitCode"] == 6


def test_kill_wait_and_restart(tinybox: Command, image: str) -> None:
    """`kill -s` sends that signal; `wait` prints the status; `restart` starts the container with another PID 1."""
    with life(
        tinybox, image, "sh", "-c", "trap 'echo usr1' USR1; trap 'exit 7' TERM; while :; do sleep 0.05; done"
    ) as it:
        stdout_of(tinybox, "kill", "-s", "USR1", it.name)
        until(lambda: "usr1" in it.log())
        first = it.pid
        stdout_of(tinybox, "restart", "-t", "3", it.name)
        assert it.pid != first
        assert lives(it.pid)
        assert not lives(first)
        with tinybox.start("wait", it.name) as waiting:
            until(lambda: field(waiting.pid, "State").startswith("S"))
            stdout_of(tinybox, "kill", it.name)
            out, _ = waiting.communicate(timeout=60 * SLOWNESS)
        assert (waiting.returncode, out) == (0, "137\n")
        one_line(tinybox("kill", it.name), 1, "is not running")
        one_line(tinybox("kill", "-s", "NOSIG", it.name), 1, "no such signal")


def test_wait_returns_at_the_first_end(tinybox: Command, image: str) -> None:
    """With a restart policy, `wait` prints the status of the first end, as docker's; the container runs again."""
    script = "test -e /again && exec sleep 100; until test -e /go; do sleep 0.02; done; rm /go; exit 5"
    with life(tinybox, "--restart", "always", image, "sh", "-c", script) as it:
        with tinybox.start("wait", it.name) as waiting:
            until(lambda: field(waiting.pid, "State").startswith("S"))
            it.inside("touch /go")
            assert waiting.communicate(timeout=60 * SLOWNESS)[0] == "5\n"
        until(lambda: it.state.get("restarts") == 1 and lives(it.pid))
        with tinybox.start("wait", it.name) as waiting:
            until(lambda: field(waiting.pid, "State").startswith("S"))
            it.inside("touch /again /go")
            assert waiting.communicate(timeout=60 * SLOWNESS)[0] == "5\n"
        until(lambda: it.state.get("restarts") == 2 and lives(it.pid))
        with tinybox.start("wait", it.name) as waiting:
            stdout_of(tinybox, "kill", it.name)
            assert waiting.communicate(timeout=60 * SLOWNESS)[0] == "137\n"


def test_pause_and_unpause(tinybox: Command, image: str) -> None:
    """A paused box stands still and `ps` says so; exec is refused; unpaused, it goes on; `stop` works on both."""
    with life(tinybox, image, "sh", "-c", "while :; do echo x >> /beat; sleep 0.02; done") as it:
        beat = Path(it.root / "containers" / it.id / "upper" / "beat")
        until(beat.exists)
        stdout_of(tinybox, "pause", it.name)
        assert status_of(tinybox, it).endswith("(Paused)")
        size = beat.stat().st_size
        time.sleep(0.3)
        assert beat.stat().st_size == size
        one_line(tinybox("exec", it.name, "true"), 1, "is paused")
        one_line(tinybox("pause", it.name), 1, "already paused")
        stdout_of(tinybox, "unpause", it.name)
        until(lambda: beat.stat().st_size > size)
        one_line(tinybox("unpause", it.name), 1, "not paused")
        stdout_of(tinybox, "pause", it.name)
        stdout_of(tinybox, "stop", "-t", "2", it.name)
        assert it.state["status"] == "stopped"


def test_rename(tinybox: Command, image: str) -> None:
    """The new name finds the container and the old one is free; a name in use, or an empty one, is refused."""
    with life(tinybox, image, *FOREVER) as it, life(tinybox, image, "true", verb="create") as other:
        name = new_name()
        stdout_of(tinybox, "rename", it.name, name)
        assert tinybox("exec", name, "true").returncode == 0
        one_line(tinybox("exec", it.name, "true"), 1, "no such container")
        one_line(tinybox("rename", name, other.name), 1, "already in use")
        one_line(tinybox("rename", name, "no/name"), 1, "not allowed")
        assert os.readlink(it.root / "run" / name) == it.id
        stdout_of(tinybox, "rename", name, it.name)


def test_rm(tinybox: Command, image: str) -> None:
    """`rm` removes containers at rest, with -f also running ones, with -v nameless volumes; it reports each error."""
    with life(tinybox, "-v", "/nameless", "-v", "named:/n", image, *FOREVER) as it:
        volumes = set(os.listdir(it.root / "volumes"))
        one_line(tinybox("rm", it.name), 1, "is running", f"rm -f {it.name}")
        done = tinybox("rm", "-fv", "nothing-of-this-name", it.name)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (0, f"{it.name}\n", 1)
        assert not (it.root / "containers" / it.id).exists()
        assert len(volumes - set(os.listdir(it.root / "volumes"))) == 1
        stdout_of(tinybox, "volume", "rm", "named")
        done = tinybox("rm", "nothing-of-this-name", it.name)  # the control: without -f a missing container is an error
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 2)
    with life(tinybox, image, "true", verb="create") as new:
        assert stdout_of(tinybox, "wait", new.name) == "0\n"  # the container never ran, which docker counts as 0
        shown = stdout_of(tinybox, "inspect", "-f", "{{.Name}}", new.name).strip()
        assert stdout_of(tinybox, "inspect", "-f", "{{.Id}}", shown) == f"{new.id}\n"  # /NAME is a name, too
        assert stdout_of(tinybox, "rm", new.id[:12]) == f"{new.id[:12]}\n"


def test_update(tinybox: Command, image: str) -> None:
    """New limits hold at once, in the kernel's own files, and also after a restart; the others do not change."""
    with life(tinybox, "-m", "64m", "--pids-limit", "50", image, *FOREVER) as it:
        assert limit(it, "memory") == 64 << 20
        stdout_of(
            tinybox, "update", "-m", "48m", "--memory-swap", "96m", "--pids-limit", "33", "--cpus", "0.5", it.name
        )
        for _ in range(2):
            assert limit(it, "memory") == 48 << 20
            assert limit(it, "pids") == 33
            assert limit(it, "cpu") == 0.5
            stdout_of(tinybox, "restart", "-t", "0", it.name)
        stdout_of(tinybox, "update", "--cpuset-cpus", "0", it.name)  # a controller that no limit needed before
        assert os.sched_getaffinity(it.pid) == {0}
        one_line(tinybox("update", "-m", "1k", it.name), 1, "memory")
        one_line(tinybox("update", it.name), 1, "no option was given")
        assert limit(it, "memory") == 48 << 20


def limit(it: Life, controller: str) -> float:
    """Read a limit of a container from the kernel's file of version 2 or 1: bytes, processes, CPUs."""
    files = {
        "memory": ("memory.max", "memory.limit_in_bytes"),
        "pids": ("pids.max",),
        "cpu": ("cpu.max", "cpu.cfs_quota_us"),
    }
    top = Path("/sys/fs/cgroup")
    folders = [top / no_trace.room() / it.id, *top.glob(f"*/{no_trace.room()}/{it.id}")]
    found = next(folder / name for folder in folders for name in files[controller] if (folder / name).exists())
    value = found.read_text()
    if controller != "cpu":
        return int(value)
    period = found.with_name("cpu.cfs_period_us")
    quota, per = (value, period.read_text()) if period.exists() else value.split()
    return int(quota) / int(per)


def test_logs(tinybox: Command, image: str) -> None:
    """The two streams apart, the last lines, a start time, timestamps; -f until the end; the lines survive the end."""
    script = "echo one; echo two >&2; until test -e /go; do sleep 0.05; done; echo three; echo four"
    with life(tinybox, image, "sh", "-c", script) as it:
        with tinybox.start("logs", "-f", it.name) as following:
            assert following.stdout
            assert following.stderr
            assert (following.stdout.readline(), following.stderr.readline()) == ("one\n", "two\n")
            it.inside("touch /go")  # the next line is printed later, so its time is later
            assert following.communicate(timeout=60 * SLOWNESS) == ("three\nfour\n", "")
        it.ended()
        done = tinybox("logs", it.name)
        assert (done.stdout, done.stderr) == ("one\nthree\nfour\n", "two\n")
        assert stdout_of(tinybox, "logs", "--tail", "2", it.name) == "three\nfour\n"
        stamped = tinybox("logs", "-t", it.name).stdout.splitlines()
        moment = stamped[1].split()[0]
        assert tinybox("logs", "--since", moment, it.name).stdout == "three\nfour\n"
        assert tinybox("logs", "--until", moment, it.name).stdout.startswith("one\n")


def test_reading_commands(tinybox: Command, image: str) -> None:
    """top, tree, ns, stats, inspect, port and events: each reports the facts of this container, also as JSON."""
    with life(tinybox, "-m", "64m", "--label", "a=b", image, *FOREVER) as it:
        assert "tinybox:init" in stdout_of(tinybox, "top", it.name)
        assert str(it.pid) in stdout_of(tinybox, "tree", it.name)
        rows = [json.loads(line) for line in stdout_of(tinybox, "ns", "--format", "json", it.name).splitlines()]
        assert len(rows) == 8
        usage = json.loads(stdout_of(tinybox, "stats", "--no-stream", "--format", "json", it.name))
        assert usage["MemUsage"].endswith("/ 64MiB")
        assert it.shown("{{.State.Status}} {{.State.Pid}} {{.Config.Labels.a}}") == f"running {it.pid} b"
        assert stdout_of(tinybox, "port", it.name) == ""
        stdout_of(tinybox, "stop", it.name)
        happened = stdout_of(tinybox, "events", "--since", "10m", "--until", "0s", "--filter", f"container={it.name}")
        words = [line.split()[2] for line in happened.splitlines()]
        assert words == ["create", "start", "top", "kill", "die", "stop"]


def test_its_files(tinybox: Command, image: str, tmp_path: Path) -> None:
    """diff, cp both ways, export and commit: files that the container wrote are listed, copied, packed, committed."""
    with life(tinybox, image, "sh", "-c", "echo made > /made; echo READY; while :; do sleep 0.05; done") as it:
        until(lambda: "READY" in it.log())
        assert "A /made" in stdout_of(tinybox, "diff", it.name)
        tinybox("cp", f"{it.name}:/made", str(tmp_path / "out"))
        assert (tmp_path / "out").read_text() == "made\n"
        tinybox("cp", str(tmp_path / "out"), f"{it.name}:/in")
        assert it.inside("cat /in") == "made"
        stdout_of(tinybox, "export", "-o", str(tmp_path / "all.tar"), it.name)
        with tarfile.open(tmp_path / "all.tar") as archive:
            assert "made" in archive.getnames()
        tag = f"walk-{image}"
        tinybox("commit", it.name, tag)
        assert stdout_of(tinybox, "run", "--rm", tag, "cat", "/made", "/in") == "made\nmade\n"
        assert tinybox("rmi", tag).returncode == 0


def test_prune_and_volumes(tinybox: Command, image: str) -> None:
    """`volume` makes, lists, shows and removes; `prune` removes containers at rest and no others."""
    name = new_name()
    assert stdout_of(tinybox, "volume", "create", name) == f"{name}\n"
    assert name in stdout_of(tinybox, "volume", "ls")
    assert json.loads(stdout_of(tinybox, "volume", "inspect", name))[0]["Name"] == name
    with life(tinybox, "-v", f"{name}:/v", image, *FOREVER) as it, life(tinybox, image, "true", verb="create") as new:
        one_line(tinybox("volume", "rm", name), 1, "in use")
        tinybox("prune", "-f")
        assert not (new.root / "containers" / new.id).exists()
        assert lives(it.pid)
    assert stdout_of(tinybox, "volume", "rm", name) == f"{name}\n"


def test_names_prefixes_and_several_at_once(tinybox: Command, image: str) -> None:
    """A name, an id or its beginning is the same container; several are handled in order; an unknown one fails."""
    with life(tinybox, image, *FOREVER) as one, life(tinybox, image, *FOREVER) as two:
        for word in (one.name, one.id, one.id[:12]):
            assert stdout_of(tinybox, "exec", word, "hostname").strip() == one.id[:12]
        done = tinybox("stop", one.name, "nothing-of-this-name", two.name)
        assert done.returncode == 1
        assert done.stdout == f"{one.name}\n{two.name}\n"
        assert done.stderr.count("\n") == done.stderr.count("no such container") == 1
        assert stdout_of(tinybox, "start", one.name, two.name) == f"{one.name}\n{two.name}\n"
        assert lives(one.pid)
        assert lives(two.pid)
