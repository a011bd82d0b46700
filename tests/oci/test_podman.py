"""podman with tinybox as its runtime: every check that passes with runc on this machine passes with tinybox, too.

Each check is a function of a podman and runs with both runtimes; the results are printed in two columns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_directories import PATIENCE, RUNTIME, archive_of, quarters
from tinybox.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.engine_directories import Quarters

    Check = Callable[["Podman"], None]

IMAGE = "busybox"
PAIR = ("runc", RUNTIME)
CHECKS: list[Check] = []


class Podman:
    """podman with one storage driver and one runtime."""

    def __init__(self, place: Quarters, driver: str, runtime: str) -> None:
        self.place, self.driver, self.runtime = place, driver, runtime
        places = [f"--{name}={place.folder}/{name}-{driver}" for name in ("root", "runroot", "tmpdir")]
        self.words = ["podman", *places, f"--storage-driver={driver}", f"--runtime={runtime}", "--log-level=error"]
        self.name = f"box-{'runc' if runtime == 'runc' else 'tinybox'}"

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``podman WORDS``."""
        return self.place(*self.words, *words)

    def says(self, *words: str) -> str:
        """Return what ``podman WORDS`` prints; it must succeed."""
        done = self(*words)
        assert done.returncode == 0, f"status {done.returncode}: {done.stderr.strip()}"
        return done.stdout.strip()

    def make(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run or create a container in the control group of this test."""
        return self(verb, f"--cgroup-parent={self.place.group}", "--network=none", *words)

    def run(self, *words: str) -> str:
        """Return what a container prints before it is removed."""
        done = self.make("run", "--rm", *words)
        assert done.returncode == 0, f"status {done.returncode}: {done.stderr.strip()}"
        return done.stdout.strip()

    def stays(self, *words: str) -> None:
        """Start a container that stays, named after this podman."""
        done = self.make("run", "-d", f"--name={self.name}", *words)
        assert done.returncode == 0, done.stderr

    def state(self) -> str:
        """Return podman's state of the container that stays."""
        return self.says("inspect", "--format={{.State.Status}}", self.name)

    def has_logged(self, text: str) -> None:
        """Wait until the output of the container that stays is *text*: `run -d` does not wait for output."""
        deadline = time.monotonic() + PATIENCE
        while (said := self.says("logs", self.name)) != text:
            assert time.monotonic() < deadline, said


def check(function: Check) -> Check:
    """Add a function to the checks."""
    CHECKS.append(function)
    return function


@check
def run(podman: Podman) -> None:
    """Run a program: its output, and its exit status."""
    assert podman.run(IMAGE, "echo", "hello") == "hello"
    assert podman.make("run", "--rm", IMAGE, "sh", "-c", "exit 42").returncode == 42


@check
def not_found(podman: Podman) -> None:
    """End with 127 for a missing program, and with 126 for one that cannot be executed."""
    assert podman.make("run", "--rm", IMAGE, "/no/such").returncode == 127
    assert podman.make("run", "--rm", IMAGE, "nosuch").returncode == 127
    assert podman.make("run", "--rm", IMAGE, "/etc").returncode == 126


@check
def terminal(podman: Podman) -> None:
    """Give `run -t` a terminal of the box's own."""
    assert podman.run("-t", IMAGE, "tty") == "/dev/pts/0"


@check
def limits(podman: Podman) -> None:
    """--memory --cpus --pids-limit: the kernel's files have these values."""
    script = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us 2>/dev/null"
    script += " || cat memory.max pids.max cpu.max"
    said = podman.run("--memory=64m", "--cpus=0.5", "--pids-limit=77", IMAGE, "sh", "-c", script).split()
    assert said[:3] == ["67108864", "77", "50000"], said


@check
def read_only(podman: Podman) -> None:
    """--read-only: the root cannot be written, /tmp can."""
    script = "touch /file 2>/dev/null || echo refused; touch /tmp/file && echo written"
    assert podman.run("--read-only", IMAGE, "sh", "-c", script).split() == ["refused", "written"]


@check
def volume(podman: Podman) -> None:
    """-v: a directory of the host, and a read-only one."""
    (podman.place.folder / "shared").mkdir(exist_ok=True)
    (podman.place.folder / "shared" / "file").write_text("from the host")
    where = f"{podman.place.folder}/shared"
    script = "cat /a/file; touch /b/other 2>/dev/null || echo ' refused'"
    assert podman.run("-v", f"{where}:/a", "-v", f"{where}:/b:ro", IMAGE, "sh", "-c", script) == "from the host refused"


@check
def user(podman: Podman) -> None:
    """--user: numbers, with groups."""
    said = podman.run("--user=1234:567", "--group-add=89", IMAGE, "id")
    assert "uid=1234" in said
    assert "gid=567" in said
    assert "89" in said


@check
def user_namespace(podman: Podman) -> None:
    """--uidmap: root inside is another user outside, and owns the image's files."""
    said = podman.run("--uidmap=0:100000:5000", IMAGE, "sh", "-c", "cat /proc/self/uid_map; stat -c %u /bin/sh")
    assert said.split() == ["0", "100000", "5000", "0"]


@check
def init(podman: Podman) -> None:
    """--init: catatonit is PID 1."""
    assert "init" in podman.run("--init", IMAGE, "cat", "/proc/1/cmdline")


@check
def host_network(podman: Podman) -> None:
    """--network=host: the links are the caller's."""
    done = podman(
        "run", "--rm", f"--cgroup-parent={podman.place.group}", "--network=host", IMAGE, "cat", "/proc/net/dev"
    )
    assert done.returncode == 0, done.stderr
    own = podman.place("cat", "/proc/net/dev").stdout
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        line.split(":")[0] for line in own.splitlines()
    ]


