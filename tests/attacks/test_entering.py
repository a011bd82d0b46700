"""Attacks on tinybox's own processes and sockets: while they enter a box, and while a box can see them."""

from __future__ import annotations

import os
import platform
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.conftest import SECRET, guarded, replaced
from tests.support.boxes import new_name
from tests.support.hostile_loader import Interpreter, arm, fired
from tinybox.container.monitor import attach_protocol
from tinybox.container.planning import entering, pid_1, planner
from tinybox.container.process.plan import Step
from tinybox.isolation import entered_root
from tinybox.linux.filesystem import descriptors
from tinybox.linux.machine_code import native_init

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.conftest import Engine, Removal
    from tests.conftest import Command
    from tests.support.hostile_images import Images
    from tinybox.container.process.plan import Plan

pytestmark = pytest.mark.root

LEAKED: set[int] = set()  # descriptors that the engine without its guard leaves open in the box


def leaking(patch: pytest.MonkeyPatch) -> None:
    """Leave some descriptors open, as runc did."""
    real = descriptors.close_all_but
    patch.setattr(descriptors, "close_all_but", lambda kept: real([*kept, *LEAKED]))


def entering_early(owner: object, after: str) -> Removal:
    """Return the removal that makes the child enter the other pid namespace right after the step *after*, and wait."""

    def remove(patch: pytest.MonkeyPatch) -> None:
        real = owner.plan  # type: ignore[attr-defined]

        def plan(*words: Any, **options: Any) -> Plan:
            made: Plan = real(*words, **options)
            last = next((step for step in made.child if step.name == "go-inside"), None)
            if last is not None:
                made.child.remove(last)
                place = next(number for number, step in enumerate(made.child) if step.name == after) + 1
                made.child[place:place] = [last, Step("linger", "Wait", "sleep(3)", time.sleep, 0.3)]
            return made

        patch.setattr(owner, "plan", plan)

    return remove


# Two guards, and each of them is enough: no descriptor is left open, and the directory must be below the root
LEAKS = (leaking, replaced(entered_root, "_check_inside", lambda _: None))
PEEK = ("sh", "-c", "cat secret 2>/dev/null; echo END")


@pytest.fixture
def leaked(outside: Path) -> Iterator[str]:
    """Leave a directory of the host open, and give its path in /proc."""
    fd = os.open(outside, os.O_RDONLY | os.O_DIRECTORY)
    LEAKED.add(fd)
    yield f"/proc/self/fd/{fd}"
    LEAKED.clear()
    os.close(fd)


@guarded(*LEAKS)
@pytest.mark.parametrize("way", ["option", "image"])
def test_a_working_directory_is_in_the_box(
    engine: Engine, images: Images, leaked: str, succeeds: bool, way: str
) -> None:
    """CVE-2024-21626: -w or an image's WORKDIR /proc/self/fd/N does not start a program in a directory of the host."""
    if way == "option":
        shown = engine.run("-w", leaked, "busybox", *PEEK)
    else:
        shown = engine.run(images.make(WorkingDir=leaked), *PEEK)
    assert (SECRET in shown) == succeeds, shown


@pytest.fixture
def idle(engine: Engine) -> Iterator[str]:
    """Keep a box that does nothing, and give its name."""
    name = new_name()
    assert engine("run", "-d", "--name", name, "busybox", "sleep", "100").status == 0
    yield name
    assert engine("rm", "-f", name).status == 0


@guarded(*LEAKS, entering_early(entering, "join"))
def test_exec_starts_in_the_box(engine: Engine, idle: str, leaked: str, succeeds: bool) -> None:
    """CVE-2024-21626, by `exec -w`; here /proc/self is no process, either, as exec enters the pid namespace last."""
    shown = engine("exec", "-w", leaked, idle, *PEEK).stdout
    assert (SECRET in shown) == succeeds, shown


@guarded(*LEAKS)
def test_a_service_starts_in_the_box(engine: Engine, leaked: str, tmp_path: Path, succeeds: bool) -> None:
    """CVE-2024-21626, by `working_dir` of a compose file."""
    file = tmp_path / "compose.yaml"
    file.write_text(
        f"name: {new_name()}\nservices:\n  it:\n    image: busybox\n    network_mode: none\n"
        f"    working_dir: {leaked}\n    command: [sh, -c, 'cat secret 2>/dev/null; echo END']\n"
    )
    try:
        engine("compose", "-f", str(file), "up", "-d")
        engine("compose", "-f", str(file), "wait", "it")
        shown = engine("compose", "-f", str(file), "logs").stdout
    finally:
        engine("compose", "-f", str(file), "down")
    assert (SECRET in shown) == succeeds, shown


