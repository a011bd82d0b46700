"""The seccomp filter comes last: a profile lists the calls of the program, and none that tinybox makes for itself."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import TIMEOUT
from tests.support import strace
from tests.support.boxes import new_name, output, until
from tests.support.oci_bundles import Bundle, bundle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command

__all__ = ["bundle"]

pytestmark = pytest.mark.root

# What a static busybox needs for `true` and `echo`; execve starts it, and capset is tinybox's last call
STATIC = (
    "execve exit_group brk arch_prctl set_tid_address set_robust_list prlimit64 readlink readlinkat mprotect getuid "
    "getgid geteuid getegid setuid setgid prctl write newfstatat stat ioctl getrandom rseq capset"
).split()
# What an older profile of an engine has: all that programs used, and nothing that came with Linux 4 or later
OLD = [
    *STATIC,
    *"read pread64 open openat close lseek mmap munmap fstat lstat access faccessat dup dup2 pipe pipe2 fcntl".split(),
    *"rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigsuspend kill getpid getppid getpgid".split(),
    *"setpgid getsid setsid gettid tgkill wait4 waitid clone fork vfork chdir fchdir getcwd uname umask".split(),
    *"setgroups getgroups setresuid setresgid getresuid getresgid getdents64 poll select nanosleep futex time".split(),
    *"clock_gettime clock_nanosleep gettimeofday getrlimit setitimer sigaltstack madvise mremap sysinfo".split(),
]


def profile(folder: Path, names: list[str], action: str = "SCMP_ACT_ERRNO") -> str:
    """Write a profile that allows only the calls *names*, and return its path."""
    path = folder / "profile.json"
    path.write_text(json.dumps(allowing(names, action)))
    return str(path)


def allowing(names: list[str], action: str = "SCMP_ACT_ERRNO") -> dict[str, object]:
    """Return a profile that allows only the calls *names*; *action* meets the others."""
    return {"defaultAction": action, "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]}


WAYS = [
    (),
    ("--init=reap",),
    ("--init=none",),
    ("--security-opt", "no-new-privileges"),
    ("-u", "1000:1000"),
    ("-u", "1000", "--cap-add", "SYS_ADMIN", "--init=none"),
    ("--userns", "private"),
    ("--pid", "host"),
    ("--read-only", "--tmpfs", "/tmp"),
]


@pytest.mark.parametrize("options", WAYS, ids=" ".join)
def test_a_program_runs_with_the_calls_that_it_makes_itself(
    tinybox: Command, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Twenty calls are enough for echo: another one would have killed it, tinybox's or its own."""
    words = ("--security-opt", f"seccomp={profile(tmp_path, STATIC, 'SCMP_ACT_KILL_PROCESS')}", *options)
    assert output(tinybox, *words, "busybox", "echo", "said") == "said\n"


def test_a_call_that_is_not_listed_kills(tinybox: Command, tmp_path: Path) -> None:
    """The control: without write(2), echo is killed by SIGSYS."""
    names = [name for name in STATIC if name != "write"]
    words = ("--security-opt", f"seccomp={profile(tmp_path, names, 'SCMP_ACT_KILL_PROCESS')}")
    done = tinybox("run", "--rm", *words, "busybox", "echo", "said")
    assert (done.returncode, done.stdout) == (128 + 31, "")