@check
def bridge(podman: Podman) -> None:
    """--network=bridge: an address of its own, and a route to the gateway."""
    group = f"--cgroup-parent={podman.place.group}"
    script = "ip -o -4 addr show eth0 && ping -c1 -W20 $(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p')"
    done = podman("run", "--rm", group, "--network=bridge", "--cap-add=NET_RAW", IMAGE, "sh", "-c", script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 packets received" in done.stdout


@check
def capabilities(podman: Podman) -> None:
    """--cap-drop: none is left."""
    assert "0000000000000000" in podman.run("--cap-drop=all", IMAGE, "grep", "CapBnd", "/proc/self/status")


@check
def seccomp(podman: Podman) -> None:
    """--security-opt seccomp=FILE: the file's call is refused."""
    refusal = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refusal]}
    path = podman.place.folder / "profile.json"
    path.write_text(json.dumps(profile))
    script = "mkdir /tmp/new 2>&1; echo $?"
    said = podman.run(f"--security-opt=seccomp={path}", IMAGE, "sh", "-c", script)
    assert "Permission denied" in said, said


@check
def life(podman: Podman) -> None:
    """`run -d`, exec, logs, pause, top, stats, update, stop, restart, kill, rm have their documented effects."""
    name = podman.name
    podman.stays("--health-cmd=test -e /tmp/well", "--health-interval=disable", IMAGE,
                 "sh", "-c", "echo born; trap 'exit 3' TERM; while :; do sleep 0.05; done")  # fmt: skip
    assert podman.says("exec", name, "echo", "inside") == "inside"
    assert podman("exec", name, "sh", "-c", "exit 7").returncode == 7
    assert podman("exec", name, "nosuch").returncode == 127
    assert podman.says("exec", "-t", name, "tty").startswith("/dev/pts/")
    podman.has_logged("born")
    assert podman("healthcheck", "run", name).returncode == 1
    assert podman.says("exec", "-u", "99", name, "id", "-u") == "99"
    podman.says("exec", "-d", name, "touch", "/tmp/well")
    podman.says("exec", name, "sh", "-c", "until test -e /tmp/well; do sleep 0.02; done")
    assert podman("healthcheck", "run", name).returncode == 0
    podman.says("pause", name)
    assert podman.state() == "paused"
    podman.says("unpause", name)
    assert podman.state() == "running"
    assert "sh -c echo born" in podman.says("top", name)
    assert name in podman.says("stats", "--no-stream", name)
    podman.says("stop", "-t", "5", name)
    assert podman.says("inspect", "--format={{.State.ExitCode}}", name) == "3"
    podman.says("restart", "-t", "1", name)
    podman.has_logged("born\nborn")
    podman.says("kill", name)
    assert podman.says("wait", name) == "137"
    podman.says("rm", name)


