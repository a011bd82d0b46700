"""`exec`, its options and its streams; terminals that are sent over a socket; files that are kept open."""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.slowness import SLOWNESS
from tinybox.isolation import labels
from tinybox.isolation.cgroups.hierarchies import hierarchies
from tinybox.linux import proc

if TYPE_CHECKING:
    from tests.support.oci_runtimes import Runtime

pytestmark = pytest.mark.root


def test_exec_joins_the_container(runtime: Runtime) -> None:
    """Streams and status are the program's; it has the container's namespaces and control groups."""
    pid = runtime.runs("box")["pid"]
    done = runtime("exec", "box", "sh", "-c", "cat; exit 7", text="said")
    assert (done.returncode, done.stdout) == (7, "said")
    for kind in ("pid", "mnt", "net", "uts", "ipc", "cgroup"):
        here = os.readlink(f"/proc/{pid}/ns/{kind}")
        assert runtime("exec", "box", "readlink", f"/proc/self/ns/{kind}").stdout.strip() == here
    assert runtime("exec", "box", "cat", "/proc/1/comm").stdout == "sleep\n"


def test_exec_joins_a_container_with_control_groups_of_its_own(runtime: Runtime) -> None:
    """If only groups made by the container may hold processes, as with systemd, exec enters the first one's."""
    where = hierarchies()
    enabled = Path(f"{where.unified}/cgroup.subtree_control").read_text().split() if where.unified else []
    if not enabled:
        pytest.skip("version 2 has no controllers here, so the rule of no internal processes does not apply")
    resources = {"hugepageLimits": [{"pageSize": "2MB", "limit": 2 << 20}]} if enabled == ["hugetlb"] else {}
    runtime.change(lambda config: config["linux"]["resources"].update(resources))
    runtime.change(lambda config: config["mounts"][-1].update(options=["rw"]))
    group = f"/sys/fs/cgroup{'/unified' if where.mode == 'hybrid' else ''}"
    script = f"cd {group} && mkdir init && echo 1 > init/cgroup.procs && read one rest < cgroup.controllers"
    script = f"{script} && echo +$one > cgroup.subtree_control"
    runtime.program("sh", "-c", f"{script}; sleep 1000")
    pid = runtime.runs("box")["pid"]
    deadline = time.monotonic() + 20 * SLOWNESS
    while not enabled_above(pid, str(where.unified)):  # an earlier exec would prevent enabling it
        assert time.monotonic() < deadline
    done = runtime("exec", "box", "cat", "/proc/self/cgroup")
    assert "0::/init\n" in done.stdout, done.stderr


def enabled_above(pid: int, unified: str) -> str:
    """Return the enabled controllers of the group above that of *pid*."""
    path = proc.unified_cgroup(Path(f"/proc/{pid}/cgroup").read_text())
    return Path(f"{unified}{path}/../cgroup.subtree_control").read_text().strip() if path.endswith("/init") else ""


def test_exec_applies_its_own_options(runtime: Runtime) -> None:
    """User, groups, variables, directory, capabilities and no_new_privs are the requested ones."""
    runtime.change(lambda config: config["process"].update(noNewPrivileges=False))
    runtime.runs("box")
    script = "id -u; id -g; id -G; echo $WORD; pwd; grep -E 'NoNewPrivs|CapBnd' /proc/self/status"
    options = [
        "--user",
        "5:6",
        "-g",
        "7",
        "-e",
        "WORD=said",
        "--cwd",
        "/tmp",
        "--cap",
        "CAP_SYS_CHROOT",
        "--no-new-privs",
    ]
    said = runtime("exec", *options, "box", "sh", "-c", script).stdout.split()
    assert said == ["5", "6", "6", "7", "said", "/tmp", "CapBnd:", "0000000020040420", "NoNewPrivs:", "1"]
    plain = runtime("exec", "box", "sh", "-c", script).stdout.split()  # the control
    assert plain == ["0", "0", "0", "/", "CapBnd:", "0000000020000420", "NoNewPrivs:", "0"]


