"""Seccomp filters in the kernel: each claim is tested in a child with the filter, its control in one without."""

from __future__ import annotations

import array
import ctypes
import errno
import mmap
import os
import platform
import signal
import socket
import struct
import sys
from fcntl import ioctl
from typing import TYPE_CHECKING, Any

import pytest

from tinybox.errors import SyscallError
from tinybox.isolation.seccomp import filters
from tinybox.isolation.seccomp.compiler import compile_profile
from tinybox.isolation.seccomp.default_profile import default_profile
from tinybox.linux.process import set_no_new_privs
from tinybox.linux.syscalls import X32_SYSCALL_BIT, numbers_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.root

MACHINE = platform.machine()
NUMBER = numbers_of(MACHINE)
CLONE_NEWUSER, CLONE_NEWUTS = 0x10000000, 0x04000000
KEYCTL_GET_KEYRING_ID, SESSION_KEYRING = 0, -3
SIGCHLD = int(signal.SIGCHLD)
NOBODY = 65534
SYS_SOCKET, SYS_LISTEN, NO_FD = 1, 4, 999  # of socketcall(2)
MAP_32BIT = 0x40  # an address that an i386 program can use

_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.argtypes = [ctypes.c_long] * 7
_libc.syscall.restype = ctypes.c_long

x86_64_only = pytest.mark.skipif(MACHINE != "x86_64", reason="only x86-64 has this entry into the kernel")


def call(number: int, *arguments: int) -> int:
    """Make the system call *number* and return its errno, or 0."""
    ctypes.set_errno(0)
    result = _libc.syscall(number, *arguments, *[0] * (6 - len(arguments)))
    return ctypes.get_errno() if result == -1 else 0


def in_child(act: Callable[[], int], program: bytes = b"", flags: int = 0) -> int:
    """Return what *act* returns (0 to 255) in a child under *program*, or minus the signal that ended the child."""
    pid = os.fork()
    if pid == 0:
        try:
            if program:
                set_no_new_privs()
                filters.install(program, flags)
            os._exit(act())
        finally:
            os._exit(255)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def default(*capabilities: str) -> bytes:
    """Compile the default profile for this machine."""
    return compile_profile(default_profile(capabilities, MACHINE), MACHINE)


def denying(*names: str, action: str = "SCMP_ACT_ERRNO", **more: Any) -> bytes:
    """Compile a profile that denies only *names*."""
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": list(names), "action": action}], **more}
    return compile_profile(profile, MACHINE)


@pytest.mark.parametrize(
    ("name", "arguments", "without", "within"),
    [
        ("mount", (), errno.EFAULT, errno.EPERM),
        ("umount2", (), errno.EFAULT, errno.EPERM),
        ("keyctl", (KEYCTL_GET_KEYRING_ID, SESSION_KEYRING, 0), 0, errno.EPERM),
        ("unshare", (CLONE_NEWUSER,), 0, errno.EPERM),
        ("unshare", (CLONE_NEWUTS,), 0, errno.EPERM),
        ("setns", (-1,), errno.EBADF, errno.EPERM),
        ("clone3", (), errno.EINVAL, errno.ENOSYS),
        ("bpf", (-1,), errno.EINVAL, errno.EPERM),
        ("chroot", (), errno.EFAULT, errno.EPERM),
        ("personality", (0x40000,), 0, errno.EPERM),
    ],
)
def test_the_default_profile_refuses(name: str, arguments: tuple[int, ...], without: int, within: int) -> None:
    """The filter answers in place of the kernel, whose own answer would differ."""
    assert in_child(lambda: call(NUMBER[name], *arguments)) == without != within
    assert in_child(lambda: call(NUMBER[name], *arguments), default()) == within


@pytest.mark.parametrize("name", ["getpid", "sched_yield", "gettid", "getuid", "sync"])
def test_the_default_profile_allows(name: str) -> None:
    """The control of the refusals: not every call is refused."""
    assert in_child(lambda: call(NUMBER[name]), default()) == 0


def test_a_capability_opens_its_calls() -> None:
    """With CAP_SYS_ADMIN in the set, unshare is allowed again and clone3 exists."""
    program = default("CAP_SYS_ADMIN")
    assert in_child(lambda: call(NUMBER["unshare"], CLONE_NEWUSER), program) == 0
    assert in_child(lambda: call(NUMBER["clone3"]), program) == errno.EINVAL


