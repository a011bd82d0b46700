"""The exit status of `tinybox run` is the program's, or 125, 126 or 127 if no program ran, as in docker-run(1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.boxes import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

pytestmark = pytest.mark.root

MODES = ("forward", "none")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 42", 42), ("exit 255", 255)])
def test_the_status_is_the_program_s(tinybox: Command, mode: str, script: str, status: int) -> None:
    """`exit 42` inside is 42 outside, with tinybox's init as PID 1 and with the program as PID 1."""
    done = tinybox("run", "--rm", f"--init={mode}", "busybox", "sh", "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


@pytest.mark.parametrize(("signal", "status"), [("KILL", 137), ("TERM", 143), ("SEGV", 139)])
def test_a_program_that_a_signal_ended_is_128_and_its_number(tinybox: Command, signal: str, status: int) -> None:
    """128 + N if signal N ended the program; a program that goes on after the kill ends with its own status."""
    done = tinybox("run", "--rm", "busybox", "sh", "-c", f"kill -{signal} $$; exit 7")
    assert done.returncode == status
    assert tinybox("run", "--rm", "busybox", "sh", "-c", f"kill -{signal} 99999; exit 7").returncode == 7


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("program", "status", "cause"),
    [
        ("nothing-of-this-name", 127, "executable file not found in $PATH"),
        ("", 127, "executable file not found in $PATH"),
        ("/no/such/file", 127, "no such file or directory"),
        ("/tools/lost-interpreter", 127, "no such file or directory (its interpreter /no/such/shell is missing)"),
        ("/tools/crlf", 127, "(its interpreter /bin/sh\\r is missing: the lines of the script end with CRLF"),
        ("-it", 127, "executable file not found in $PATH (options go before IMAGE"),
        ("/bin", 126, "is a directory"),
        ("/etc/passwd", 126, "permission denied"),
        ("/tools/not-for-this-machine", 126, "exec format error"),
    ],
)
def test_programs_that_cannot_be_executed(
    tinybox: Command, tmp_path: Path, mode: str, program: str, status: int, cause: str
) -> None:
    """127: there is no such program; 126: it exists and the kernel refuses it; with an init and without one."""
    scripts = {"lost-interpreter": "#!/no/such/shell\n", "crlf": "#!/bin/sh\r\nexit\r\n"}
    for name, content in (scripts | {"not-for-this-machine": "MZ and no ELF\n"}).items():
        (tmp_path / name).write_bytes(content.encode())
        (tmp_path / name).chmod(0o755)
    done = tinybox("run", "--rm", f"--init={mode}", "-v", f"{tmp_path}:/tools", "busybox", program)
    one_line(done, status, f'exec "{program}"', cause)


def test_a_script_with_an_interpreter_runs(tinybox: Command, tmp_path: Path) -> None:
    """The control: the same kind of file in the same place, with an interpreter that exists."""
    (tmp_path / "script").write_text("#!/bin/sh\necho it runs\n")
    (tmp_path / "script").chmod(0o755)
    done = tinybox("run", "--rm", "-v", f"{tmp_path}:/tools", "busybox", "/tools/script")
    assert (done.returncode, done.stdout) == (0, "it runs\n")


def test_a_program_that_only_root_may_execute(tinybox: Command, tmp_path: Path) -> None:
    """Root runs a program of mode 0700, another user gets 126; a directory closed to the user is 126, for root 127."""
    tmp_path.chmod(0o755)
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho run by $(id -u)\n")
    run, user = ("run", "--rm", "-v", f"{tmp_path}:/tools"), ("-u", "1000")
    program.chmod(0o700)
    assert tinybox(*run, "busybox", "/tools/program").stdout == "run by 0\n"
    one_line(tinybox(*run, *user, "busybox", "/tools/program"), 126, 'exec "/tools/program"', "permission denied")
    program.chmod(0o755)
    assert tinybox(*run, *user, "busybox", "/tools/program").stdout == "run by 1000\n"
    one_line(tinybox(*run, *user, "busybox", "/root/x"), 126, "permission denied")
    one_line(tinybox(*run, "busybox", "/root/x"), 127, "no such file")


def test_a_program_is_searched_in_the_path_of_the_box(tinybox: Command, tmp_path: Path) -> None:
    """$PATH is the box's: with another value the same name is another program, or none."""
    (tmp_path / "id").write_text("#!/bin/sh\necho mine\n")
    (tmp_path / "id").chmod(0o755)
    words = ("run", "--rm", "-v", f"{tmp_path}:/tools")
    assert tinybox(*words, "-e", "PATH=/tools:/bin", "busybox", "id").stdout == "mine\n"
    assert tinybox(*words, "busybox", "id").stdout.startswith("uid=0")
    one_line(tinybox(*words, "-e", "PATH=/tmp", "busybox", "id"), 127, "not found in $PATH")