@check
def update(podman: Podman) -> None:
    """update: the kernel has the new limit."""
    podman.stays("--memory=64m", IMAGE, "sleep", "1000")
    podman.says("update", "--memory=128m", "--cpus=0.5", podman.name)
    script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    assert podman.says("exec", podman.name, "sh", "-c", script) == "134217728"


@check
def created(podman: Podman) -> None:
    """create, start -a: a container that waits, and its output."""
    done = podman.make("create", f"--name={podman.name}", IMAGE, "echo", "later")
    assert done.returncode == 0, done.stderr
    assert podman.says("start", "-a", podman.name) == "later"


@check
def removed_before_it_ran(podman: Podman) -> None:
    """create, and init, then rm: a container that has never run is removed without force."""
    for verbs in ([], ["init"]):
        done = podman.make("create", f"--name={podman.name}", IMAGE, "echo", "never")
        assert done.returncode == 0, done.stderr
        for verb in [*verbs, "rm"]:
            podman.says(verb, podman.name)
        assert podman("container", "exists", podman.name).returncode == 1


@check
def a_user_opens_its_streams_by_name(podman: Podman) -> None:
    """Open the pipes that podman has made, by `run` and by `exec`."""
    assert podman.run("-u", "1000", IMAGE, "sh", "-c", "echo x > /dev/stdout") == "x"
    podman.stays(IMAGE, "sleep", "100")
    assert podman.says("exec", "-u", "1000", podman.name, "sh", "-c", "echo x > /dev/stdout") == "x"


@pytest.fixture
def place(store_root: Path, driver: str) -> Iterator[Quarters]:
    """Give podman a place to run, with the image in the store of a storage *driver*."""
    with quarters("podman", "conmon", "runc") as place:
        archive = archive_of(place.folder, Store(str(store_root)).image("busybox").layers)
        done = Podman(place, driver, "runc")("import", "-q", str(archive), IMAGE)
        assert done.returncode == 0, done.stderr
        yield place


def outcome(podman: Podman, checked: Check) -> str:
    """Return ``ok``, or the first line of the failure; remove all that the check leaves."""
    try:
        checked(podman)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        return str(error).splitlines()[0] if str(error) else "failed"
    finally:
        podman("rm", "-f", "-t", "0", "-i", podman.name)
    return "ok"


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("driver", ["vfs", "overlay"])
def test_checks_that_pass_with_runc_pass_with_tinybox(
    place: Quarters, driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every check that passes with podman on runc passes on tinybox."""
    rows = [[outcome(Podman(place, driver, runtime), checked) for runtime in PAIR] for checked in CHECKS]
    lines = [f"\npodman, storage driver {driver:20} runc       tinybox"]
    for checked, (runc, tinybox) in zip(CHECKS, rows, strict=True):
        lines.append(f"  {checked.__name__:42} {runc:10.70} {tinybox:.70}")
    with capsys.disabled():
        sys.stdout.write("\n".join(lines) + "\n")
    worse = [checked.__name__ for checked, (runc, tinybox) in zip(CHECKS, rows, strict=True) if runc == "ok" != tinybox]
    assert not worse
    assert rows[0][0] == "ok"  # the control: runc itself passes