def clone(flags: int) -> int:
    """Make a child by clone(2) that ends at once, and return errno(3)."""
    ctypes.set_errno(0)
    pid = _libc.syscall(NUMBER["clone"], flags | SIGCHLD, 0, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    if pid > 0:
        os.waitpid(pid, 0)
    return ctypes.get_errno() if pid < 0 else 0


def test_clone_makes_processes_but_no_namespaces() -> None:
    """The same call is allowed or refused by its flags."""
    assert in_child(lambda: clone(CLONE_NEWUSER)) == 0
    assert in_child(lambda: clone(CLONE_NEWUSER), default()) == errno.EPERM
    assert in_child(lambda: clone(0), default()) == 0


@pytest.mark.parametrize("family", [socket.AF_VSOCK, socket.AF_ALG])
def test_sockets_that_leave_the_box_are_refused(family: int) -> None:
    """EPERM, whatever this kernel itself would answer; a local socket is the control."""

    def make(family: int) -> int:
        return call(NUMBER["socket"], family, socket.SOCK_SEQPACKET, 0)

    assert in_child(lambda: make(family)) != errno.EPERM
    assert in_child(lambda: make(family), default()) == errno.EPERM
    assert in_child(lambda: make(socket.AF_UNIX), default()) == 0


def run(argv: list[str], program: bytes, home: Path) -> tuple[int, str]:
    """Run *argv* under *program*, as a container would, and return its exit status and its output."""

    def become() -> int:
        os.dup2(os.open(home / "out", os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(1, 2)
        os.execvp(argv[0], argv)

    status = in_child(become, program)
    return status, (home / "out").read_text()


def test_a_shell_works_under_the_default_profile(tmp_path: Path) -> None:
    """Pipes, processes, files: the calls of busybox in a script."""
    script = "set -e; cd /; ls | wc -l >/dev/null; (sleep 0.01 & wait); echo $(id -u)"
    assert run(["busybox", "sh", "-c", script], default(), tmp_path) == (0, "0\n")


def test_python_works_under_the_default_profile(tmp_path: Path) -> None:
    """Threads (clone3 falls back to clone), processes, sockets and timers."""
    code = (
        "import socket, subprocess, threading, time; time.sleep(0.001); socket.socketpair()\n"
        "thread = threading.Thread(target=print, args=('thread',)); thread.start(); thread.join()\n"
        "print(subprocess.run(['true']).returncode)\n"
    )
    assert run([sys.executable, "-c", code], default(), tmp_path) == (0, "thread\n0\n")


def test_the_filter_passes_through_execve(tmp_path: Path) -> None:
    """proc(5) shows it: mode 2, and one filter more than before."""
    words = ["busybox", "grep", "Seccomp", "/proc/self/status"]
    _, before = run(words, b"", tmp_path)
    _, after = run(words, default(), tmp_path)
    fields = [dict(line.split(":\t") for line in text.splitlines()) for text in (before, after)]
    assert fields[1]["Seccomp"] == "2"
    assert int(fields[1]["Seccomp_filters"]) == int(fields[0]["Seccomp_filters"]) + 1


def test_installing_imports_nothing() -> None:
    """The child of a container may import nothing after clone3: an audit hook checks that."""
    program, imports = default(), []

    def watched() -> int:
        sys.addaudithook(lambda event, arguments: imports.append(arguments) if event == "import" else None)
        filters.install(program)
        return len(imports)

    assert in_child(watched) == 0


def test_without_no_new_privs_and_capability_the_kernel_refuses() -> None:
    """EACCES; with no_new_privs the same process is allowed to."""
    program = default()

    def as_nobody(privileged: bool) -> int:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        if not privileged:
            set_no_new_privs()
        try:
            return filters.install(program)
        except SyscallError as error:
            return error.errno or 0

    assert in_child(lambda: as_nobody(privileged=True)) == errno.EACCES
    assert in_child(lambda: as_nobody(privileged=False)) == 0


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        ("SCMP_ACT_KILL_PROCESS", -signal.SIGSYS),
        ("SCMP_ACT_KILL", -signal.SIGSYS),
        ("SCMP_ACT_TRAP", -signal.SIGSYS),
        ("SCMP_ACT_TRACE", errno.ENOSYS),
        ("SCMP_ACT_ERRNO", errno.EPERM),
        ("SCMP_ACT_LOG", 0),
    ],
)
def test_each_action_takes_effect(action: str, outcome: int) -> None:
    """SIGSYS, an errno, or only a line in the log."""
    assert in_child(lambda: call(NUMBER["getppid"])) == 0
    assert in_child(lambda: call(NUMBER["getppid"]), denying("getppid", action=action)) == outcome


def test_the_longest_accepted_program_is_accepted_by_the_kernel() -> None:
    """The kernel and the compiler agree about BPF_MAXINSNS: just below it, the program still works."""
    conditions = [{"index": 0, "value": 1000 + value, "op": "SCMP_CMP_EQ"} for value in range(582)]
    rules = [{"names": ["getppid"], "action": "SCMP_ACT_TRAP", "args": [each]} for each in conditions]
    last = {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "args": [{**conditions[0], "value": 7}]}
    program = compile_profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [*rules, last]}, MACHINE)
    assert 4096 - 7 <= len(program) // 8 <= 4096
    assert in_child(lambda: call(NUMBER["getppid"], 7), program) == errno.EPERM
    assert in_child(lambda: call(NUMBER["getppid"], 8), program) == 0


