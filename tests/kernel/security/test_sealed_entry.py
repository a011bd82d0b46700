"""A process that enters a box brings nothing of the host with it: no program, files, capabilities or variables.

CVE-2019-5736 (the runtime's own program, overwritten from inside), CVE-2016-9962 (a process on its way in, used from
inside).
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import TIMEOUT
from tests.support.boxes import kept, new_name, pid_of, until
from tests.support.hostile_loader import Interpreter, arm, fired
from tests.support.oci_bundles import Bundle, bundle
from tests.support.process_memory import memory

if TYPE_CHECKING:
    from tests.conftest import Command

__all__ = ["bundle"]

pytestmark = pytest.mark.root

EXECS = 30


@pytest.fixture
def interpreter(tmp_path: Path) -> Interpreter:
    """Give a copy of Python for this test alone."""
    if platform.machine() != "x86_64":
        pytest.skip("the hostile loader is machine code for x86-64")
    return Interpreter(tmp_path)


def test_the_hostile_loader_works(bundle: Bundle, interpreter: Interpreter) -> None:
    """The control: below a plain chroot(2), a Python that executes itself runs the hostile loader, and is changed."""
    arm(bundle.root)
    script = f'mount -t proc proc {bundle.root}/proc && exec {interpreter.path} -c "$0"'
    escape = f"import os; os.chroot({str(bundle.root)!r}); os.execv('/proc/self/exe', ['x'])"
    environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
    subprocess.run(["unshare", "-m", "sh", "-c", script, escape], env=environment, check=False, timeout=TIMEOUT)
    assert fired(bundle.root) == str(interpreter.path)
    assert not interpreter.is_whole()


@pytest.mark.parametrize("args", [["/proc/self/exe"], ["/script"], ["/proc/self/exe", "-c", "pass"]])
def test_a_program_of_an_oci_container_is_not_the_host_s(
    bundle: Bundle, interpreter: Interpreter, args: list[str]
) -> None:
    """`tinybox-oci run` of /proc/self/exe, or of a script with that interpreter, gives the box nothing to write to."""
    arm(bundle.root)
    bundle.process["args"] = args
    bundle.save()
    interpreter("oci", "--root", str(bundle.path / "state"), "run", "-d", "--bundle", str(bundle.path), bundle.name)
    until(lambda: bundle.status() == "stopped" or fired(bundle.root))
    assert fired(bundle.root) == ""
    assert interpreter.is_whole()


@pytest.mark.parametrize("program", ["/script", "/proc/self/exe"])
def test_a_program_that_enters_an_oci_container_is_not_the_host_s(
    bundle: Bundle, interpreter: Interpreter, program: str
) -> None:
    """The same for `tinybox-oci exec`."""
    arm(bundle.root)
    bundle.create("sleep 100")
    assert bundle.oci("start", bundle.name).returncode == 0
    interpreter("oci", "--root", str(bundle.path / "state"), "exec", bundle.name, program)
    assert fired(bundle.root) == ""
    assert interpreter.is_whole()


@pytest.mark.parametrize("name", ["startContainer", "poststop"])
def test_a_hook_in_the_container_is_not_the_host_s(bundle: Bundle, interpreter: Interpreter, name: str) -> None:
    """A hook of startContainer is a file of the box; the control: poststop is looked up on the host, and missing."""
    arm(bundle.root)
    bundle.config["hooks"] = {name: [{"path": "/script"}]}
    bundle.process["args"] = ["true"]
    bundle.save()
    done = interpreter("oci", "--root", str(bundle.path / "state"), "run", "--bundle", str(bundle.path), bundle.name)
    assert "/script" in done.stderr
    assert fired(bundle.root) == ""
    assert interpreter.is_whole()


@pytest.mark.parametrize("mode", ["forward", "none"])
def test_a_program_of_a_box_is_not_the_host_s(
    tinybox: Command, tmp_path: Path, interpreter: Interpreter, mode: str
) -> None:
    """`run`, `exec`, `exec -d` and health checks each execute a script whose interpreter is /proc/self/exe."""
    arm(tmp_path)
    name, files = new_name(), ["-v", f"{tmp_path}:/out"]
    for path in ("lib64", "attack", "script"):
        files += ["-v", f"{tmp_path}/{path}:/{path}"]
    run = ("run", "--rm", f"--init={mode}", *files)
    interpreter("cli", *run, "busybox", "/script", root=tinybox.root)
    check = ("--health-cmd", "echo x >> /checks; exec /script", "--health-interval", "100ms")
    assert tinybox(*run, "-d", *check, "--name", name, "busybox", "sleep", "100").returncode == 0
    try:
        for detached in ((), ("-d",)):
            interpreter("cli", "exec", *detached, name, "/script", root=tinybox.root)
        interpreter("cli", "exec", name, "/proc/1/exe", root=tinybox.root)
        until(lambda: tinybox("exec", name, "cat", "/checks").stdout.count("x") >= 3)
    finally:
        tinybox("rm", "-f", name)
    assert fired(tmp_path) == ""
    assert interpreter.is_whole()


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """Give the path of a file of the host's that contains SECRET."""
    path = tmp_path / "secret"
    path.write_text("SECRET\n")
    return str(path)


