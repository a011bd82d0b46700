"""Level 10: take rights from root in the box: capabilities that it does not need, and system calls.

usage: 10-capabilities.py ROOT BOX PROGRAM [ARGUMENT...]
"""

import errno
import os
import signal
import socket
import sys
import warnings  # noqa: F401  os.execvp imports it, and in the new root there are no files of Python

from tinybox.linux import capability, mount, process, seccomp, syscalls
from tinybox.linux.seccomp import sock_filter

MS_REC = 0x4000  # linux/mount.h: also all mounts below
KEEP = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE")
REFUSED = ("unshare", "ptrace")  # system calls
NAME = os.uname().machine
MACHINE = {"x86_64": seccomp.AUDIT_ARCH_X86_64, "aarch64": seccomp.AUDIT_ARCH_AARCH64}[NAME]
NUMBERS = syscalls.numbers_of(NAME)  # the number of each system call


def own_mounts(root: str, box: str) -> str:
    """In the child: mount the box's files and a /proc; return the new root."""
    mount.mount(b"", b"/", b"", MS_REC | mount.MS_PRIVATE, b"")
    for name in ("upper", "work", "merged"):
        os.makedirs(f"{box}/{name}", exist_ok=True)
    merged = f"{box}/merged"
    options = f"lowerdir={root},upperdir={box}/upper,workdir={box}/work"
    mount.mount(b"overlay", os.fsencode(merged), b"overlay", 0, os.fsencode(options))
    mount.mount(b"proc", os.fsencode(merged) + b"/proc", b"proc", 0, b"")
    return merged


def change_root(root: str) -> None:
    """In the child: make *root* the root of the mount namespace, and give up the old one."""
    os.chdir(root)
    mount.pivot_root(b".", b".")
    mount.umount2(b".", mount.MNT_DETACH)
    os.chdir("/")


def own_name(name: str) -> None:
    """In the child: set the box's host name."""
    socket.sethostname(name)


def become(program: list[str]) -> None:
    """In the child: become the program. This function does not return."""
    try:
        os.execvp(program[0], program)
    except OSError as error:
        print(f"{program[0]}: {error.strerror}", file=sys.stderr)
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def shell_status(status: int) -> int:
    """Turn the word of wait(2) into the status that a shell shows."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def filter_program() -> bytes:
    """Return the program that the kernel runs before each system call of the box; see seccomp(2)."""
    kill, refuse = seccomp.SECCOMP_RET_KILL_PROCESS, seccomp.SECCOMP_RET_ERRNO | errno.EPERM
    program = sock_filter(seccomp.BPF_LD_W_ABS, seccomp.ARCH)  # load the machine: each has numbers of its own
    # YOURS 4: if the machine is not MACHINE (BPF_JEQ_K), return kill (BPF_RET_K): calls of i386 have other numbers
    program += sock_filter(seccomp.BPF_JEQ_K, MACHINE, jt=1) + sock_filter(seccomp.BPF_RET_K, kill)
    # END
    program += sock_filter(seccomp.BPF_LD_W_ABS, seccomp.NR)  # load the number of the call
    program += sock_filter(seccomp.BPF_JGE_K, 0x40000000, jf=1) + sock_filter(seccomp.BPF_RET_K, kill)  # x32
    # YOURS 5: for each name in REFUSED: if the number is NUMBERS[name], return refuse
    for name in REFUSED:
        program += sock_filter(seccomp.BPF_JEQ_K, NUMBERS[name], jf=1) + sock_filter(seccomp.BPF_RET_K, refuse)
    # END
    return program + sock_filter(seccomp.BPF_RET_K, seccomp.SECCOMP_RET_ALLOW)


def restrict() -> None:
    """In PID 1 of the box, after its last mount: give up rights; the program inherits what is left."""
    keep = capability.mask(KEEP)  # one bit for each capability
    # YOURS 1: drop the capabilities that are not in KEEP from the bounding set; capability.NUMBERS has all of them
    for name, number in capability.NUMBERS.items():
        if name not in KEEP:
            process.drop_from_bounding_set(number)
    # END
    # YOURS 2: set the effective and the permitted set to keep, and the inheritable set to 0; see capset(2)
    capability.capset(keep, keep, 0)
    # END
    # YOURS 3: set no_new_privs, so that no program, such as sudo, gives rights back; see prctl(2)
    process.set_no_new_privs()
    # END
    seccomp.set_mode_filter(filter_program())


def init(program: list[str]) -> int:
    """As PID 1: run the program as a child, and end when it has ended, with its status."""
    child = os.fork()
    if child == 0:
        become(program)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        ended, status = os.wait()
        if ended == child:
            return shell_status(status)


def main() -> int:
    """Run the program in a box, wait for its end, and return its status."""
    root, box, *program = sys.argv[1:]
    child, _ = process.clone3(process.CLONE_NEWNS | process.CLONE_NEWUTS | process.CLONE_NEWPID)
    if child == 0:
        own_name(os.path.basename(box))
        change_root(own_mounts(root, box))
        restrict()
        os._exit(init(program))
    return shell_status(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