def int_0x80(number: int, first: int = 0, second: int = 0) -> int:
    """Make a system call as an i386 program does, with 64-bit registers, and return its errno or 0."""
    code = bytes.fromhex("53 89f8 4889f3 89d1 cd80 5b c3")  # push rbx; number, arguments; int 0x80; pop rbx; ret
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    enter = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_long, ctypes.c_ulong, ctypes.c_ulong)(address)
    result = int(enter(number, first, second))
    return -result if -4096 < result < 0 else 0


@x86_64_only
def test_i386_calls_are_judged_by_their_own_numbers() -> None:
    """The old entry, int 0x80, does not evade the filter: unshare is 310 there, and process_vm_readv on x86-64."""
    i386 = numbers_of("i386")
    if in_child(lambda: int_0x80(i386["getpid"])) != 0:
        pytest.skip("this kernel runs no i386 programs (CONFIG_IA32_EMULATION)")
    assert in_child(lambda: int_0x80(i386["unshare"], CLONE_NEWUTS)) == 0
    assert in_child(lambda: int_0x80(i386["unshare"], CLONE_NEWUTS), default()) == errno.EPERM
    assert in_child(lambda: int_0x80(i386["getpid"]), default()) == 0
    assert in_child(lambda: int_0x80(i386["getpid"]), denying("bpf")) == -signal.SIGSYS  # i386 is not listed there


def socketcall(which: int, *arguments: int) -> int:
    """Make a call of i386's socketcall(2), whose arguments lie in memory that no filter reads; return errno or 0."""
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | MAP_32BIT)
    page.write(struct.pack(f"={len(arguments)}I", *arguments))
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return int_0x80(numbers_of("i386")["socketcall"], which, address)


@x86_64_only
@pytest.mark.parametrize("family", [socket.AF_VSOCK, socket.AF_ALG])
def test_socketcall_does_not_open_forbidden_sockets(family: int) -> None:
    """i386's socketcall(2) is ENOSYS for sockets that socket(2) refuses; its other calls are allowed."""
    if in_child(lambda: socketcall(SYS_SOCKET, socket.AF_UNIX, socket.SOCK_STREAM, 0)) != 0:
        pytest.skip("this kernel runs no i386 programs (CONFIG_IA32_EMULATION)")
    kind = socket.SOCK_STREAM if family == socket.AF_VSOCK else socket.SOCK_SEQPACKET
    assert in_child(lambda: socketcall(SYS_SOCKET, family, kind, 0)) in {0, errno.EAFNOSUPPORT}  # by its config
    assert in_child(lambda: socketcall(SYS_SOCKET, family, kind, 0), default()) == errno.ENOSYS
    assert in_child(lambda: socketcall(SYS_LISTEN, NO_FD, 1), default()) == errno.EBADF


