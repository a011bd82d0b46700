"""The machine of tests/vm: programs run in it, their output is seen, and nothing is left. Needs qemu, but no KVM."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.support import own_network
from tests.support.boxes import lives, until
from tests.support.slowness import SLOWNESS
from tests.vm import suite
from tests.vm.kernel import MachineError, MachineTimeoutError, fetch
from tests.vm.machine import HOST, QEMU, hardware_of, run
from tools import tally

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.vm,
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.usefixtures("kernel"),
    pytest.mark.skipif(os.path.exists("/run/machine"), reason="this is the machine already"),
    pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is missing (make test installs it)"),
]
SECONDS = 300.0 * SLOWNESS  # seconds for a command that does nothing; a boot takes five
NAMED = re.compile(r"/(?!dev/).*(?<! \(deleted\))")  # a link of /proc/PID/fd that leads to a file on a disk
COMMAND = [sys.executable, "-m", "tests.vm.machine"]


def machine_words(command: list[str], seconds: float = SECONDS) -> tuple[int, str]:
    """Return the status of *command* in a machine, and its output."""
    output = io.BytesIO()
    ending = run(command, output, seconds, {"PATH": os.environ["PATH"]})
    return ending.status, output.getvalue().decode()


def test_a_machine_has_only_version_2_and_the_files_of_this_host(tmp_path: Path) -> None:
    """There is one cgroup hierarchy, with all controllers in use; files are the host's, and do not change."""
    file = tmp_path / "file"
    file.write_text("host")
    script = """
        grep -o ' - cgroup.*' /proc/self/mountinfo
        cat /sys/fs/cgroup/cgroup.controllers "$0"
        echo machine > "$0"
        exit 7
    """
    status, said = machine_words(["sh", "-c", script, str(file)])
    assert status == 7
    lines = said.splitlines()
    assert [line.split()[1] for line in lines if line.startswith(" - ")] == ["cgroup2"]
    assert {"cpuset", "cpu", "io", "memory", "pids"} <= set(lines[1].split())
    assert lines[2:] == ["host"]
    assert file.read_text() == "host"


def test_a_folder_below_the_machine_s_disk_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has a disk at /var/tmp, but a checkout may be there, too."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder, "file").write_text("host")
        monkeypatch.chdir(folder)
        told = ["sh", "-c", 'pwd; cat file; echo > new; findmnt -no fstype -T /var/tmp; ls "$PWD"']
        assert machine_words(told) == (0, f"{folder}\nhostext4\nfile\nnew\n")
        assert os.listdir(folder) == ["file"]
        monkeypatch.undo()


@pytest.mark.timeout(1800 * SLOWNESS)  # seconds: emulated, it takes seven minutes, and on a slow machine more than ten
def test_the_chosen_tests_pass_on_version_2(store_root: Path, record_property: Callable[[str, object], None]) -> None:
    """Limits, OOM, throttling, freezing, cgroup.kill, CLONE_INTO_CGROUP, delegation, pids, cpuset and io work there."""
    output = io.BytesIO()
    ending = suite.run_tests(store_root, list(suite.CHOSEN), output, timeout=3600 * SLOWNESS)
    print(output.getvalue().decode(errors="replace"))
    assert ending.status == 0
    cases = list(ET.fromstring(ending.report).iter("testcase"))  # noqa: S314  our own pytest's
    passed = [case for case in cases if tally.outcome(case) == tally.PASSED]
    record_property("passed on version 2", len(passed))
    assert len(passed) > 30
    assert not any("v1" in case.get("name", "") for case in passed)


def child_of(pid: int) -> int:
    """Return the one child of process *pid*; see proc_pid_task(5)."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def written(pid: int) -> list[str]:
    """List the files with a name that process *pid* has open for writing; see proc_pid_fdinfo(5)."""
    files = []
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        flags = int(entry.read_text().partition("flags:")[2].split()[0], 8)
        file = os.readlink(f"/proc/{pid}/fd/{entry.name}")
        if flags & os.O_ACCMODE != os.O_RDONLY and NAMED.fullmatch(file):
            files.append(file)
    return files


def test_a_machine_ends_when_its_owner_is_killed() -> None:
    """Kill -9 of its parent process ends the machine, which has written to no file that has a name."""
    with subprocess.Popen([*COMMAND, "sh", "-c", "echo up; sleep 1000"], stdout=subprocess.PIPE) as owner:
        try:
            assert owner.stdout
            assert owner.stdout.readline() == b"up\n"
            machine = child_of(owner.pid)
            assert Path(f"/proc/{machine}/comm").read_text() == QEMU[:15] + "\n"
            assert written(machine) == []
        finally:
            owner.kill()
    until(lambda: not lives(machine))


def test_a_machine_that_takes_too_long_is_ended() -> None:
    """After its timeout, there is no machine, and that is reported."""
    with pytest.raises(MachineTimeoutError):
        machine_words(["sleep", "1000"], 1)


def test_a_machine_without_qemu_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error names the program and its package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match=f"{QEMU} is missing .*apt-get install {hardware_of(HOST).package}"):
        machine_words(["true"])


def test_a_machine_that_dies_shows_its_console() -> None:
    """A machine that is switched off during its command is an error."""
    with pytest.raises(MachineError, match="ended without a status"):
        machine_words(["sh", "-c", "echo o > /proc/sysrq-trigger; sleep 1000"])


def test_two_parallel_downloads_of_the_kernel_get_the_same(tmp_path: Path) -> None:
    """The second waits for the first, and of the download only the kernel stays."""
    with own_network.of_the_machine(), ThreadPoolExecutor(2) as pool:
        first, second = pool.map(fetch, [tmp_path / "vm/kernel"] * 2)
    assert first == second
    assert first.image.is_file()
    assert os.listdir(tmp_path / "vm") == ["kernel"]
