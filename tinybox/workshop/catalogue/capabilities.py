"""Root with fewer rights: capabilities and seccomp.

The root of your box is root: it may load modules into the kernel, set the clock, and make a device file of the host's
disk. The kernel has split what root may do into forty-one capabilities, and each process has sets of them. The
effective set is what the kernel asks; the permitted set is what a process may make effective. But execve(2) of a
program by root fills both again: only the bounding set limits what a program can get. So a box needs all three reduced.
With no_new_privs, set-user-ID programs such as sudo give nothing back either.

A second wall is needed, because some calls need no capability. unshare(2) makes a user namespace, in which any process
has all capabilities (level 11), and reaches code of the kernel that is meant for root. seccomp(2) has the kernel run a
small program before each system call: it loads a word (the machine, then the number of the call), compares, and returns
a verdict. A filter cannot be removed, and children inherit it. The number alone means nothing: 310 is unshare(2) for a
program of i386, and another call for x86-64. So the machine is compared first. (The filter here has a list of what is
refused, to be short. Docker's, and tinybox's, has a list of what is allowed.)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinybox.linux import capability, proc, process, syscalls
from tinybox.linux.machine_code import memory_files
from tinybox.workshop.catalogue.fork_exec import ends
from tinybox.workshop.catalogue.mounts import host_mounts, nothing_leaks
from tinybox.workshop.catalogue.overlay import BOX, OTHER, overlay_of
from tinybox.workshop.catalogue.pid_1 import numbers
from tinybox.workshop.catalogue.pivot_root import root_of_namespace
from tinybox.workshop.levels import Level
from tinybox.workshop.trial import ROOTFS, Attempt, nothing_runs, read

if TYPE_CHECKING:
    from tinybox.workshop.trial import Trial

KEEP = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE")
SIGSYS = 128 + 31  # the status of a program whose call a filter has answered with its end


def check(trial: Trial) -> None:
    """Read the sets of the program and of PID 1, then let the box try what it may do no more."""
    before, found = host_mounts(), probes()
    with Attempt([ROOTFS, BOX, "sh"]) as attempt:
        attempt.ask("echo ready")
        program = attempt.program()
        root_of_namespace(trial, program)
        overlay_of(trial, program)
        init = numbers(trial, program)
        for pid, name in ((init, "PID 1 of the box"), (program, "the program")):
            few_capabilities(trial, pid, name)
        fields = status(program)
        trial.fact(
            fields["NoNewPrivs"] == "1",
            f"NoNewPrivs of the program is 1 (/proc/{program}/status)",
            f"NoNewPrivs in /proc/{program}/status is {fields['NoNewPrivs']}: see PR_SET_NO_NEW_PRIVS",
        )
        trial.fact(
            fields["Seccomp"] == "2",
            f"the program has a filter: Seccomp is 2 (/proc/{program}/status)",
            f"Seccomp in /proc/{program}/status is {fields['Seccomp']}: the program has no filter, which is 2",
        )
        trial.fact(
            status(attempt.pid)["CapEff"] == status(1)["CapEff"],
            f"your own process has kept its capabilities (/proc/{attempt.pid}/status)",
            f"/proc/{attempt.pid}/status: your own process has lost capabilities, too: restrict the child",
        )
        tries(trial, attempt)
        refuses(trial, attempt, found)
    ends(trial, [ROOTFS, OTHER])
    nothing_leaks(trial, before, "after the end ")
    nothing_runs(trial)


def status(pid: int) -> dict[str, str]:
    """Return the fields of /proc/PID/status; see proc_pid_status(5)."""
    return proc.status(read(pid, "status"))


def few_capabilities(trial: Trial, pid: int, name: str) -> None:
    """Require the sets of a process to be those of KEEP, and the inheritable set to be empty."""
    fields, wanted = status(pid), capability.mask(KEEP)
    for field in ("CapBnd", "CapPrm", "CapEff", "CapInh"):
        expected = 0 if field == "CapInh" else wanted
        found = int(fields[field], 16)
        more = [each for number, each in enumerate(capability.NAMES) if found & ~expected & 1 << number]
        fewer = [each for number, each in enumerate(capability.NAMES) if expected & ~found & 1 << number]
        wrong = f"has {len(more)} too many, such as {more[0]}" if more else f"lacks {' '.join(fewer)}"
        trial.fact(
            found == expected,
            f"{field} of {name} is {fields[field]} (/proc/{pid}/status)",
            f"{field} of {name} in /proc/{pid}/status is {fields[field]}, it {wrong}; see capabilities(7)",
        )


def tries(trial: Trial, attempt: Attempt) -> None:
    """Let root of the box do what it has a capability for, and what it has none for."""
    wanted = (
        ("touch own && chown 1:1 own", "succeeds", "CAP_CHOWN is kept"),
        ("hostname evil", "fails", "sethostname(2) needs CAP_SYS_ADMIN"),
        ("mknod disk b 8 0", "fails", "mknod(2) needs CAP_MKNOD"),
    )
    for command, expected, why in wanted:
        found = attempt.ask(f"{{ {command}; }} 2> /dev/null && echo succeeds || echo fails")
        sentence = f"`{command}` {found} in the box: {why}"
        trial.fact(found == expected, sentence, sentence)


def probes() -> dict[str, str]:
    """Put programs into the image that make one system call; return what each does, if the host answers it.

    Each ends with the error number. On the host all succeed, so a refusal in the box is the filter's.
    """
    found = {"unshare -U true": "unshare(2)"} if _succeeds(_new_user_namespace) else {}
    if os.uname().machine != "x86_64":
        return found
    calls = {
        "ptrace": (syscalls.numbers_of("x86_64")["ptrace"], 0, "0f 05", "ptrace(2)"),
        "x32": (syscalls.numbers_of("x32")["unshare"], process.CLONE_NEWUSER, "0f 05", "unshare(2) of x32"),
        "i386": (syscalls.numbers_of("i386")["unshare"], process.CLONE_NEWUSER, "cd 80", "unshare(2) of i386"),
    }
    for name, (number, argument, call, words) in calls.items():
        path = f"{ROOTFS}/bin/probe-{name}"
        with open(path, "wb") as file:
            file.write(memory_files.elf("x86_64", _code(number, argument, call)))
        os.chmod(path, 0o755)
        if _succeeds(lambda path=path: os.execv(path, [path])):
            found[f"probe-{name}"] = words
    return found


def _code(number: int, argument: int, call: str) -> bytes:
    """Return machine code that makes one system call, and ends with its error number; see syscall(2)."""
    words = [f"b8 {number.to_bytes(4, 'little').hex()}"]  # mov eax, number
    words += [f"bf {argument.to_bytes(4, 'little').hex()} 89 fb 31 f6"]  # mov edi, argument; mov ebx, edi; xor esi, esi
    words += [call, "f7 d8 89 c7", "b8 3c 00 00 00 0f 05"]  # neg eax; mov edi, eax; exit(2)
    return bytes.fromhex(" ".join(words))


def _new_user_namespace() -> None:
    process.unshare(process.CLONE_NEWUSER)
    os._exit(0)


def _succeeds(act: object) -> bool:
    """Return whether a child that calls *act* ends with 0."""
    child = os.fork()
    if child == 0:
        try:
            act()  # type: ignore[operator]
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def refuses(trial: Trial, attempt: Attempt, found: dict[str, str]) -> None:
    """Require that the filter refuses each of the calls that succeed on the host."""
    for command, call in found.items():
        ending = int(attempt.ask(f"{command} > /dev/null 2>&1; echo $?"))
        is_native = " of " not in call
        why = "it is in REFUSED" if is_native else "compare the machine of the call before its number"
        trial.fact(
            ending != 0,
            f"{call} succeeds on the host, and not in the box: status {ending}",
            f"{call} is not refused in the box: `{command}` ends with 0; {why}",
        )
        trial.fact(
            ending != SIGSYS or not is_native,
            f"`{command}` got an error in the box",
            f"{call} ends the program in the box with SIGSYS: return an error instead, SECCOMP_RET_ERRNO",
        )


LEVEL = Level(
    usage="ROOT BOX PROGRAM [ARGUMENT...]",
    pages="capabilities(7), capset(2), prctl(2), seccomp(2), user_namespaces(7)",
    hints=(
        "process.drop_from_bounding_set(NUMBER) drops one. This needs CAP_SETPCAP, so it comes before capset.",
        "capability.capset(EFFECTIVE, PERMITTED, INHERITABLE) and process.set_no_new_privs() are the next two calls.",
        (
            "sock_filter(CODE, VALUE, jt=N, jf=M) is one instruction: it compares with VALUE, and skips N instructions"
            " if they are equal, M if not. sock_filter(seccomp.BPF_RET_K, VERDICT) ends the program."
        ),
    ),
    check=check,
)