def test_the_user_of_exec_keeps_the_container_s_groups(runtime: Runtime) -> None:
    """As in runc: --user replaces only the numbers that it gives, and -g adds to the groups of the config.

    A program of exec would otherwise lose a group that a file denies; without a GID it would get root's group.
    """
    runtime.change(lambda config: config["process"].update(user={"uid": 5, "gid": 6, "additionalGids": [7, 8]}))
    runtime.runs("box")
    script = "id -u; id -g; while read -r key rest; do [ $key = Groups: ] && echo $rest; done < /proc/self/status"
    for words, shown in (
        ((), "5 6 7 8"), (("-u", "9:10"), "9 10 7 8"), (("-u", "9"), "9 6 7 8"), (("-g", "11"), "5 6 7 8 11"),
        (("-u", "9:10", "-g", "11,12"), "9 10 7 8 11 12"),
    ):  # fmt: skip
        said = runtime("exec", *words, "box", "sh", "-c", f"{script}; true").stdout
        assert said.split() == shown.split(), words


def test_home_is_that_of_the_exec_s_user(runtime: Runtime) -> None:
    """Without HOME in the options it comes from the container's /etc/passwd, for each process by its own user."""
    (runtime.bundle / "rootfs/etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nfive:x:5:5::/five:/bin/sh\n")
    runtime.program("sh", "-c", "echo $HOME; sleep 1000")
    runtime.runs("box")
    for words, home in (([], "/root"), (["-u", "5"], "/five"), (["-u", "6"], "/"), (["-e", "HOME=/x"], "/x")):
        assert runtime("exec", *words, "box", "sh", "-c", "echo $HOME").stdout == f"{home}\n"


def test_exec_of_a_process_file(runtime: Runtime) -> None:
    """--process gives the whole process as an object; --detach and --pid-file report its pid."""
    runtime.runs("box")
    wanted = {"args": ["sh", "-c", "echo $WORD; exec sleep 1000"], "cwd": "/", "env": ["WORD=said", "PATH=/bin"]}
    path, pid_file = runtime.folder / "process.json", runtime.folder / "pid"
    path.write_text(json.dumps(wanted))
    done = runtime("exec", "--detach", f"--process={path}", f"--pid-file={pid_file}", "box")
    assert done.returncode == 0, done.stderr
    pid = int(pid_file.read_text())
    assert Path(f"/proc/{pid}/root/bin/sh").exists()
    assert pid in json.loads(runtime("ps", "--format", "json", "box").stdout)
    assert "sleep 1000" in runtime("ps", "box").stdout
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)  # an orphan since the exec has ended; the container's end would wait for it to be reaped
    path.write_text(json.dumps({"cwd": "/"}))
    assert "args" in runtime("exec", f"--process={path}", "box").stderr


LOOK = """
cat /proc/self/oom_score_adj; id -u; id -g; id -G; umask; ulimit -n; ionice -p 0
grep -E '^(NoNewPrivs|CapBnd)' /proc/self/status; grep ^policy /proc/self/sched; pwd
grep ^Cpus_allowed_list /proc/self/status
"""