def spy(secret: str) -> str:
    """Return a script that looks for *secret* through every process that it can see, until it is stopped."""
    return (
        "echo READY; while :; do for p in /proc/[0-9]*; do "
        f"cat $p/root{secret} 2>/dev/null; grep -a HOST_SECRE[T] $p/environ $p/cmdline 2>/dev/null; "
        "done; done"
    )


@pytest.mark.parametrize("way", ["exec", "exec -d", "pid", "health"])
def test_nothing_of_the_host_is_seen_of_an_entering_process(
    tinybox: Command, secret: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """With CAP_SYS_PTRACE a box sees no file, variable or argument of the host through a process that joins it."""
    monkeypatch.setitem(tinybox.environment, "HOST_SECRET", "HOST_SECRET of the caller")
    name = new_name()
    check = ("--health-cmd", "echo x >> /checks", "--health-interval", "100ms") if way == "health" else ()
    tinybox("run", "-d", "--cap-add", "SYS_PTRACE", *check, "--name", name, "busybox", "sh", "-c", spy(secret))
    try:
        if way == "health":
            until(lambda: tinybox("exec", name, "cat", "/checks").stdout.count("x") >= EXECS // 2)
        else:
            words = ("run", "--rm", "--pid", f"container:{name}", "busybox") if way == "pid" else (*way.split(), name)
            for _ in range(EXECS):
                done = tinybox(*words, "true")
                assert done.returncode == 0, done.stderr
        assert tinybox("logs", name).stdout == "READY\n"
    finally:
        tinybox("rm", "-f", name)


def test_the_spy_works(tinybox: Command, secret: str) -> None:
    """The control: with the host's pid namespace, it finds the file through a process of the host's."""
    box = ("--rm", "--cap-add", "SYS_PTRACE", "--pid", "host", "busybox", "timeout", "5", "sh", "-c", spy(secret))
    with kept(tinybox, *box) as process:
        with subprocess.Popen(["sleep", "100"]) as other:
            line = process.stdout.readline() if process.stdout else ""
            other.kill()
        process.kill()
    assert line == "SECRET\n"


@pytest.mark.parametrize("mode", ["forward", "reap"])
def test_the_memory_of_pid_1_has_none_of_the_host_s_variables(
    tinybox: Command, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """All memory of PID 1, as a box with CAP_SYS_PTRACE could read it; the control: tinybox's own memory has them."""
    monkeypatch.setitem(tinybox.environment, "HOST_VARIABLE", "a secret of the caller's")
    name = new_name()
    with kept(
        tinybox, "--rm", f"--init={mode}", "--name", name, "busybox", "sh", "-c", "echo READY; exec sleep 100"
    ) as process:
        first = pid_of(tinybox, name)
        assert b"a secret of the caller's" in memory(process.pid)
        assert b"a secret of the caller's" not in memory(first)
        assert b"tinybox:init" in memory(first)


def test_proc_of_a_joined_pid_namespace(tinybox: Command) -> None:
    """With --pid container:NAME, /proc is that of the other box: its processes, and none of the host's."""
    name = new_name()
    with kept(tinybox, "--rm", "--name", name, "busybox", "sh", "-c", "echo READY; exec sleep 12345"):
        for options in ((), ("--userns", "private")):
            said = tinybox("run", "--rm", "--pid", f"container:{name}", *options, "busybox", "ps").stdout
            assert "sleep 12345" in said
            assert str(Path(sys.executable)) not in said
            assert "[tinybox:proc]" not in said


@pytest.mark.parametrize("patch", ["", "program.trampoline = lambda task: []"])
@pytest.mark.parametrize("mode", ["none", "forward"])
def test_the_program_gets_no_pipe_of_tinybox(tinybox: Command, patch: str, mode: str) -> None:
    """With the trampoline, or without it (an SELinux label), the program has 0, 1, 2 and the files it opens itself."""
    script = (
        f"import sys, tinybox\nfrom tinybox.container.planning import program\n{patch}\n"
        f"ending = tinybox.run('busybox', 'ls', '/proc/self/fd', network='none', rm=True, init={mode!r})\n"
        "sys.exit(ending.status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=tinybox.environment, capture_output=True, text=True, check=False,
        timeout=TIMEOUT,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, ["0", "1", "2", "3"]), done.stderr