@guarded(entering_early(planner, "wait"))
def test_a_process_on_its_way_in_shows_no_file_of_the_host(engine: Engine, outside: Path, succeeds: bool) -> None:
    """CVE-2016-9962: with CAP_SYS_PTRACE a box does not get at the host's files by a process that joins it."""
    name = new_name()
    look = f"while :; do for p in /proc/[0-9]*; do cat $p/root{outside}/secret 2>/dev/null; done; done"
    options = ("-d", "--cap-add", "SYS_PTRACE", "--name", name)
    assert engine("run", *options, "busybox", "sh", "-c", look).status == 0
    try:
        for _ in range(1 if succeeds else 3):
            engine("run", "--rm", "--pid", f"container:{name}", "busybox", "true")
        shown = engine("logs", name).stdout
    finally:
        engine("rm", "-f", name)
    assert (SECRET in shown) == succeeds, shown


NO_TRAMPOLINE = "from tinybox.container.planning import program; program.trampoline = lambda task: []"


@pytest.mark.parametrize("without", ["", NO_TRAMPOLINE], ids=["whole", "without-guard"])
def test_no_program_of_the_host_is_overwritten(tinybox: Command, tmp_path: Path, without: str) -> None:
    """CVE-2019-5736: a box that executes /proc/self/exe, with a loader of its own, gets no program of the host's."""
    if platform.machine() != "x86_64":
        pytest.skip("the hostile loader is machine code for x86-64")
    interpreter = Interpreter(tmp_path)
    arm(tmp_path)
    files = ["-v", f"{tmp_path}:/out"]
    for path in ("lib64", "attack", "script"):
        files += ["-v", f"{tmp_path}/{path}:/{path}"]
    interpreter("cli", "run", "--rm", "--init=none", *files, "busybox", "/script", root=tinybox.root, without=without)
    assert fired(tmp_path) == (
        str(interpreter.path) if without else ""
    )  # what the box has opened, to write to it later
    assert without or interpreter.is_whole()


LOOK = "readlink /proc/1/exe; for f in /proc/1/map_files/*; do readlink $f; done; head -c 4 /proc/1/exe | grep -c ELF"
MAY_LOOK = ("--cap-add", "SYS_PTRACE", "--cap-add", "SYS_ADMIN")


@guarded(replaced(pid_1, "native", lambda *_: ()), replaced(native_init, "stay", lambda *_, **__: None))
@pytest.mark.parametrize("way", ["capabilities", "privileged"])
def test_pid_1_shows_no_file_of_the_host(engine: Engine, succeeds: bool, way: str) -> None:
    """A hole of tinybox: a box that may trace PID 1 saw the host's Python, and could write to the host's libraries.

    /proc/1/exe and /proc/1/map_files lead to the sealed memory file alone. The control only looks: it writes nothing.
    """
    shown = engine.run(*(MAY_LOOK if way == "capabilities" else ("--privileged",)), "busybox", "sh", "-c", LOOK)
    files = {line for line in shown.splitlines() if line.startswith("/") and "memfd:tinybox:init" not in line}
    assert (os.path.realpath(sys.executable) in files, any("libc" in each for each in files)) == (succeeds, succeeds)
    assert succeeds or (files, "/memfd:tinybox:init" in shown) == (set(), True), shown


def abstract_sockets(engine: Engine) -> set[str]:
    """Return the names of abstract sockets that a box with the host's network sees; see unix(7)."""
    lines = engine.run("--network", "host", "busybox", "cat", "/proc/net/unix").splitlines()
    return {line.rpartition(" ")[2] for line in lines if " @" in line}


def listen_by_name(folder: str) -> object:
    """Listen as containerd's shim did: at a name that has no file."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.bind(b"\0tinybox" + folder.encode()[-80:])
    line.listen()
    return line


@guarded(replaced(attach_protocol, "listen", listen_by_name))
def test_no_socket_is_reached_by_the_host_s_network(engine: Engine, succeeds: bool) -> None:
    """CVE-2020-15257: the monitor of a box has no abstract socket, which a box with --network host could connect to."""
    before, name = abstract_sockets(engine), new_name()
    assert engine("run", "-d", "--name", name, "busybox", "sleep", "100").status == 0
    try:
        new = abstract_sockets(engine) - before
    finally:
        engine("rm", "-f", name)
    assert bool(new) == succeeds, new