def test_exec_applies_all_fields_of_its_process_file(runtime: Runtime) -> None:
    """Each field is in effect in the kernel; the control, a file without them, has none of it."""
    runtime.change(lambda config: config["process"].update(oomScoreAdj=300))
    for applet in ("ionice", "id", "grep"):
        link = runtime.bundle / "rootfs/bin" / applet
        if not link.is_symlink() and not link.exists():
            link.symlink_to("busybox")
    runtime.runs("box")
    path = runtime.folder / "process.json"
    plain = {"args": ["sh", "-c", LOOK], "cwd": "/", "env": ["PATH=/bin"]}
    sets = {name: ["CAP_CHOWN"] for name in ("bounding", "effective", "permitted")}
    full = plain | {
        "cwd": "/tmp",
        "user": {"uid": 5, "gid": 6, "umask": 0o77, "additionalGids": [9]},
        "oomScoreAdj": 500,
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 77}],
        "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6},
        "scheduler": {"policy": "SCHED_BATCH"},
        "capabilities": sets,
        "noNewPrivileges": True,
        "execCPUAffinity": {"initial": "0", "final": "0"},
    }
    path.write_text(json.dumps(full))
    said = runtime("exec", f"--process={path}", "box").stdout.split()
    assert (
        said
        == (
            "500 5 6 6 9 0077 77 best-effort: prio 6 CapBnd: 0000000000000001 NoNewPrivs: 1"
            " policy : 3 /tmp Cpus_allowed_list: 0"
        ).split()
    )
    path.write_text(json.dumps(plain))
    said = runtime("exec", f"--process={path}", "box").stdout.split()
    assert said[:4] == ["300", "0", "0", "0"]  # the container's own score
    assert (said[4] != "0077", said[5] != "77") == (True, True)
    assert said[6:9] == ["none:", "prio", "0"]
    assert said[9:-3] == "CapBnd: 0000000000000000 NoNewPrivs: 0 policy : 0".split()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("scheduler", {"policy": "SCHED_NOSUCH"}, "process.scheduler.policy"),
        ("ioPriority", {"class": "IOPRIO_CLASS_RT", "priority": 9}, "process.ioPriority.priority"),
        ("rlimits", [{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}], "process.rlimits[0].type"),
        ("oomScoreAdj", 1001, "process.oomScoreAdj"),
        ("commandLine", "x", "process.commandLine"),
        ("cwd", "here", "process.cwd"),
        ("apparmorProfile", "x", "process.apparmorProfile"),
        ("selinuxLabel", "x", "process.selinuxLabel"),
    ],
)
def test_exec_refuses_a_field_by_its_name(runtime: Runtime, field: str, value: object, said: str) -> None:
    """An unsupported value is an error that names the field, and no process is made."""
    if (field, True) in (("apparmorProfile", labels.has_apparmor()), ("selinuxLabel", labels.has_selinux())):
        pytest.skip("this host has the feature that the test needs to be missing")
    runtime.runs("box")
    path = runtime.folder / "process.json"
    path.write_text(json.dumps({"args": ["true"], "cwd": "/", "env": ["PATH=/bin"], field: value}))
    done = runtime("exec", f"--process={path}", "box")
    assert done.returncode == 125
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert "no GID" in runtime("exec", "-g", "users", "box", "true").stderr


def test_a_terminal_in_the_foreground_has_the_size_of_the_config(runtime: Runtime) -> None:
    """Without a console socket the terminal of an exec has its consoleSize, too."""
    runtime.runs("box")
    path = runtime.folder / "process.json"
    process = {"args": ["stty", "size"], "cwd": "/", "env": ["PATH=/bin"], "terminal": True}
    path.write_text(json.dumps({**process, "consoleSize": {"height": 11, "width": 22}}))
    assert runtime("exec", f"--process={path}", "box").stdout.split() == ["11", "22"]


def test_exec_needs_an_existing_directory(runtime: Runtime) -> None:
    """A working directory that is missing is an error, as in runc and crun, and is not made; create's is made."""
    runtime.change(lambda config: config["process"].update(cwd="/made"))
    runtime.runs("box")
    done = runtime("exec", "--cwd", "/missing", "box", "true")
    assert done.returncode == 127
    assert "working directory /missing: No such file or directory" in done.stderr
    assert "missing" not in runtime("exec", "--cwd", "/", "box", "ls", "/").stdout
    assert runtime("exec", "box", "pwd").stdout == "/made\n"


def test_exec_needs_an_existing_program(runtime: Runtime) -> None:
    """127 for a missing program, 126 for one that may not be executed, and nothing stays."""
    runtime.runs("box")
    assert runtime("exec", "box", "nosuch").returncode == 127
    assert runtime("exec", "box", "/etc").returncode == 126
    assert len(json.loads(runtime("ps", "-f", "json", "box").stdout)) == 1


def receive(listening: socket.socket) -> tuple[bytes, int]:
    """Receive the name and the file descriptor that arrive in one message; see SCM_RIGHTS in unix(7)."""
    channel, _ = listening.accept()
    with channel:
        rights = array.array("i")
        name, ancillary, _, _ = channel.recvmsg(4096, socket.CMSG_SPACE(rights.itemsize))
        rights.frombytes(ancillary[0][2])
    return name, rights[0]


def read_to_the_end(master: int) -> bytes:
    """Read a terminal until no process inside has it open any more, which is EIO; see pts(4)."""
    said = b""
    try:
        while piece := os.read(master, 4096):
            said += piece
    except OSError:
        pass
    os.close(master)
    return said