@pytest.mark.parametrize("options", WAYS[:6], ids=" ".join)
def test_only_capset_and_execve_come_after_the_filter(
    tinybox: Command, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """In the process that becomes the program; with no-new-privileges it is execve alone."""
    log = tmp_path / "strace"
    words = [strace.strace(), "-ff", "-o", str(log), tinybox.path, "run", "--rm", *options, "busybox", "true"]
    done = subprocess.run(words, env=tinybox.environment, capture_output=True, check=False, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    found = []
    for path in tmp_path.glob("strace.*"):
        calls = strace.calls_of(path.read_text())
        started = [number for number, call in enumerate(calls) if 'execve("/bin/true"' in call.line]
        filters = [number for number, call in enumerate(calls) if "SECCOMP_SET_MODE_FILTER" in call.line]
        if started:
            found.append([call.name for call in calls[filters[0] + 1 : started[0] + 1]])
    unprivileged = options == ("--security-opt", "no-new-privileges")
    assert found == [["execve"] if unprivileged else ["capset", "execve"]]


def test_an_old_profile_is_enough_for_exec_and_health_checks(tinybox: Command, tmp_path: Path) -> None:
    """Every way into a running box, with a profile that has no call of Linux 4 or later; also if it may trace."""
    words = (
        "--security-opt",
        f"seccomp={profile(tmp_path, OLD)}",
        "--health-cmd",
        "echo well",
        "--health-interval",
        "1s",
    )
    for options in ((), ("--cap-add", "SYS_PTRACE"), ("--init=none",), ("--userns", "private")):
        name = new_name()
        tinybox("run", "-d", "--name", name, *words, *options, "busybox", "sleep", "1000")
        try:
            for more in ((), ("-u", "1000"), ("-t",), ("-w", "/tmp")):
                done = tinybox("exec", *more, name, "echo", "said")
                assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "said", ""), (options, more)
            if "--init=none" not in options:  # without PID 1's help, its caller has to reap what exec -d leaves
                assert tinybox("exec", "-d", name, "sh", "-c", "echo > /tmp/made").returncode == 0
                await_output(tinybox, "made", "exec", name, "ls", "/tmp")
            await_output(tinybox, "healthy", "inspect", "-f", "{{.State.Health.Status}}", name)
        finally:
            removed = tinybox("rm", "-f", name)
            assert removed.returncode == 0, removed


def await_output(tinybox: Command, text: str, *words: str) -> None:
    """Wait until ``tinybox WORDS`` prints *text*."""
    until(lambda: tinybox(*words).stdout.strip() == text)


def test_the_filter_is_that_of_the_program_everywhere(tinybox: Command) -> None:
    """Mode 2 in the program, in PID 1 and in each exec; PID 1's own filter allows it only to wait and to signal."""
    look = "grep -h ^Seccomp: /proc/self/status /proc/1/status"
    assert output(tinybox, "busybox", "sh", "-c", look).split() == ["Seccomp:", "2"] * 2


@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("may_trace", [True, False])
def test_hooks_of_the_container_need_no_calls_of_tinybox(
    bundle: Bundle, no_new_privileges: bool, may_trace: bool
) -> None:
    """A startContainer hook stands inside the filter, and tinybox's work for it does not, unless the box may trace."""
    bundle.process["noNewPrivileges"] = no_new_privileges
    names = [*OLD, "memfd_create", "pidfd_open"] if may_trace else STATIC
    if may_trace:
        for members in bundle.process["capabilities"].values():
            members.append("CAP_SYS_PTRACE")
    bundle.process["args"] = ["/bin/echo", "said"]
    bundle.linux["seccomp"] = allowing(names)
    hook = {"path": "/bin/busybox", "args": ["echo", "before"]}
    bundle.config["hooks"] = {"startContainer": [hook]}
    done = bundle.run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "said\n", "")
    bundle.linux["seccomp"] = allowing([name for name in names if name != "readlink"])
    bundle.config["hooks"]["startContainer"][0]["args"] = ["readlink", "/proc/self/exe"]
    bundle.refused("hooks.startContainer[0] /bin/busybox", "exit status 1")


def test_exec_of_a_bundle_needs_no_new_calls(bundle: Bundle) -> None:
    """The same for `exec` of the OCI command line, whose program has the caller's streams."""
    bundle.linux["seccomp"] = allowing(OLD)
    for no_new_privileges in (True, False):
        bundle.process["noNewPrivileges"] = no_new_privileges
        bundle.create("sleep 1000")
        assert bundle.oci("start", bundle.name).returncode == 0
        done = bundle.oci("exec", bundle.name, "/bin/echo", "said")
        assert (done.returncode, done.stdout, done.stderr) == (0, "said\n", "")
        bundle.close()


def test_a_filter_that_refuses_capset_is_named(tinybox: Command, tmp_path: Path) -> None:
    """The only call of tinybox that a profile must allow; with no-new-privileges it is not made."""
    words = ("--security-opt", f"seccomp={profile(tmp_path, [name for name in STATIC if name != 'capset'])}")
    done = tinybox("run", "--rm", *words, "busybox", "echo", "said")
    assert (done.returncode, done.stdout) == (125, "")
    assert re.search(r"linux\.seccomp: .*capset", done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert output(tinybox, *words, "--security-opt", "no-new-privileges", "busybox", "echo", "said") == "said\n"