@x86_64_only
@pytest.mark.parametrize("family", [socket.AF_VSOCK, socket.AF_ALG])
def test_x32_does_not_open_forbidden_sockets(family: int) -> None:
    """The number with x32's bit is checked by the same rules for the family."""
    number = numbers_of("x32")["socket"]
    assert in_child(lambda: call(number, family, socket.SOCK_SEQPACKET, 0)) != errno.EPERM
    assert in_child(lambda: call(number, family, socket.SOCK_SEQPACKET, 0), default()) == errno.EPERM
    assert in_child(lambda: call(number, socket.AF_UNIX, socket.SOCK_STREAM, 0), default()) != errno.EPERM


@x86_64_only
def test_i386_ignores_the_upper_half() -> None:
    """A denied value with a bit set above the lower half is the same value to the kernel, and to the filter."""
    i386 = numbers_of("i386")["personality"]
    if in_child(lambda: int_0x80(i386, 0xFFFFFFFF)) != 0:
        pytest.skip("this kernel runs no i386 programs (CONFIG_IA32_EMULATION)")
    rule = {"index": 0, "value": 0xFFFFFFFF, "op": "SCMP_CMP_EQ"}
    rules = [{"names": ["personality"], "action": "SCMP_ACT_ERRNO", "args": [rule]}]
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "syscalls": rules}
    program = compile_profile(profile, MACHINE)
    assert in_child(lambda: int_0x80(i386, 0xFFFFFFFF), program) == errno.EPERM
    assert in_child(lambda: int_0x80(i386, 2**32 | 0xFFFFFFFF), program) == errno.EPERM
    assert in_child(lambda: int_0x80(i386, 0), program) == 0


@x86_64_only
def test_the_x32_bit_does_not_evade_a_rule() -> None:
    """If the profile does not list x32, a number with its bit kills."""
    number = X32_SYSCALL_BIT | NUMBER["getpid"]
    assert in_child(lambda: call(number)) in {0, errno.ENOSYS}  # it depends on how the kernel was built
    assert in_child(lambda: call(number), denying("bpf")) == -signal.SIGSYS


def test_a_listener_answers_for_the_kernel() -> None:
    """SCMP_ACT_NOTIFY: install returns a descriptor; its reader decides, here that getppid fails with ENOTTY."""
    rules = [{"names": ["getppid"], "action": "SCMP_ACT_NOTIFY"}]
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}
    program, flags = compile_profile(profile, MACHINE), filters.flags_of(profile)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid = os.fork()
        if pid == 0:
            set_no_new_privs()
            listener = filters.install(program, flags)
            theirs.sendmsg([b"-"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))])
            os._exit(call(NUMBER["getppid"]))
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    try:
        answer_one(descriptors[0], errno.ENOTTY)
    finally:
        os.close(descriptors[0])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == errno.ENOTTY


def answer_one(listener: int, number: int) -> None:
    """Wait for one notification and answer it with the errno *number*; see seccomp_unotify(2)."""
    request = bytearray(80)  # struct seccomp_notif: id, pid, flags, and struct seccomp_data
    ioctl(listener, 0xC0502100, request)  # SECCOMP_IOCTL_NOTIF_RECV
    identity, _, _, call_number = struct.unpack_from("=QIIi", request)
    assert call_number == NUMBER["getppid"]
    ioctl(listener, 0xC0182101, bytearray(struct.pack("=QqiI", identity, 0, -number, 0)))  # SECCOMP_IOCTL_NOTIF_SEND


def test_a_cache_of_another_owner_is_not_used(tmp_path: Path) -> None:
    """Another user who can write the cache could otherwise choose tinybox's filter."""
    profile, folder = default_profile([], MACHINE), str(tmp_path)
    program = filters.compiled(profile, MACHINE, folder)
    (path,) = tmp_path.iterdir()
    origin = path.read_bytes().partition(b"\n")[0]
    path.write_bytes(filters.seal(origin, b"planted!"))
    assert filters.compiled(profile, MACHINE, folder) == b"planted!"
    os.chown(path, NOBODY, NOBODY)
    assert filters.compiled(profile, MACHINE, folder) == program