@pytest.mark.parametrize("verb", ["create", "exec"])
def test_a_terminal_is_sent_to_the_console_socket(runtime: Runtime, verb: str) -> None:
    """The socket receives the master of a terminal of the box's own devpts, of the requested size."""
    process = {"args": ["sh", "-c", "tty; stty size; test -t 0 && echo yes"], "cwd": "/", "terminal": True}
    process |= {"env": ["PATH=/bin"], "consoleSize": {"height": 11, "width": 22}}
    path = runtime.folder / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(60 * SLOWNESS)
        if verb == "create":
            runtime.change(lambda config: config["process"].update(process))
            done = runtime.create("box", f"--console-socket={path}")
        else:
            runtime.runs("box")
            (runtime.folder / "process.json").write_text(json.dumps(process))
            words = [f"--process={runtime.folder}/process.json", f"--console-socket={path}"]
            words.append(f"--pid-file={runtime.folder}/pid")
            done = runtime("exec", "--detach", *words, "box")
        assert done.returncode == 0, done.stderr
        name, master = receive(listening)
    assert name.startswith(b"/dev/pts/")
    if verb == "create":
        assert runtime("start", "box").returncode == 0
    assert read_to_the_end(master) == name + b"\r\n11 22\r\nyes\r\n"
    if verb == "exec":
        os.waitpid(int((runtime.folder / "pid").read_text()), 0)  # an orphan: the container's end would wait for it


def test_a_terminal_needs_a_receiver(runtime: Runtime) -> None:
    """A terminal without a socket, and a socket without a terminal, are refused with messages that engines know."""
    done = runtime.create("box", "--console-socket=/nosuch")
    assert "cannot use console socket if" in done.stderr
    runtime.change(lambda config: config["process"].update(terminal=True))
    done = runtime.create("box")
    assert "without setting console socket" in done.stderr
    done = runtime.create("box", "--console-socket=/nosuch")
    assert "/nosuch" in done.stderr
    assert runtime("list", "-q").stdout == ""


def test_files_are_kept_on_request(runtime: Runtime) -> None:
    """--preserve-fds keeps the first files after 0, 1 and 2 open; without it there are none."""
    runtime.program("sh", "-c", "cat <&3; ls /proc/self/fd | wc -l")
    kept = os.memfd_create("kept", 0)
    os.write(kept, b"kept\n")
    try:
        for words, said in ((["--preserve-fds=1"], "kept\n5\n"), ([], "4\n")):
            os.lseek(kept, 0, os.SEEK_SET)
            script = f'exec 3<&{kept} && exec "$@"'
            run = ["--root", str(runtime.root), "run", "--bundle", str(runtime.bundle), *words, "box"]
            done = runtime.through(["bash", "-c", script, "bash"], run, pass_fds=[kept])
            assert done.stdout == said, done.stderr
    finally:
        os.close(kept)


@pytest.mark.parametrize("verb", ["create", "run", "exec"])
def test_a_closed_descriptor_is_not_passed_on(runtime: Runtime, verb: str) -> None:
    """The runtime's own files use the lowest free number: none of them may be taken for the caller's file 3."""
    runtime.program("sh", "-c", "ls -l /proc/self/fd; sleep 100")
    words = ["--bundle", str(runtime.bundle), "box"]
    if verb == "exec":
        runtime.runs("box")
        words = ["box", "ls", "-l", "/proc/self/fd"]
    for log in ([], ["--log", str(runtime.folder / "log")]):
        for number in ("1", "9"):
            done = runtime(*log, verb, f"--preserve-fds={number}", *words)
            assert "file descriptor 3 is not open" in done.stderr
            assert (done.returncode, done.stdout) == (125, "")
    assert runtime("list", "-q").stdout == ("box\n" if verb == "exec" else "")
    assert "is below zero" in runtime(verb, "--preserve-fds=-1", *words).stderr


def test_no_file_of_the_runtime_is_seen_inside(runtime: Runtime) -> None:
    """The program has 0, 1 and 2 (ls(1) has closed its own by then), and no pipe or lock of tinybox."""
    runtime.program("ls", "-l", "/proc/self/fd")
    done = runtime("run", "--bundle", str(runtime.bundle), "box")
    assert [line.split()[8] for line in done.stdout.splitlines() if "->" in line] == ["0", "1", "2"]
    assert str(runtime.root) not in done.stdout
